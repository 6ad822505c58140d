"""Published numbers beside reproduced ones: what is compared with what, and what the table says of it."""

import csv
from math import sqrt
from pathlib import Path

import fake_results as fake
import pytest
from scipy.stats import t

from analysis.runs.load import load
from analysis.statistics.basic import Sample, holm, summarise
from analysis.statistics.evidence import collect_evidence
from analysis.statistics.moderated import Moderation, Part
from analysis.statistics.published import FILE, METHODS, OPTIONS, read
from analysis.style import KNOWN
from analysis.tables.latex import latex
from analysis.tables.markdown import markdown
from analysis.tables.published import published_table
from benchmark.ground.errors import UsageError
from benchmark.spec import load_grid


def test_the_published_file_says_of_every_number_where_it_stands() -> None:
    with FILE.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) == len({tuple(row.values()) for row in rows}) == 811 + 373 + 8
    assert all(row["paper"] and row["source"] and float(row["value"]) for row in rows)
    assert {row["epoch"] for row in rows} == {"last", "best", ""}
    ends = {"top1_acc_last": {"last"}, "top1_acc_best": {"best"}, "top1_err": {"last", ""}}
    for metric, epochs in ends.items():
        assert {row["epoch"] for row in rows if row["metric"] == metric} == epochs


def test_every_last_epoch_is_read_and_every_name_that_is_mapped_is_there() -> None:
    published = read()
    assert {each.paper for entries in published.values() for each in entries} == {
        "CRD (Tian 2020)",
        "MHGD (Lee & Song BMVC 2019)",
        "MHGD authors TF benchmark (2019)",
        "graph_kd_dense (Lassance)",
        "Logit standardisation (Sun 2024), log",
        "GKD (Lassance 2020)",
        "Distillation (Hinton 2014)",
    }
    methods = {key[3] for key in published}
    assert {"teacher", "student", "kd", "softlogits", "fitnet", "rkd", "sp", "mhgd", "gkd", "rkdd"} <= methods
    assert set(METHODS) <= {*KNOWN, "kd+sp", "kd+rkd_da", "kd@without_3"}


def test_errors_are_read_as_what_they_leave() -> None:
    # Lassance's log of DenseNet 100-12, fine-tuned: test error 4.91 %, one run.
    [found] = read()["cifar10", "none", "finetunedensenet10012403", "student"]
    assert (found.value, found.n, found.epochs) == (pytest.approx(95.09), 1, 300)


def test_cells_find_their_published_numbers_under_any_spelling(tmp_path: Path) -> None:
    pair = ("resnet32x4", "resnet8x4")
    fake.TEACHERS.setdefault(pair[0], (0.7942, 7_000_000, 1_000_000_000))
    records = [
        fake.record(fake.run(method, seed, pair, dataset="cifar100"), 0.73 + seed / 100)
        for method in ("student", "kd", "rkd_da", "rkd_d", "kd[temperature=2]")
        for seed in range(2)
    ]
    evidence = collect_evidence(load([fake.write(tmp_path / "grid", *records)]).runs, read())
    found = {match.cell.method: match for match in evidence.matches}
    # RepDistiller's table, resnet32x4 -> resnet8x4; neither RKD's distance term alone nor another temperature is in it.
    values = {method: match.published.value for method, match in found.items()}
    assert values == {"teacher": 79.42, "student": 72.50, "kd": 73.33, "rkd_da": 71.90}
    assert found["kd"].difference == pytest.approx(73.5 - 73.33)
    # How many runs RepDistiller's numbers are of is not said: two of these, of standard deviation 0.707, against one.
    pair = Moderation.fit([Part.of(summarise([73.0, 74.0]))] * 5)
    known = pair.agreement(summarise([73.0, 74.0]), Sample(1, 73.33, None))
    assert known
    assert found["kd"].half_width == pytest.approx(known.half_width())
    assert [found[name].verdict for name in ("teacher", "kd")] == ["too few seeds", "within"]
    table = published_table(evidence.matches)
    assert ("", "Of 4, 3 within, 1 too few seeds") in table.notes
    assert len(table.caption.split()) < 60
    assert "CRD (Tian 2020)" in markdown(table)


def test_a_part_of_a_data_set_has_no_published_numbers(tmp_path: Path) -> None:
    pair = ("resnet32x4", "resnet8x4")
    fake.TEACHERS.setdefault(pair[0], (0.7942, 7_000_000, 1_000_000_000))
    run = fake.run("kd", 0, pair, dataset="cifar100")
    assert run.teacher is not None
    part = run.dataset.model_copy(update={"train": 5_000})
    of_part = run.model_copy(update={"dataset": part, "teacher": run.teacher.model_copy(update={"dataset": part})})
    alone = [fake.write(tmp_path / name, fake.record(each)) for name, each in (("whole", run), ("part", of_part))]
    whole, lacking, both = (
        collect_evidence(load(folders).runs, read()).matches for folders in (alone[:1], alone[1:], alone)
    )
    assert {match.cell.method for match in whole} == {"teacher", "kd"}
    assert not lacking
    assert [match.published for match in both] == [match.published for match in whole]


HINTON = {"student": (146, 150, 142), "kd": (74, 80, 71), "kd@without_3": (300, 310, 305)}
"""Test errors of 10,000 images over three seeds; published are 146, 74 and 206."""


def test_the_first_experiment_stands_beside_its_published_errors(tmp_path: Path) -> None:
    pair = ("mlp1200", "mlp800")
    fake.TEACHERS.setdefault(pair[0], (0.9933, 2_400_000, 2_400_000))
    records = [
        fake.record(run, 1 - errors / 10_000)
        for method, counts in HINTON.items()
        for seed, errors in enumerate(counts)
        for run in [fake.run(method, seed, pair, dataset="mnist", options=OPTIONS["Distillation", "kd"])]
    ]
    matches = collect_evidence(load([fake.write(tmp_path / "grid", *records)]).runs, read()).matches
    rows = {row["method"]: row for row in published_table(matches).data}
    assert {name: row["published_percent"] for name, row in rows.items()} == pytest.approx(
        {"teacher": 99.33, "student": 98.54, "kd": 99.26, "kd@without_3": 97.94}
    )
    assert {row["published_n"] for row in rows.values()} == {1}
    # One published run is taken to spread like these, whose cells lend each other what they know.
    ours = {method: summarise([100 - errors / 100 for errors in counts]) for method, counts in HINTON.items()}
    lent = Moderation.fit(map(Part.of, ours.values()))
    for method, sample in ours.items():
        known = lent.agreement(sample, Sample(1, float(rows[method]["published_percent"]), None))
        assert known
        assert rows[method]["half_width_points"] == pytest.approx(known.half_width())
    assert [rows[name]["verdict"] for name in ("teacher", *HINTON)] == ["too few seeds", "within", "within", "outside"]


def test_both_spreads_count_where_both_are_known(tmp_path: Path) -> None:
    pair = ("wrn-28-1", "wrn-28-0.5")
    fake.TEACHERS.setdefault(pair[0], (0.9327, 370_000, 60_000_000))
    accuracies = {"gkd": (90.2, 90.5, 90.4), "rkd_d": (89.0, 88.9, 88.8)}
    records = [
        fake.record(fake.run(method, seed, pair, dataset="cifar10", options=OPTIONS["GKD", "rkd_d"]), top1 / 100)
        for method, values in accuracies.items()
        for seed, top1 in enumerate(values)
    ]
    matches = collect_evidence(load([fake.write(tmp_path / "grid", *records)]).runs, read()).matches
    found = {match.cell.method: match for match in matches}
    assert [found[name].verdict for name in ("teacher", "gkd", "rkd_d")] == ["too few seeds", "within", "outside"]
    lent = Moderation.fit(Part.of(summarise(values)) for values in accuracies.values())
    sides = zip(accuracies.values(), ((90.29, 0.21), (89.92, 0.17)), strict=True)
    tests = [lent.agreement(summarise(values), Sample(10, *theirs)) for values, theirs in sides]
    assert (found["gkd"].p, found["rkd_d"].p) == pytest.approx(holm([test.p for test in tests if test]))


def test_a_method_with_other_options_than_the_papers_is_not_compared(tmp_path: Path) -> None:
    """The authors of graph distillation take distances at three depths, and Hinton et al. soften by 20."""
    pairs = {"cifar10": ("wrn-28-1", "wrn-28-0.5"), "mnist": ("mlp1200", "mlp800")}
    for teacher, _ in pairs.values():
        fake.TEACHERS.setdefault(teacher, (0.9, 370_000, 60_000_000))
    soft = {"temperature": 20.0, "ce": 1.0, "weight": 1.0}
    for depths, kd, compared in ((3, soft, {"rkd_d", "kd"}), (1, soft, {"kd"}), (3, {**soft, "ce": 0.1}, {"rkd_d"})):
        options = {"rkd_d": {"stages": depths}, "kd": kd}
        cells = (("cifar10", "rkd_d"), ("mnist", "kd"), ("mnist", "student"))
        runs = [fake.run(method, 0, pairs[dataset], dataset=dataset, options=options) for dataset, method in cells]
        folder = fake.write(tmp_path / f"{depths}{kd['ce']}", *map(fake.record, runs))
        matches = collect_evidence(load([folder]).runs, read()).matches
        assert {match.cell.method for match in matches} == compared | {"student", "teacher"}


def test_grids_of_published_protocols_have_their_sources_options() -> None:
    grids = {"Distillation": "mnist_hinton", "GKD": "cifar10_gkd_published_teacher", "MHGD": "cifar100_mhgd"}
    for (paper, label), wanted in OPTIONS.items():
        given = load_grid(grids[paper]).options
        assert all(options.items() <= given[name].items() for name, options in wanted.items()), label


def test_one_run_is_judged_by_the_published_spread(tmp_path: Path) -> None:
    pair = ("wrn-28-1", "wrn-28-0.5")
    fake.TEACHERS.setdefault(pair[0], (0.9327, 370_000, 60_000_000))
    folder = fake.write(tmp_path / "grid", fake.record(fake.run("gkd", 0, pair, dataset="cifar10"), 0.9))
    [_, gkd] = collect_evidence(load([folder]).runs, read()).matches
    assert gkd.half_width == pytest.approx(t.ppf(0.975, 9) * 0.21 * sqrt(1 + 1 / 10))
    assert gkd.verdict == "within"


def test_published_gains_and_epochs_stand_beside_the_reproduced_ones(tmp_path: Path) -> None:
    pair = ("resnet32x4", "resnet8x4")
    fake.TEACHERS.setdefault(pair[0], (0.7942, 7_000_000, 1_000_000_000))
    cells = {"student": (0.70, 0.72), "kd": (0.73, 0.76), "sp": (0.70, 0.70)}
    records = [
        fake.record(fake.run(method, seed, pair, dataset="cifar100", epochs=240), top1)
        for method, accuracies in cells.items()
        for seed, top1 in enumerate(accuracies)
    ]
    matches = collect_evidence(load([fake.write(tmp_path / "grid", *records)]).runs, read()).matches
    rows = {row["method"]: row for row in published_table(matches).data}
    # RepDistiller's table: student 72.50, KD 73.33, SP 72.94.
    gains = {name: (row["published_gain_points"], row["reproduced_gain_points"]) for name, row in rows.items()}
    assert gains.pop("kd") == pytest.approx((0.83, 3.5))
    assert gains == {"teacher": (None, None), "student": (None, None), "sp": pytest.approx((0.44, -1.0))}
    # Students were trained for as long as published, their teacher was not.
    epochs = {name: (row["epochs"], row["published_epochs"]) for name, row in rows.items()}
    assert epochs == {"teacher": (30, 240), "student": (240, 240), "kd": (240, 240), "sp": (240, 240)}
    assert not any(match.shorter for match in matches if match.cell.method != "teacher")
    assert "trained for fewer" not in markdown(published_table(matches))
    heading = latex(published_table(matches)).split("\\midrule")[0]
    assert all(name in heading for name in ("Top-1", "published", "reproduced", "difference", "Gain", "Epochs"))


def test_without_the_student_alone_there_is_no_gain_to_compare(tmp_path: Path) -> None:
    pair = ("resnet32x4", "resnet8x4")
    fake.TEACHERS.setdefault(pair[0], (0.7942, 7_000_000, 1_000_000_000))
    folder = fake.write(tmp_path / "grid", fake.record(fake.run("kd", 0, pair, dataset="cifar100"), 0.7))
    matches = collect_evidence(load([folder]).runs, read()).matches
    assert {match.cell.method for match in matches} == {"teacher", "kd"}
    assert {(match.published_gain, match.reproduced_gain) for match in matches} == {(None, None)}


def test_fitnet_of_who_trains_it_in_two_stages_is_not_that_of_one() -> None:
    place = ("cifar100", "resnet32", "resnet8")
    published = read()
    assert (*place, "fitnet") not in published
    assert {each.value for each in published[*place, "fitnettwostage"]} == {72.74}
    assert (*place, "rkd") in published


def test_best_epoch_numbers_are_never_compared_with() -> None:
    papers = {each.paper for entries in read().values() for each in entries}
    assert "DKD (Zhao 2022)" not in papers
    values = [each.value for each in read()["cifar100", "resnet32", "resnet8", "mhgd"]]
    assert values == [73.98]


def test_a_published_file_without_its_columns_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("paper,value\na,1\n", encoding="utf-8")
    with pytest.raises(UsageError, match="no column 'epoch'"):
        read(tmp_path / "x.csv")
    cells = "A,KD,d,t,s,top1_acc,much,,,last,,a table"
    columns = "paper,method,dataset,teacher,student,metric,value,std,n,epoch,epochs,source"
    (tmp_path / "x.csv").write_text(f"{columns}\n{cells}\n", encoding="utf-8")
    with pytest.raises(UsageError, match="'much'"):
        read(tmp_path / "x.csv")
