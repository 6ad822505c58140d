"""Gains, ranks, learning curves, relations and published numbers: what is drawn is what the rows say."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import drawn_grids as grids
import fake_results as fake
import numpy as np
import pandas as pd
import pytest
from situations import figure_named, marks, matches, results, texts

from analysis.figures import Drawing, NotDrawnError, gains, learning, published, relation
from analysis.runs.load import load
from analysis.statistics.evidence import collect_evidence
from analysis.statistics.gains import by_pair, run_gains
from analysis.style import KNOWN, listing_order, styles


def test_the_heat_map_says_what_the_rows_say() -> None:
    figure = figure_named("small", "gains")
    heat = figure.figure.axes[0]
    cells = {(row["method"], row["pair"]): row for row in figure.data[""] if row["pair"]}
    printed = [text.get_text() for i, text in enumerate(heat.texts[:21]) if i % 3 < 2]  # the third is all pairs
    assert len(printed) == len(cells) == 14
    shown = [float(text.strip("*†=").replace("−", "-")) for text in printed]
    assert shown == pytest.approx([row["gain"] for row in _by_method(cells)], abs=0.05)
    assert {row["method"] for row in figure.data[""]} == {"kd", "fitnet", "sp", "rkd_d", "rkd_a", "rkd_da", "gkd"}


def _by_method(cells: dict[tuple[str, str], dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows as the heat map has them: methods from above, pairs from the left."""
    return [cells[key] for key in sorted(cells, key=lambda key: (listing_order(key[0]), key[1]))]


def gains_of(folder: Path) -> Drawing:
    runs = load([folder]).runs
    evidence = collect_evidence(runs)
    [figure] = gains.drawings(evidence, styles(cell.method for cell in evidence.cells))
    return figure


def test_established_gains_are_bold_with_a_star(tmp_path: Path) -> None:
    records = [fake.record(fake.run("student", seed), 0.80 + 0.001 * seed) for seed in range(6)]
    records += [fake.record(fake.run("kd", seed), 0.90 + 0.0014 * seed) for seed in range(6)]
    records += [fake.record(fake.run("sp", seed), 0.80 + 0.01 * (-1) ** seed) for seed in range(6)]
    figure = gains_of(fake.write(tmp_path / "grid", *records))
    found = {text.get_text(): text.get_fontweight() for text in figure.figure.axes[0].texts}
    assert {text: weight for text, weight in found.items() if text.endswith("*")} == {"+10.1*": "bold"}


def test_every_pair_is_a_number_at_its_gain() -> None:
    """As the mean weighs them: a pair counts once, however many seeds it has."""
    figure = figure_named("published", "gains")
    heat, spread = figure.figure.axes
    pairs = list(dict.fromkeys(row["pair"] for row in figure.data[""] if row["pair"]))
    headings = [text.get_text() for text in heat.get_xticklabels()]
    assert [heading.split(":")[0] for heading in headings] == [*map(str, range(1, 14)), "All\npairs"]
    drawn = sorted((int(text.get_text()), round(text.get_position()[0], 6)) for text in spread.texts)
    assert drawn == sorted((pairs.index(r["pair"]) + 1, round(r["gain"], 6)) for r in figure.data[""] if r["pair"])


def test_of_a_single_pair_every_run_is_a_dot() -> None:
    figure = figure_named("one pair", "gains")
    spread = figure.figure.axes[1]
    dots = [x for line in spread.lines if line.get_marker() == "o" for x in line.get_xdata()]
    assert len(dots) == len(figure.data["_runs"])


def test_a_first_page_has_the_largest_mean_above() -> None:
    figure = figure_named("holes", "figure1")
    gains_down = [row["gain"] for row in figure.data[""]]
    assert gains_down == sorted(gains_down, reverse=True)
    forest, costs = figure.figure.axes
    assert [x for x, _ in marks(forest)] == pytest.approx(gains_down)
    assert sorted(y for _, y in marks(costs)) == pytest.approx(sorted(gains_down))
    assert all(row["relative_training_flops"] > 1 for row in figure.data[""])


def test_more_pairs_than_a_page_holds_are_refused_by_name(tmp_path: Path) -> None:
    pairs = [("resnet_l", f"s{i}") for i in range(37)]
    folder = fake.write(tmp_path / "g", *(fake.record(fake.run(m, 0, p)) for p in pairs for m in ("student", "kd")))
    with pytest.raises(NotDrawnError, match="37 pairs; a page holds 36"):
        gains_of(folder)


def test_the_diagram_names_every_method() -> None:
    figure = figure_named("published", "ranks")
    words = " ".join(text.get_text() for text in texts(figure))
    assert all(KNOWN[method].name in words for method in grids.GAINS if method in KNOWN)
    assert "Friedman" not in figure.caption  # of one data set


# Learning curves, relation, published


def test_bands_are_mean_and_standard_deviation() -> None:
    rows = [
        {"pair": "p", "teacher": "t", "student": "s", "method": "kd", "seed": seed, "epoch": epoch, "train_top1": top1}
        for epoch, values in {-1: (0.1, 0.1, 0.1), 0: (0.90, 0.91, 0.95), 1: (0.5, float("nan"), float("nan"))}.items()
        for seed, top1 in enumerate(values)
    ]
    found = learning.summarise(pd.DataFrame(rows), "train_top1")
    assert list(found.epoch) == [1, 2]
    assert list(found.n) == [3, 1]
    assert (found["mean"][0], found.low[0], found.high[0]) == pytest.approx((92, 92 - 7**0.5, 92 + 7**0.5))
    assert found.low[1] == found.high[1] == pytest.approx(50)


@pytest.mark.parametrize("epochs", [3, 4, 5, 30])
def test_epochs_have_numbers_however_few(epochs: int) -> None:
    names = {"pair": "p", "teacher": "t", "student": "s"}
    rows = [
        {**names, "method": method, "seed": 0, "epoch": epoch, "train_top1": 0.8 + 0.1 * epoch / epochs}
        for method in ("student", "kd", "sp")
        for epoch in range(epochs)
    ]
    frame = pd.DataFrame(rows).assign(validation_top1=float("nan"))
    for axes in learning.draw(frame, styles(["student", "kd", "sp"])).axes:
        if axes.get_xaxis().get_visible() and axes.lines:
            low, high = axes.get_xlim()
            ticks = [tick for tick in axes.get_xticks() if low <= tick <= high]
            assert ticks
            assert all(tick == int(tick) for tick in ticks)


def test_a_curve_below_the_axis_is_told_of() -> None:
    ends = {"student": 0.9, "kd": 0.92, "sp": 0.91, "gkd": 0.9, "rkd_d": 0.3}
    rows = [
        {"pair": "p", "teacher": "t", "student": "s", "method": method, "seed": 0, "epoch": epoch, "train_top1": end}
        for method, end in ends.items()
        for epoch in range(4)
    ]
    methods = list(ends) + [f"m{i}" for i in range(60)]
    rows += [{**row, "method": method} for method in methods[5:] for row in rows[:4]]
    panels = {axes.get_title(): axes for axes in learning.draw(pd.DataFrame(rows), styles(methods)).axes}
    said = {title: [text.get_text() for text in axes.texts if text.get_text()] for title, axes in panels.items()}
    assert (said["RKD-D"], said["KD"]) == (["↓ 30"], [])


def test_two_epochs_are_no_curve() -> None:
    """Two points, of which the axis would cut off the first."""
    rows = [
        {"pair": "p", "teacher": "t", "student": "s", "method": "kd", "seed": 0, "epoch": epoch, "train_top1": 0.8}
        for epoch in range(2)
    ]
    with pytest.raises(NotDrawnError, match="no run has an accuracy after more than two epochs"):
        learning.draw(pd.DataFrame(rows), styles(["kd"]))


def test_curves_that_cannot_be_read_are_left_out(tmp_path: Path) -> None:
    path = grids.write(tmp_path / "grid", grids.PAIRS[:1], ["student", "kd"], 2)
    curves = sorted((path / "curves").iterdir())
    curves[0].unlink()
    curves[1].write_text("epoch,train_top1\n0,oops\n", encoding="utf-8")
    curves[2].write_bytes(b"\xff\xfe\x00")
    runs = load([path]).runs
    assert len(learning.read(runs, [path])) == grids.RECIPE.epochs
    shutil.rmtree(path / "curves")
    with pytest.raises(NotDrawnError, match="cifar100: no run has"):
        learning.drawings(runs, [path], styles(["student", "kd"]))


def test_relation_gains_are_over_the_mean_of_the_student_alone(tmp_path: Path) -> None:
    alone = [fake.record(fake.run("student", s), 0.9, cka=0.5 + 0.1 * s) for s in range(2)]
    kd = [fake.record(fake.run("kd", s), 0.92, cka=0.7 + 0.1 * s) for s in range(2)]
    table = run_gains(by_pair(load([fake.write(tmp_path / "grid", *alone, *kd)]).runs))
    [row] = relation.cells(table).to_dict("records")
    assert [row["n"], row["cka"], row["gain"]] == pytest.approx([2, 0.2, 2.0])
    assert row["cka_within"] == row["gain_within"] == 0
    assert "distance_pearson" not in row
    with pytest.raises(NotDrawnError, match="no pair has two methods"):
        relation.draw(relation.cells(table), styles(["student", "kd"]))


def test_relations_are_within_pairs_and_by_data_set() -> None:
    figure = figure_named("small", "relation_vs_gain")
    rows = pd.DataFrame(figure.data[""])
    assert rows.groupby("pair").gain_within.mean().abs().max() < 1e-9
    for axes, name in zip(figure.figure.axes, ("distance_pearson", "cosine_pearson"), strict=False):
        expected = sorted(zip(rows[f"{name}_within"], rows.gain_within, strict=True))
        assert np.array(sorted(marks(axes))) == pytest.approx(np.array(expected))
    assert "association, no effect" in figure.caption


def test_published_marks_are_where_both_gains_say() -> None:
    figure = figure_named("small", "published_vs_reproduced")
    [axes] = figure.figure.axes
    assert axes.get_xlim() == axes.get_ylim()
    assert sorted(marks(axes)) == sorted((r["published"], r["reproduced"]) for r in figure.data[""])
    assert axes.get_title() == "cifar100\n10 % of the published epochs"
    assert "trained for 10 % of the published epochs" in figure.caption


def test_gains_of_a_training_far_shorter_than_the_published_one_are_not_compared() -> None:
    evidence = collect_evidence(results("small").runs)
    short = [replace(each, published=replace(each.published, epochs=60 * 21)) for each in matches(evidence)]
    with pytest.raises(NotDrawnError, match="trained for 5% of its epochs or more"):
        published.drawings(replace(evidence, matches=short), styles(KNOWN))
