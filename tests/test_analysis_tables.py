"""Tables, macros, summary and paper: what they say of known numbers, and that a real LaTeX sets them."""

import csv
import re
import shutil
import subprocess
from pathlib import Path

import fake_results as fake
import pytest

from analysis.__main__ import main
from analysis.report import numbers
from analysis.report.summary import summary
from analysis.runs.load import load
from analysis.statistics.evidence import Evidence, weigh
from analysis.tables.gains import gain_table
from analysis.tables.latex import LONGEST, escape, latex
from analysis.tables.main import incomplete, main_table
from analysis.tables.markdown import markdown
from benchmark.records import Record


def graded(gains: dict[str, float], *, seeds: int = 5, pairs: tuple[tuple[str, str], ...] = fake.PAIRS) -> list[Record]:
    """Runs whose mean gains over a student alone of 80 % are these percentage points, with a small spread."""
    found = []
    for pair in pairs:
        for seed in range(seeds):
            found.append(fake.record(fake.run("student", seed, pair), 0.80 + seed / 1000))
            for method, gain in gains.items():
                wobble = 0.0002 * (seed - (seeds - 1) / 2)
                found.append(fake.record(fake.run(method, seed, pair), 0.80 + seed / 1000 + gain / 100 + wobble))
    return found


def evidence_of(tmp_path: Path, *records: Record) -> Evidence:
    return weigh(load([fake.write(tmp_path / "grid", *records)]).runs)


def lines_of(text: str, start: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(start)]


# The main table


def test_best_second_and_significance_are_marked(tmp_path: Path) -> None:
    evidence = evidence_of(tmp_path, *graded({"kd": 1.0, "sp": 2.0, "gkd": -3.0}))
    table = main_table(evidence)
    text = markdown(table)
    assert re.search(r"\| SP +\| +\*\*82\.20 ± 0\.19\*\*\\\* \|", text)
    assert re.search(r"\| KD +\| +<u>81\.20 ± 0\.19</u>\\\* \|", text)
    assert re.search(r"\| GKD +\| +77\.20 ± 0\.19† \|", text)
    [line] = lines_of(text, "| SP")
    # Ranked first on both pairs; 2 points ahead, all ten runs of either method's sign.
    assert line.split("|")[-3:-1][0].strip() == "1.0"
    assert line.split("|")[-2].strip() == r"+2.00 ± 0.02\*"
    assert "Holm's correction for 6 cells." in table.caption
    assert "Rank: average over 2 pairs." in table.caption
    text = latex(table)
    assert r"\textbf{82.20}\,{\scriptsize$\pm$\,0.19}\rlap{\textsuperscript{*}}" in text
    assert r"\underline{81.20}" in text
    assert r"77.20\,{\scriptsize$\pm$\,0.19}\rlap{\textsuperscript{$\dagger$}}" in text


def test_three_seeds_may_mark_a_cell_but_not_a_method(tmp_path: Path) -> None:
    evidence = evidence_of(tmp_path, *graded({"kd": 5.0}, seeds=3, pairs=fake.PAIRS[:1]))
    [line] = lines_of(markdown(main_table(evidence)), "| KD")
    cell, gain = line.split("|")[2:4]
    assert cell.strip().endswith(r"\*")
    assert not gain.strip().endswith(r"\*")


def test_a_control_trained_otherwise_is_noted_and_never_best(tmp_path: Path) -> None:
    records = graded({"kd": 1.0}, seeds=3)
    longer = [fake.run("student", s, p, label="student@longer", epochs=60) for s in range(3) for p in fake.PAIRS]
    text = markdown(main_table(evidence_of(tmp_path, *records, *(fake.record(run, 0.95) for run in longer))))
    [line] = lines_of(text, "| Student alone (longer)")
    assert "**" not in line
    assert "- [a] differs from the student alone in recipe and is not ranked" in text
    assert "**81.10 ± 0.12**" in text


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
    assert "a complete table after leaving out, emptiest first, with so many holes: SP (1)" in text


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
    assert "Not with the same options on all pairs: KD." in main_table(evidence).caption
    assert "on all pairs: KD.\n" in summary(evidence)
    alike = evidence_of(tmp_path / "alike", *(each for each in records if each.run.dataset.name == "digits"))
    assert not alike.several_options
    assert "same options" not in main_table(alike).caption + summary(alike)


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


def test_a_gain_says_how_many_of_its_runs_have_a_counterpart(tmp_path: Path) -> None:
    records = graded({"kd": 1.0}, seeds=3)
    lonely = [
        each for each in records if (each.run.label, each.run.pair, each.run.seed) != ("student", "vit_l_mixer_s", 1)
    ]
    assert incomplete("kd", evidence_of(tmp_path / "one", *records)) == ""
    assert incomplete("kd", evidence_of(tmp_path / "two", *lonely)) == "5 of 6 runs"


def test_states_of_cells_are_told_apart(tmp_path: Path) -> None:
    records = graded({"kd": 1.0}, seeds=2)
    records += [fake.record(fake.run("sp", seed), status="diverged", reason="loss is inf") for seed in range(2)]
    records += [fake.record(fake.run("fsp", seed), status="not_applicable", reason="widths") for seed in range(2)]
    path = fake.write(tmp_path / "grid", *records, planned=(fake.run("gkd", 0),))
    text = markdown(main_table(weigh(load([path]).runs)))
    assert {"diverged", "n/a", "missing"} <= {word for row in text.splitlines() for word in re.findall(r"[\w/]+", row)}
    assert "Cells without a result say why and are left out of every mean, test and rank." in text


# Gains


def test_the_gain_table_gives_intervals_effects_and_the_smallest_p(tmp_path: Path) -> None:
    evidence = evidence_of(tmp_path, *graded({"kd": 1.0}, seeds=3))
    table = gain_table(evidence)
    [row] = table.data
    assert row["gain_points"] == pytest.approx(1)
    assert row["gain_points_low"] < 1 < row["gain_points_high"]
    assert (row["improvement"], row["p"], row["established"]) == (1.0, 2 / 2**6, True)
    assert "The smallest Holm p that so many runs allow is 0.031." in table.caption
    assert "2 × 3" in markdown(table)


# Macros


def test_macros_are_letters_and_say_the_tables_numbers(tmp_path: Path) -> None:
    evidence = evidence_of(tmp_path, *graded({"kd": 1.0, "kd+sp": -2.0}))
    named = numbers.named(numbers.numbers(evidence))
    assert all(re.fullmatch(r"[A-Za-z]+", name) for name in named)
    assert named["AccuracyDigitsResnetLResnetSKd"].text == "81.20"
    assert named["MeanGainKdPlusSp"].text == "−2.00"
    assert named["RankKd"].text == "1.0"
    text = numbers.macros(named)
    assert r"\newcommand{\MeanGainKdPlusSp}{\ensuremath{-2.00}}" in text
    assert text.isascii()


def test_names_of_macros_never_meet() -> None:
    alike = [
        numbers.Number(("rank", label), "", str(i)) for i, label in enumerate(("a_b", "aB", "a b", "方", "法", "1"))
    ]
    named = numbers.named(alike)
    assert len(named) == len(alike)
    assert all(name.isascii() and name.isalpha() for name in named)
    assert "RankOne" in named


# Words


def test_the_summary_names_what_is_established_and_what_is_not(tmp_path: Path) -> None:
    text = summary(evidence_of(tmp_path, *graded({"kd": 1.0, "sp": 0.0, "gkd": -2.0})))
    assert "- **KD beats the student alone** by +1.00 points" in text
    assert "- **GKD is worse than the student alone**: −2.00 points" in text
    assert "- Not established: SP, 0.00 points" in text
    assert "KD beats GKD by 3.00 points" in text
    assert "wins 10 of 10 paired runs on 2 pairs" in text


def test_the_summary_says_when_nothing_could_have_been_established(tmp_path: Path) -> None:
    text = summary(evidence_of(tmp_path, *graded({"kd": 9.0, "sp": 9.0}, seeds=2)))
    assert "beats the student alone**" not in text
    assert "the smallest p that the test can give is 0.125, after correction 0.250" in text
    assert "4 seeds a pair would be the least that could" in text


@pytest.mark.parametrize(
    ("seeds", "said"),
    [
        (3, "With 6 paired runs at most and 2 methods tested at once, the smallest p that the test can give is 0.031, "
            "after correction 0.062: nothing could have been established, whatever the gain. 4 seeds a pair"),
        (5, "With 5 paired runs and 2 methods tested at once, the smallest p that the test can give is 0.062, "
            "after correction 0.125: no gain of SP could have been established, whatever the gain. 7 seeds a pair"),
    ],
)  # fmt: skip
def test_a_method_with_a_hole_does_not_speak_for_the_others(seeds: int, said: str, tmp_path: Path) -> None:
    records = graded({"kd": 9.0, "sp": 9.0}, seeds=seeds)
    kept = [each for each in records if each.run.method != "sp" or each.run.pair == records[0].run.pair]
    assert said in summary(evidence_of(tmp_path, *kept))


# The paper


UNWANTED = r"undefined|multiply defined|Missing character|Float too large|Overfull \\hbox \((?:[2-9]\d|\d{3})"
"""What LaTeX's log must not say."""


def test_latex_sets_the_paper_with_any_names_and_holes(tmp_path: Path) -> None:
    if not shutil.which("latexmk"):
        pytest.skip("latexmk is not installed: apt-get install latexmk texlive-latex-recommended")
    labels = ("student", "größe_$x^2~", "方法 & 100%", "a|b<c>\\d{e}", "[first]", "kd", "naïve #1", "µ – “quoted”")
    runs = [
        fake.run(f"m{i}" if label != "student" else label, seed, pair, label=label)
        for i, label in enumerate(labels)
        for pair in fake.PAIRS
        for seed in range(2)
    ]
    records = [fake.record(run) for run in runs if run.method != "m1"]
    reason = "50% of x_1 & y^2 are ∞\nsee C:\\log"
    records += [fake.record(run, status="diverged", reason=reason) for run in runs if run.method == "m1"]
    folder = fake.write(tmp_path / "grid", *records)
    assert main([str(folder)]) == 0
    command = ["latexmk", "-pdf", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace")
    assert result.returncode == 0, result.stdout[-2000:]
    log = (folder / "paper.log").read_text(encoding="latin-1")
    assert not re.findall(UNWANTED, log)


def test_every_table_and_figure_is_in_the_paper_and_referred_to(tmp_path: Path) -> None:
    folder = fake.full_grid(tmp_path / "grid")
    assert main([str(folder)]) == 0
    text = (folder / "paper.tex").read_text(encoding="utf-8")
    tables = {path.stem for path in (folder / "tables").glob("*.tex")} - {"numbers"}
    figures = {path.stem for path in (folder / "figures").glob("*.pdf")}
    assert set(re.findall(r"\\input\{tables/(\w+)\}", text)) - {"numbers"} == tables
    assert set(re.findall(r"\\includegraphics\[.*\]\{figures/(\w+)\}", text)) == figures
    assert set(re.findall(r"\\ref\{(?:tab|fig):(\w+)\}", text)) == tables | figures
    defined = set(re.findall(r"\\newcommand\{(\\[A-Za-z]+)\}", (folder / "tables/numbers.tex").read_text()))
    used = set(re.findall(r"(\\[A-Z][A-Za-z]+)", text.partition("\\begin{document}")[2]))
    assert used
    assert used <= defined
    with (folder / "tables/numbers.csv").open(encoding="utf-8", newline="") as file:
        assert {row["macro"] for row in csv.DictReader(file)} == defined


def test_a_control_under_another_teacher_leaves_the_pairs_own_teacher_alone(tmp_path: Path) -> None:
    records = graded({"kd": 1.0}, seeds=3)
    other = [fake.run("kd", seed, fake.PAIRS[0], label="born again", teacher_seed=9) for seed in range(3)]
    born_again = [fake.record(run, 0.82, teacher_top1=0.5, teacher_weights_sha256="bb") for run in other]
    text = markdown(main_table(evidence_of(tmp_path, *records, *born_again)))
    [teacher] = lines_of(text, "| Teacher")
    assert teacher.split("|")[2].strip() == "96.39"
    assert "differs from the student alone in teacher seed and is not ranked" in text


def test_a_table_taller_than_a_page_is_continued(tmp_path: Path) -> None:
    gains = {f"method {chr(65 + i)}": i / 10 for i in range(60)}
    table = main_table(evidence_of(tmp_path, *graded(gains, seeds=1)))
    text = latex(table)
    floats = text.split(r"\begin{table*}")[1:]
    assert len(floats) == 2
    assert all(each.count(r" \\") <= LONGEST for each in floats)
    assert text.count(r"\caption{") == text.count(r"\label{tab:main}") == 1
    assert text.count(r"Table~\ref{tab:main}, continued") == 1
    assert all(text.count(f"{escape(method)} & ") == 1 for method in gains)


def test_blocks_of_columns_share_a_page_as_long_as_it_holds_them(tmp_path: Path) -> None:
    pairs = tuple((teacher, student) for teacher in ("resnet_l", "vit_l") for student in ("a", "b", "c", "d"))
    table = main_table(evidence_of(tmp_path, *graded({"kd": 1.0}, seeds=1, pairs=pairs)))
    text = latex(table)
    assert text.count(r"\begin{table*}") == 1
    assert text.count(r"\begin{tabular}") == 2
