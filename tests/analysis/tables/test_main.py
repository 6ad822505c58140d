"""Tables, macros, summary and paper: what they say of known numbers, and that a real LaTeX sets them."""

import re
from dataclasses import replace
from pathlib import Path

import fake_results as fake
from graded import evidence_of, graded, lines_of

from analysis.report.summary import summary
from analysis.runs.load import load
from analysis.statistics.evidence import collect_evidence
from analysis.tables.gains import gain_table
from analysis.tables.latex import latex
from analysis.tables.main import main_table
from analysis.tables.markdown import markdown


def test_the_best_and_significance_are_marked(tmp_path: Path) -> None:
    evidence = evidence_of(tmp_path, *graded({"kd": 1.0, "sp": 2.0, "gkd": -3.0}))
    table = main_table(evidence)
    text = markdown(table)
    assert re.search(r"\| SP +\| +\*\*<u>82\.20 ± 0\.19</u>\*\*\\\* \|", text)
    assert re.search(r"\| KD +\| +81\.20 ± 0\.19\\\* \|", text)
    assert re.search(r"\| GKD +\| +77\.20 ± 0\.19† \|", text)
    [line] = lines_of(text, "| SP")
    # Ranked first on both pairs; 2 points ahead.
    assert line.split("|")[-3:-1][0].strip() == "1.0"
    assert re.fullmatch(r"\+2\.00 \[\+1\.8\d, \+2\.1\d\]\\\*", line.split("|")[-2].strip())
    assert "Holm-adjusted over 6 cells, P < 0.05" in table.caption
    assert ("", "Rank: over 2 pairs") in table.notes
    text = latex(table)
    assert r"\textbf{\underline{82.20}}\,{\scriptsize$\pm$\,0.19}\rlap{\textsuperscript{*}}" in text
    assert r"77.20\,{\scriptsize$\pm$\,0.19}\rlap{\textsuperscript{$\dagger$}}" in text


def test_who_is_not_told_apart_from_the_best_is_bold_too(tmp_path: Path) -> None:
    text = markdown(main_table(evidence_of(tmp_path, *graded({"kd": 2.05, "sp": 2.0, "gkd": -3.0}))))
    assert "**<u>82.25 ± " in lines_of(text, "| KD")[0]
    assert "**82.20 ± " in lines_of(text, "| SP")[0]
    assert "**" not in lines_of(text, "| GKD")[0]


def test_three_seeds_mark_a_cell_and_its_mean_gain_alike(tmp_path: Path) -> None:
    evidence = evidence_of(tmp_path, *graded({"kd": 5.0}, seeds=3, pairs=fake.PAIRS[:1]))
    [line] = lines_of(markdown(main_table(evidence)), "| KD")
    cell, gain = line.split("|")[2:4]
    assert cell.strip().endswith(r"\*")
    assert gain.strip().endswith(r"\*")


def test_equivalence_has_a_mark_of_its_own(tmp_path: Path) -> None:
    table = main_table(evidence_of(tmp_path, *graded({"kd": 0.0, "sp": 3.0})))
    assert lines_of(markdown(table), "| KD")[0].count("=") == 3
    assert "* better than the student alone, = equivalent within 0.5 points (moderated t-test" in table.caption


def test_captions_stay_short(tmp_path: Path) -> None:
    evidence = evidence_of(tmp_path, *graded({"kd": 1.0, "sp": 0.0, "gkd": -3.0}))
    longest = replace(evidence, looks=3)
    for table in (main_table(evidence), main_table(longest), gain_table(evidence), gain_table(longest)):
        assert len(table.caption.split()) < 60, table.caption


def test_seeds_stand_under_the_heading_and_at_cells_with_fewer(tmp_path: Path) -> None:
    records = graded({"kd": 1.0, "sp": 2.0})
    kept = [each for each in records if each.run.label != "sp" or each.run.seed < 3]
    table = main_table(evidence_of(tmp_path, *kept))
    assert [column.lines[-1] for column in table.columns[:2]] == ["n = 5", "n = 5"]
    assert "3 of 5 seeds: seeds 3 and 4 missing" in markdown(table)


def test_a_control_trained_otherwise_is_noted_and_never_best(tmp_path: Path) -> None:
    records = graded({"kd": 1.0}, seeds=3)
    longer = [fake.run("student", s, p, label="student@longer", epochs=60) for s in range(3) for p in fake.PAIRS]
    text = markdown(main_table(evidence_of(tmp_path, *records, *(fake.record(run, 0.95) for run in longer))))
    [line] = lines_of(text, "| Student alone (longer)")
    assert "**" not in line
    assert "- [a] differs from the student alone in recipe and is not ranked" in text
    assert "**<u>81.10 ± 0.12</u>**" in text


def test_a_shuffled_teacher_is_another_teacher(tmp_path: Path) -> None:
    records = graded({"kd": 1.0}, seeds=3)
    shuffled = [
        fake.run("kd", seed, pair, label="kd@shuffled", shuffled=True) for seed in range(3) for pair in fake.PAIRS
    ]
    evidence = evidence_of(tmp_path, *records, *(fake.record(run, 0.95) for run in shuffled))
    assert "differs from the student alone in whether the teacher's outputs are shuffled" in markdown(
        main_table(evidence)
    )
    assert evidence.ranking is not None
    assert evidence.ranking.methods == ("kd", "student")


def test_a_tuned_method_is_ranked_beside_its_default(tmp_path: Path) -> None:
    records = graded({"kd": 1.0}, seeds=3)
    options = {"kd": {"temperature": 2.0}}
    tuned = [fake.run("kd", seed, pair, label="kd@tuned", options=options) for seed in range(3) for pair in fake.PAIRS]
    evidence = evidence_of(tmp_path, *records, *(fake.record(run, 0.95) for run in tuned))
    assert evidence.ranking is not None
    assert evidence.ranking.methods == ("kd@tuned", "kd", "student")
    assert "KD (tuned)" in markdown(main_table(evidence))


def test_a_mean_gain_over_fewer_pairs_says_so(tmp_path: Path) -> None:
    records = [*graded({"kd": 1.0}), *graded({"sp": 1.0}, pairs=fake.PAIRS[:1])]
    text = markdown(main_table(evidence_of(tmp_path, *records)))
    assert "over 1 of 2 pairs" in text
    assert "- Rank: over 2 pairs; left out: SP (1 hole)" in text


def test_a_method_of_other_options_on_another_data_set_is_said_to_be(tmp_path: Path) -> None:
    """Its mean gain is over what are, strictly, two methods."""
    records = [
        fake.record(
            fake.run(method, seed, dataset=dataset, options={"kd": {"weight": weight}} if method == "kd" else {})
        )
        for dataset, weight in (("digits", 0.3), ("cifar100", 0.9))
        for method in ("student", "kd", "sp")
        for seed in range(2)
    ]
    evidence = evidence_of(tmp_path, *records)
    assert evidence.several_options == ["kd"]
    assert ("", "Options differ between pairs for KD") in main_table(evidence).notes
    assert "differ between pairs for KD." in summary(evidence)
    alike = evidence_of(tmp_path / "alike", *(each for each in records if each.run.dataset.name == "digits"))
    assert not alike.several_options
    assert "differ between pairs for" not in markdown(main_table(alike)) + summary(alike)


def test_seeds_that_diverged_are_not_averaged_away(tmp_path: Path) -> None:
    """Who finished the one seed that went well is not the best of all."""
    records = graded({"kd": 1.0, "sp": 2.0}, seeds=3)
    survivors = [
        fake.record(each.run, status="diverged", reason="the training loss was not finite")
        if (each.run.label, each.run.pair) == ("sp", "vit_l_mixer_s") and each.run.seed
        else each
        for each in records
    ]
    evidence = evidence_of(tmp_path, *survivors)
    assert evidence.ranking is not None
    assert evidence.ranking.methods == ("kd", "student")
    assert evidence.ranking.left_out == {"sp": 1}
    text = markdown(main_table(evidence))
    note = lines_of(text, "| SP")[0].rpartition("[")[2].partition("]")[0]
    assert f"[{note}] over 4 of 6 runs" in text
    assert "over 4 of 6 runs" in markdown(gain_table(evidence))


def test_states_of_cells_are_told_apart(tmp_path: Path) -> None:
    records = graded({"kd": 1.0}, seeds=2)
    records += [fake.record(fake.run("sp", seed), status="diverged", reason="loss is inf") for seed in range(2)]
    records += [fake.record(fake.run("fsp", seed), status="not_applicable", reason="widths") for seed in range(2)]
    path = fake.write(tmp_path / "grid", *records, planned=(fake.run("gkd", 0),))
    text = markdown(main_table(collect_evidence(load([path]).runs)))
    assert {"diverged", "n/a", "missing"} <= {word for row in text.splitlines() for word in re.findall(r"[\w/]+", row)}
    assert "- Cells without a result enter no mean, test or rank" in text


def test_a_network_that_is_used_as_it_came_is_one_teacher_whatever_its_seed(tmp_path: Path) -> None:
    for weights, teachers in (("aaa", 1), ("abb", 2), ("abc", 3)):
        runs = [
            (fake.run(method, seed, teacher_seed=seed), weights[seed])
            for method in ("student", "kd")
            for seed in range(3)
        ]
        records = [fake.record(run, teacher_weights_sha256=its) for run, its in runs]
        evidence = evidence_of(tmp_path / weights, *records)
        [teacher] = [cell for cell in evidence.cells if cell.method == "teacher"]
        assert (teacher.n, teacher.seeds, bool(evidence.single_teachers)) == (teachers, teachers, teachers == 1)


def test_a_control_under_another_teacher_leaves_the_pairs_own_teacher_alone(tmp_path: Path) -> None:
    records = graded({"kd": 1.0}, seeds=3)
    other = [fake.run("kd", seed, fake.PAIRS[0], label="born again", teacher_seed=9) for seed in range(3)]
    born_again = [fake.record(run, 0.82, teacher_top1=0.5, teacher_weights_sha256="bb") for run in other]
    text = markdown(main_table(evidence_of(tmp_path, *records, *born_again)))
    [teacher] = lines_of(text, "| Teacher")
    assert teacher.split("|")[2].strip() == "96.39"
    assert "differs from the student alone in teacher seed and is not ranked" in text
