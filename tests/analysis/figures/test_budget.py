"""Accuracy versus budget: every cell where its numbers say, and what is not known said so."""

from pathlib import Path
from typing import Any

import fake_results as fake
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from situations import figure_named, marks

from analysis.figures import Drawing, gains
from analysis.figures.budget import data, displayed, drawings
from analysis.figures.budget_axis import BUDGETS, distinct, set_axis
from analysis.runs.load import load
from analysis.runs.metrics import TOP1, metric
from analysis.statistics.basic import Interval
from analysis.statistics.evidence import collect_evidence
from analysis.style import styles


@pytest.mark.parametrize("situation", ["small", "published", "one pair"])
def test_every_mark_is_at_its_budget_and_accuracy(situation: str) -> None:
    """However many lie over each other: nothing is moved along an axis that means something."""
    figure = figure_named(situation, "accuracy_vs_budget")
    students = [row for row in figure.data[""] if row["method"] != "teacher"]
    for axes, column in zip(figure.figure.axes, columns(figure), strict=False):
        divisor = 60 if axes.get_xlabel().endswith("(min)") else 3600 if axes.get_xlabel().endswith("(h)") else 1
        expected = sorted((row[column] / divisor, row["top1_percent"]) for row in students)
        assert np.array(sorted(marks(axes))) == pytest.approx(np.array(expected))


def columns(figure: Drawing) -> list[str]:
    """Of the panels."""
    return [name.removeprefix("front_") for name in figure.data[""][0] if name.startswith("front_")]


def drawn(folder: Path) -> list[Drawing]:
    evidence = collect_evidence(load([folder]).runs)
    return drawings(evidence, styles(cell.method for cell in evidence.cells))


def test_budgets_that_say_the_same_are_left_for_an_appendix(tmp_path: Path) -> None:
    main, appendix = drawn(fake.full_grid(tmp_path / "grid"))
    assert [axes.get_xlabel() for axes in main.figure.axes] == [
        *("MACs of one inference", "Training FLOPs"),
        "Device time of training",
    ]
    assert [axes.get_xlabel() for axes in appendix.figure.axes] == ["Student parameters"]
    assert (main.name, appendix.name) == ("accuracy_vs_budget", "budget_appendix")


def test_budgets_of_another_order_are_distinct() -> None:
    rows: list[dict[str, Any]] = [
        {"student": name, "pair": name, "method": "kd", "macs": macs, "parameters": parameters}
        for name, macs, parameters in (("a", 10, 10), ("b", 20, 5), ("c", 30, 40))
    ]
    assert [budget.column for budget in distinct(rows)[0]] == ["macs", "parameters"]
    assert [budget.column for budget in distinct(rows[::2])[1]] == ["parameters"]


def test_measured_budgets_have_panels_and_the_caption_names_the_device() -> None:
    figure = figure_named("measured", "accuracy_vs_budget")
    assert "Peak memory of training" in [axes.get_xlabel() for axes in figure.figure.axes]
    assert "measured alone on 2-core CPU, 2 threads." in figure.caption
    assert {row["measured_on"] for row in figure.data[""] if row["method"] != "teacher"} == {"2-core CPU, 2 threads"}


def test_energy_has_a_panel_where_the_device_counted_it(tmp_path: Path) -> None:
    folder = fake.full_grid(tmp_path / "grid")
    fake.measure(folder, joules_per_flop=1e-9)
    figures = drawn(folder)
    assert "Energy of training" in [axes.get_xlabel() for figure in figures for axes in figure.figure.axes]


@pytest.mark.parametrize("values", [[3.2e6], [3.2e6, 4.1e7], [2.9e-3, 3.3e-3], [1.0, 5e4]])
def test_ticks_are_round_and_show_a_logarithm(values: list[float]) -> None:
    axes = Figure(figsize=(3, 2)).add_subplot()
    set_axis(axes, values, "", str, 2.5)
    low, high = axes.get_xlim()
    shown = [tick for tick in axes.get_xticks() if low <= tick <= high]
    assert len(shown) >= 2
    assert all(float(f"{tick:.2g}") == pytest.approx(tick) for tick in shown)
    assert len(shown) + len(axes.get_xticks(minor=True)) >= 5


@pytest.mark.parametrize(("seconds", "shown"), [(90, ("", 1)), (1900, ("(min)", 60)), (9000, ("(h)", 3600))])
def test_times_are_in_a_unit_for_people(seconds: float, shown: tuple[str, int]) -> None:
    [budget] = [each for each in BUDGETS if each.column == "device_seconds"]
    divisor, label, _ = budget.axis([10.0, seconds])
    assert (label.removeprefix("Device time of training").strip(), divisor) == shown


def test_budget_rows_hold_hand_computed_numbers(tmp_path: Path) -> None:
    kd = [fake.record(fake.run("kd", seed), top1) for seed, top1 in enumerate((0.90, 0.91, 0.95))]
    alone = [fake.record(fake.run("student", seed), 0.9) for seed in range(3)]
    evidence = collect_evidence(load([fake.write(tmp_path / "grid", *kd, *alone)]).runs)
    found = {row["method"]: row for row in data(evidence)}
    mean = evidence.accuracy(("digits", "resnet_l_resnet_s", "kd"))
    assert mean
    interval = mean.interval()
    assert interval
    assert (found["kd"]["low"], found["kd"]["high"]) == (interval.low, interval.high)
    # 10, 11 and 12 seconds of its own and, for what learns from the teacher, 4 of the teacher's.
    assert found["kd"]["device_seconds"] == pytest.approx(15)
    assert found["student"]["device_seconds"] == pytest.approx(11)
    assert found["teacher"]["device_seconds"] is None


def test_intervals_of_shares_end_where_shares_do() -> None:
    assert displayed(Interval(-3.0, 104.0), TOP1) == (0.0, 100.0)
    assert displayed(Interval(-60.0, -50.0), metric("nll")) == (50.0, 60.0)
    assert displayed(None, TOP1) == (None, None)


def test_the_front_is_of_the_best_for_their_budget_and_marks_are_filled_by_its_probability(tmp_path: Path) -> None:
    means = {"student": 0.90, "kd": 0.93, "sp": 0.80}
    records = [fake.record(fake.run(m, s), top1 + 0.001 * s) for m, top1 in means.items() for s in range(3)]
    figure = drawn(fake.write(tmp_path / "grid", *records))[0]
    flops = next(axes for axes in figure.figure.axes if axes.get_xlabel() == "Training FLOPs")
    [front] = [line for line in flops.lines if line.get_drawstyle() == "steps-post"]
    assert list(front.get_ydata()) == pytest.approx([90.1, 93.1, 93.1])
    shares = {row["method"]: row["front_training_flops"] for row in figure.data[""]}
    assert shares["student"] == 1
    assert shares["kd"] > 0.99
    assert shares["sp"] < 0.01
    faces = {line.get_marker(): to_rgb(line.get_markerfacecolor()) for line in flops.lines if line.get_marker() in "sv"}
    assert faces["s"] == pytest.approx(to_rgb("#E69F00"), abs=0.02)
    assert faces["v"] == pytest.approx((1, 1, 1), abs=0.02)


def test_cells_that_lack_seeds_are_ringed() -> None:
    figure = figure_named("holes", "accuracy_vs_budget")
    partial = sum(row["state"] == "incomplete" for row in figure.data[""])
    axes = figure.figure.axes[0]
    assert sum(line.get_marker() == "o" and line.get_markerfacecolor() == "none" for line in axes.lines) == partial > 0
    assert figure.caption.endswith("Ringed: some seeds have no result.")


def test_a_control_of_the_student_alone_does_not_pay_for_the_teacher(tmp_path: Path) -> None:
    records = [
        fake.record(fake.run("student", 0)),
        fake.record(fake.run("student", 0, label="student@longer", epochs=60)),
    ]
    evidence = collect_evidence(load([fake.write(tmp_path / "grid", *records)]).runs)
    found = {row["method"]: row["device_seconds"] for row in data(evidence)}
    assert found["student@longer"] == pytest.approx(10)


def test_what_trains_longer_is_on_the_front_and_what_trains_otherwise_is_not(tmp_path: Path) -> None:
    """A control without a class would be cheap, bad, and on the front of training FLOPs; matched epochs are a rival."""
    lacking = fake.RECIPE.model_copy(update={"without_classes": (3,)})
    runs = [
        *(fake.run(method, seed) for method in ("student", "kd") for seed in range(2)),
        *(fake.run("student", seed, label="student@matched_kd", epochs=60) for seed in range(2)),
        *(fake.run("kd", seed, label="kd@shuffled", shuffled=True) for seed in range(2)),
    ]
    apart = [run.model_copy(update={"recipe": lacking, "label": "kd@without_3"}) for run in runs[2:4]]
    folder = fake.write(tmp_path / "grid", *map(fake.record, runs), *(fake.record(run, 0.1) for run in apart))
    evidence = collect_evidence(load([folder]).runs)
    assert {method for _, _, method in evidence.otherwise} == {"kd@shuffled", "kd@without_3"}
    figure = drawings(evidence, styles(cell.method for cell in evidence.cells))[0]
    assert {row["method"] for row in figure.data[""]} == {"teacher", "student", "kd", "student@matched_kd"}
    assert figure.caption.endswith("Not shown, trained otherwise: KD (shuffled), KD (without_3).")
    scales = gains.draw(evidence, styles(cell.method for cell in evidence.cells)).axes[1]
    low, _ = scales.get_xlim()
    assert low > -20
    assert [text.get_text() for text in scales.texts if "←" in text.get_text()] == ["← −80.3"]
