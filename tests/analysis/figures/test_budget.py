"""Accuracy versus budget: every cell where its numbers say, nothing hidden, and what is not known said so."""

from itertools import combinations
from pathlib import Path

import fake_results as fake
import numpy as np
import pytest
from matplotlib.figure import Figure
from situations import figure_named, marks, texts

from analysis.figures import Drawing
from analysis.figures.budget import data, drawings
from analysis.figures.budget_axis import BUDGETS
from analysis.figures.budget_places import beside
from analysis.runs.load import load
from analysis.statistics.cells import pool
from analysis.style import styles


def test_every_cell_is_a_mark_at_its_accuracy() -> None:
    figure = figure_named("small", "accuracy_vs_budget")
    students = [row for row in figure.data[""] if row["method"] != "teacher"]
    assert len(figure.figure.axes) == 4
    for axes in figure.figure.axes:
        assert sorted(up for _, up in marks(axes)) == pytest.approx(sorted(row["top1_percent"] for row in students))


def test_marks_do_not_hide_each_other_however_many() -> None:
    for situation in ("small", "published", "one pair"):
        for axes in figure_named(situation, "accuracy_vs_budget").figure.axes:
            places = axes.transData.transform(marks(axes)) / axes.figure.dpi * 72
            nearest = min(np.hypot(*(a - b)) for a, b in combinations(places, 2))
            assert nearest >= 3.6


@pytest.mark.parametrize(("inches", "methods"), [(2.0, 9), (3.2, 9), (3.2, 3)])
def test_marks_of_a_pair_stand_around_the_budget_they_share(inches: float, methods: int) -> None:
    """Also at the ends of an axis, which makes room for them: its ticks are where budgets are."""
    figure = Figure(figsize=(inches, 2.0))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(4.3, 4.55)
    pairs = {"a": 4.31, "b": 4.54}
    rows = [{"pair": pair, "method": f"m{i}", "top1_percent": 90.0} for pair in pairs for i in range(methods)]
    spots = beside(axes, rows, [pairs[str(row["pair"])] for row in rows])
    low, high = axes.get_xlim()
    for pair, budget in pairs.items():
        places = [spot.place for spot in spots if spot.row["pair"] == pair]
        assert (places[0] + places[-1]) / 2 == pytest.approx(budget, abs=0.01 * (high - low))
        assert low < min(places) < max(places) < high


def drawn(folder: Path) -> Drawing:
    runs = load([folder]).runs
    cells = pool(runs)
    [figure] = drawings(runs, cells, styles(cell.method for cell in cells))
    return figure


def test_budgets_without_data_have_no_panel_and_the_caption_says_so() -> None:
    figure = figure_named("small", "accuracy_vs_budget")
    assert [each.get_xlabel() for each in figure.figure.axes] == [
        *("Student parameters", "MACs of one inference"),
        *("Device time of training", "Training FLOPs, teacher's forward included"),
    ]
    unknown = "Not measured here: latency of one image, peak memory of training, energy of training."
    assert figure.caption.endswith(unknown)


def test_measured_budgets_have_panels_and_the_caption_names_the_device() -> None:
    figure = figure_named("measured", "accuracy_vs_budget")
    labels = [each.get_xlabel() for each in figure.figure.axes]
    assert labels[2:4] == ["Latency of one image", "Peak memory of training"]
    ticks = {tick.get_text() for tick in figure.figure.axes[2].get_xticklabels()}
    assert ticks == {"310 µs", "640 µs"}
    assert "Latency, memory and device time were measured on 2-core CPU, 2 threads." in figure.caption
    assert {row["measured_on"] for row in figure.data[""] if row["method"] != "teacher"} == {"2-core CPU, 2 threads"}


def test_energy_has_a_panel_where_the_device_counted_it(tmp_path: Path) -> None:
    folder = fake.full_grid(tmp_path / "grid")
    fake.measure(folder, joules_per_flop=1e-9)
    figure = drawn(folder)
    axes = figure.figure.axes[-1]
    assert axes.get_xlabel() == "Energy of training"
    assert "944 J" in [tick.get_text() for tick in axes.get_xticklabels()]
    assert "Latency, memory, device time and energy were measured on 2-core CPU, 2 threads." in figure.caption
    assert "Not measured here" not in figure.caption


@pytest.mark.parametrize(("seconds", "text"), [(3e-4, "300 µs"), (90, "90 s"), (1900, "31.7 min"), (9000, "2.5 h")])
def test_seconds_are_in_a_unit_for_people(seconds: float, text: str) -> None:
    [budget] = [each for each in BUDGETS if each.column == "device_seconds"]
    assert budget.text(seconds) == text


def test_budget_rows_hold_hand_computed_numbers(tmp_path: Path) -> None:
    kd = [fake.record(fake.run("kd", seed), top1) for seed, top1 in enumerate((0.90, 0.91, 0.95))]
    alone = [fake.record(fake.run("student", seed), 0.9) for seed in range(3)]
    runs = load([fake.write(tmp_path / "grid", *kd, *alone)]).runs
    found = {row["method"]: row for row in data(runs, pool(runs))}
    # Student's t with two degrees of freedom: 4.3027 standard errors.
    half = 4.302653 * (7 / 3) ** 0.5
    assert (found["kd"]["low"], found["kd"]["high"]) == pytest.approx((92 - half, 92 + half))
    # 10, 11 and 12 seconds of its own and, for what learns from the teacher, 4 of the teacher's.
    assert found["kd"]["device_seconds"] == pytest.approx(15)
    assert found["student"]["device_seconds"] == pytest.approx(11)
    assert found["teacher"]["device_seconds"] is None


def test_the_front_is_of_the_best_for_their_budget(tmp_path: Path) -> None:
    accuracies = {"student": 0.90, "kd": 0.93, "sp": 0.92}
    folder = fake.write(tmp_path / "grid", *(fake.record(fake.run(name), top1) for name, top1 in accuracies.items()))
    flops = drawn(folder).figure.axes[-1]
    [front] = [line for line in flops.lines if line.get_drawstyle() == "steps-post"]
    assert list(front.get_ydata()) == pytest.approx([90, 93, 93])


def test_cells_that_lack_seeds_are_marked() -> None:
    figure = figure_named("holes", "accuracy_vs_budget")
    partial = sum(row["state"] == "incomplete" for row in figure.data[""])
    axes = figure.figure.axes[0]
    assert sum(len(line.get_xydata()) for line in axes.lines if line.get_fillstyle() == "bottom") == partial > 0
    assert "Incomplete (see table)" in [text.get_text() for text in texts(figure)]


def test_a_control_of_the_student_alone_does_not_pay_for_the_teacher(tmp_path: Path) -> None:
    records = [
        fake.record(fake.run("student", 0)),
        fake.record(fake.run("student", 0, label="student@longer", epochs=60)),
    ]
    runs = load([fake.write(tmp_path / "grid", *records)]).runs
    found = {row["method"]: row["device_seconds"] for row in data(runs, pool(runs))}
    assert found["student@longer"] == pytest.approx(10)
