"""Figures in many situations: drawn or said why not, nothing over anything else, and equal to the data beside them."""

import csv
import shutil
from dataclasses import replace
from functools import cache
from itertools import combinations
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import drawn_grids as grids
import fake_results as fake
import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.text import Text
from matplotlib.transforms import Affine2D, Bbox

from analysis.cells import Cell, pool
from analysis.evidence import weigh
from analysis.figures import Drawing, draw_figures
from analysis.figures.budget import data
from analysis.figures.canvas import ONE_COLUMN, TALLEST, TWO_COLUMNS
from analysis.figures.learning import read, summarise
from analysis.figures.relation import cells as relation_cells
from analysis.figures.words import printable, shortened, text_width
from analysis.gains import relation_gains
from analysis.load import Results, load
from analysis.published import Match
from analysis.style import KNOWN, listing_order, styles

LONG = (
    ("vision_transformer_large_patch16_224", "mobilenetv3_small_100.lamb_in1k"),
    ("convnextv2_base.fcmae_ft_in22k", "efficientformerv2_s0.snap_dist_in1k"),
    ("resnet56", "resnet20"),
)
ODD = ("student", "kd", "rkd_da[distance=10,angle=20.5]", "größe_$x^2", "方法 & 100%", "kd+rkd_da+gkd[p=2,k=5]")
ALL = ["accuracy_vs_budget", "gains", "ranks", "learning_curves", "relation_vs_gain", "published_vs_reproduced"]
NO_RANKS = [name for name in ALL if name != "ranks"]


@cache
def results(situation: str) -> Results:
    """Results of a situation, made once; they are only read."""
    path = Path(mkdtemp()) / situation
    methods = list(grids.GAINS)
    match situation:
        case "small":
            grids.write(path, grids.PAIRS[:2], ["student", "kd", "fitnet", "sp", "rkd_d", "rkd_a", "rkd_da", "gkd"], 3)
        case "published":
            grids.write(path, seeds=2)
        case "two data sets":
            grids.write(path, grids.PAIRS[:2], methods[:5], 2)
            fake.full_grid(path.parent / "digits")
            return load([path, path.parent / "digits"])
        case "one pair":
            grids.write(path, grids.PAIRS[5:6], seeds=3)
        case "one seed":
            grids.write(path, grids.PAIRS[:3], methods[:4], 1)
        case "one method":
            grids.write(path, grids.PAIRS[:2], ["kd"], 2)
        case "one run":
            grids.write(path, grids.PAIRS[:1], ["kd"], 1)
        case "odd names":
            grids.write(path, LONG, ODD, 3, dataset="a_rather_long_name_of_a_data_set_64x64")
        case "holes":
            grids.write(path, grids.PAIRS[:4], methods[:6], 3)
            for record in sorted((path / "records").iterdir())[::5]:
                record.unlink()
    return load([path])


def matches(found: Results) -> list[Match]:
    """As if every other cell had been published, some far off."""
    cells = [cell for cell in pool(found.runs) if cell.top1_percent is not None and cell.method != "teacher"]
    return [_match(cell, i) for i, cell in enumerate(cells)]


def _match(cell: Cell, i: int) -> Match:
    assert cell.top1_percent is not None
    gap = (i % 5 - 2) * 0.8
    std = 0.2 if i % 2 else None
    return Match(cell, "A paper", "a table", cell.top1_percent - gap, std, cell.top1_percent, gap, None)


@cache
def drawn(situation: str) -> tuple[list[Drawing], list[str]]:
    found = results(situation)
    return draw_figures(found, replace(weigh(found.runs), matches=matches(found)))


def draw(*folders: Path) -> tuple[list[Drawing], list[str]]:
    """What there is to draw of results folders, and what there is not."""
    found = load(folders)
    return draw_figures(found, weigh(found.runs))


SITUATIONS = {
    "small": ALL,
    "published": ALL,
    "one pair": NO_RANKS,
    "one seed": ALL,
    "one method": ["accuracy_vs_budget", "learning_curves", "published_vs_reproduced"],
    "one run": ["accuracy_vs_budget", "learning_curves", "published_vs_reproduced"],
    "odd names": ALL,
    "holes": ALL,
    "two data sets": [
        *("accuracy_vs_budget-cifar100", "accuracy_vs_budget-digits", "gains", "ranks", "learning_curves"),
        *("published_vs_reproduced",),
    ],
}


@pytest.mark.parametrize("situation", SITUATIONS)
def test_every_figure_is_drawn_or_said_why_not(situation: str) -> None:
    figures, notes = drawn(situation)
    kinds = {figure.name.split("-")[0] for figure in figures}
    assert len(kinds) + len(notes) == len(ALL)
    assert all(": " in note for note in notes)
    if situation != "two data sets":
        assert [figure.name for figure in figures] == SITUATIONS[situation]


def test_a_figure_for_each_data_set_is_named_after_it() -> None:
    names = [figure.name for figure in drawn("two data sets")[0]]
    assert names[:2] == ["accuracy_vs_budget-cifar100", "accuracy_vs_budget-digits"]
    assert "learning_curves-cifar100" in names
    assert names.count("gains") == 1


def test_nothing_finished_is_nothing_drawn(tmp_path: Path) -> None:
    records = [fake.record(fake.run("kd", seed), status="diverged", reason="loss is inf") for seed in range(3)]
    figures, notes = draw(fake.write(tmp_path / "grid", *records))
    assert figures == []
    assert "figure of accuracy versus budget not drawn: no run has finished" in notes
    assert len(notes) == len(ALL)


def texts(figure: Drawing) -> list[Text]:
    """Every text that can be seen. Ticks beyond the ends of their axis are made and never drawn."""
    found = [*figure.figure.texts, *(artist for artist in figure.figure.artists if isinstance(artist, Text))]
    for axes in figure.figure.axes:
        found += axes.texts
        found += [] if not axes.axison else [axes.title, axes._left_title, axes.xaxis.label, axes.yaxis.label]  # type: ignore[attr-defined]
        for axis in (axes.xaxis, axes.yaxis) if axes.axison else ():
            low, high = sorted(axis.get_view_interval())
            ticks = [tick for tick in axis.get_major_ticks() if low - 1e-9 <= tick.get_loc() <= high + 1e-9]
            found += [tick.label1 for tick in ticks]
    return [text for text in found if text.get_text() and text.get_visible()]


def extents(figure: Drawing) -> list[tuple[str, Bbox]]:
    """Texts with their places in points."""
    figure.figure.draw_without_rendering()
    scale = Affine2D().scale(72 / figure.figure.dpi)
    return [(text.get_text(), text.get_window_extent().transformed(scale)) for text in texts(figure)]


@pytest.mark.parametrize("situation", SITUATIONS)
def test_no_two_texts_overlap_and_none_leaves_the_sheet(situation: str) -> None:
    for figure in drawn(situation)[0]:
        found = extents(figure)
        width, height = figure.figure.get_size_inches() * 72
        for text, box in found:
            assert box.x0 >= -1, (figure.name, text)
            assert box.x1 <= width + 1, (figure.name, text)
            assert box.y0 >= -1, (figure.name, text)
            assert box.y1 <= height + 1, (figure.name, text)
        for (one, first), (other, second) in combinations(found, 2):
            both = Bbox.intersection(first, second)
            # Boxes of letters include room for accents and tails: a little of it may be shared.
            assert both is None or min(both.width, both.height) < 1.8, (figure.name, one, other)


@pytest.mark.parametrize("situation", SITUATIONS)
def test_figures_have_the_widths_of_a_paper(situation: str) -> None:
    for figure in drawn(situation)[0]:
        width, height = figure.figure.get_size_inches()
        assert width in (ONE_COLUMN, TWO_COLUMNS)
        assert height <= TALLEST + 0.2
        smallest = min(text.get_fontsize() for text in texts(figure))
        assert smallest >= 6


def test_fonts_are_embedded_as_truetype(tmp_path: Path) -> None:
    for figure in drawn("odd names")[0]:
        pdf = figure.write(tmp_path)[0].read_bytes()
        assert b"/FontFile2" in pdf
        assert b"/Type3" not in pdf
        assert b"CreationDate" not in pdf


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("situation", ["small", "odd names", "one run"])
def test_each_figure_has_its_data_beside_it(situation: str, tmp_path: Path) -> None:
    for figure in drawn(situation)[0]:
        written = figure.write(tmp_path)
        assert [path.suffix for path in written[:3]] == [".pdf", ".png", ".csv"]
        assert {path.stem for path in written[:3]} == {figure.name}
        assert all(rows(path) for path in written if path.suffix == ".csv")
        assert figure.caption.endswith((".", ")"))
        assert len(figure.alt) > 40


def test_svg_repeats_and_loads_nothing() -> None:
    for figure in drawn("one seed")[0]:
        image = figure.svg()
        assert image == figure.svg()
        assert b"<svg" in image
        assert b'href="http' not in image


# Accuracy versus budget


def marks(axes: Axes) -> list[tuple[float, float]]:
    """Of methods: places and accuracies of the marks that are drawn singly."""
    lines = [line.get_xydata()[0] for line in axes.lines if line.get_linestyle() == "None"]
    return [(float(across), float(up)) for across, up in lines]


def figure_named(situation: str, name: str) -> Drawing:
    return next(figure for figure in drawn(situation)[0] if figure.name == name)


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


def test_budgets_without_data_have_no_panel_and_measured_ones_get_one(tmp_path: Path) -> None:
    found = load([fake.full_grid(tmp_path / "grid")])
    labels = {axes.get_xlabel() for axes in draw_figures(found, weigh(found.runs))[0][0].figure.axes}
    assert "Latency of one image" not in labels
    found.runs["latency_seconds"] = 0.003
    found.runs["memory_bytes"] = 3e8
    found.runs["energy_joules"] = found.runs.training_flops * 1e-9
    axes = draw_figures(found, weigh(found.runs))[0][0].figure.axes
    assert [each.get_xlabel() for each in axes] == [
        *("Student parameters", "MACs of one inference", "Latency of one image", "Peak memory of training"),
        *("Device time of training", "Training FLOPs, teacher's forward included", "Energy of training"),
    ]
    assert "3 ms" in [tick.get_text() for tick in axes[2].get_xticklabels()]
    assert "300 MB" in [tick.get_text() for tick in axes[3].get_xticklabels()]


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
    flops = draw(folder)[0][0].figure.axes[-1]
    [front] = [line for line in flops.lines if line.get_drawstyle() == "steps-post"]
    assert list(front.get_ydata()) == pytest.approx([90, 93, 93])


def test_cells_that_lack_seeds_are_marked() -> None:
    figure = figure_named("holes", "accuracy_vs_budget")
    partial = sum(row["state"] == "incomplete" for row in figure.data[""])
    axes = figure.figure.axes[0]
    assert sum(line.get_fillstyle() == "bottom" for line in axes.lines) == partial > 0
    assert "Incomplete (see table)" in [text.get_text() for text in texts(figure)]


# Gains, ranks


def test_the_heat_map_says_what_the_rows_say() -> None:
    figure = figure_named("small", "gains")
    heat = figure.figure.axes[0]
    printed = [text.get_text() for text in heat.texts]
    cells = {(row["method"], row["pair"]): row for row in figure.data[""] if row["pair"]}
    assert len(printed) == len(cells) == 14
    gains = [float(text.strip("*").replace("−", "-")) for text in printed]
    assert gains == pytest.approx([row["gain"] for row in _by_method(cells)], abs=0.05)
    assert {row["method"] for row in figure.data[""]} == {"kd", "fitnet", "sp", "rkd_d", "rkd_a", "rkd_da", "gkd"}


def _by_method(cells: dict[tuple[str, str], dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows as the heat map has them: methods from above, pairs from the left."""
    return [cells[key] for key in sorted(cells, key=lambda key: (listing_order(key[0]), key[1]))]


def test_established_gains_are_bold_with_a_star(tmp_path: Path) -> None:
    records = [fake.record(fake.run("student", seed), 0.80 + 0.001 * seed) for seed in range(6)]
    records += [fake.record(fake.run("kd", seed), 0.90 + 0.0014 * seed) for seed in range(6)]
    records += [fake.record(fake.run("sp", seed), 0.80 + 0.01 * (-1) ** seed) for seed in range(6)]
    gains = draw(fake.write(tmp_path / "grid", *records))[0][1]
    found = {text.get_text(): text.get_fontweight() for text in gains.figure.axes[0].texts}
    assert {text: weight for text, weight in found.items() if text.endswith("*")} == {"+10.1*": "bold"}


def test_every_paired_gain_is_a_dot() -> None:
    figure = figure_named("published", "gains")
    [spread] = [axes for axes in figure.figure.axes if axes.get_xlabel().startswith("Gain")]
    dots = sum(len(line.get_xydata()) for line in spread.lines if line.get_alpha())
    assert dots == len(figure.data["_paired"]) == 13 * 11 * 2


def test_more_pairs_than_a_page_holds_are_refused_by_name(tmp_path: Path) -> None:
    pairs = [("resnet_l", f"s{i}") for i in range(37)]
    folder = fake.write(tmp_path / "g", *(fake.record(fake.run(m, 0, p)) for p in pairs for m in ("student", "kd")))
    assert "figure of gains not drawn: 37 pairs; a page holds 36" in draw(folder)[1]


def test_the_diagram_names_its_test_and_every_method() -> None:
    figure = figure_named("published", "ranks")
    words = " ".join(text.get_text() for text in texts(figure))
    assert "Friedman's test over n = 13 pairs" in words
    assert "Wilcoxon" in words
    assert all(KNOWN[method].name in words for method in grids.GAINS if method in KNOWN)
    few = " ".join(text.get_text() for text in texts(figure_named("small", "ranks")))
    assert "With so few pairs they cannot." in few


# Learning curves, relation, published


def test_bands_are_mean_and_standard_deviation() -> None:
    rows = [
        {"pair": "p", "teacher": "t", "student": "s", "method": "kd", "seed": seed, "epoch": epoch, "train_top1": top1}
        for epoch, values in {-1: (0.1, 0.1, 0.1), 0: (0.90, 0.91, 0.95), 1: (0.5, float("nan"), float("nan"))}.items()
        for seed, top1 in enumerate(values)
    ]
    found = summarise(pd.DataFrame(rows), "train_top1")
    assert list(found.epoch) == [0, 1]
    assert list(found.n) == [3, 1]
    assert (found["mean"][0], found.low[0], found.high[0]) == pytest.approx((92, 92 - 7**0.5, 92 + 7**0.5))
    assert found.low[1] == found.high[1] == pytest.approx(50)


def test_curves_that_cannot_be_read_are_left_out(tmp_path: Path) -> None:
    path = grids.write(tmp_path / "grid", grids.PAIRS[:1], ["student", "kd"], 2)
    curves = sorted((path / "curves").iterdir())
    curves[0].unlink()
    curves[1].write_text("epoch,train_top1\n0,oops\n", encoding="utf-8")
    curves[2].write_bytes(b"\xff\xfe\x00")
    runs = load([path]).runs
    assert len(read(runs, [path])) == grids.RECIPE.epochs
    shutil.rmtree(path / "curves")
    assert any("learning curves not drawn: cifar100: no run has" in note for note in draw(path)[1])


def test_relation_gains_are_paired_by_seed(tmp_path: Path) -> None:
    alone = [fake.record(fake.run("student", s), 0.9, cka=0.5 + 0.1 * s) for s in range(2)]
    kd = [fake.record(fake.run("kd", s), 0.92, cka=0.7 + 0.1 * s) for s in range(2)]
    runs = load([fake.write(tmp_path / "grid", *alone, *kd)]).runs
    [row] = relation_cells(relation_gains(runs)).to_dict("records")
    assert [row["n"], row["cka"], row["cka_std"], row["gain"]] == pytest.approx([2, 0.2, 0.0, 2.0])
    assert "distance_correlation" not in row
    figures = {figure.name: figure for figure in draw(tmp_path / "grid")[0]}
    assert [axes.get_title(loc="left") for axes in figures["relation_vs_gain"].figure.axes] == ["CKA"]


def test_published_marks_are_where_both_numbers_say() -> None:
    figure = figure_named("small", "published_vs_reproduced")
    [axes] = figure.figure.axes
    assert axes.get_xlim() == axes.get_ylim()
    assert sorted(marks(axes)) == sorted((r["published"], r["reproduced"]) for r in figure.data[""])
    [equal] = [line for line in axes.lines if len(line.get_xydata()) == 2]
    assert list(equal.get_xdata()) == list(equal.get_ydata())
    assert figure.data[""][1]["published_std"] == 0.2


# Words and looks


def test_names_are_shortened_in_the_middle_and_never_too_wide() -> None:
    name = "vision_transformer_large_patch16_224"
    short = shortened(name, 1.0)
    assert text_width(short) <= 1.0 < text_width(name)
    assert (short[:3], short[-3:]) == ("vis", "224")
    assert shortened("kd", 1.0) == "kd"


def test_letters_that_the_font_lacks_stand_as_code_points() -> None:
    assert printable("größe → 方\n法") == "größe → [U+65B9] [U+6CD5]"


SIMULATIONS = {
    "protanopia": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "deuteranopia": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "tritanopia": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
}
"""What linear RGB becomes for the colour-blind (Machado, Oliveira and Fernandes 2009, full severity)."""


def lightness_and_colour(colour: str, matrix: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of a colour as seen."""
    rgb = np.array(matplotlib.colors.to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = to_xyz @ np.clip(matrix @ linear, 0, 1) / (0.9505, 1, 1.089)
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("sight", ["usual", *SIMULATIONS])
def test_colours_of_the_suites_methods_are_told_apart(sight: str) -> None:
    matrix = np.array(SIMULATIONS.get(sight, np.eye(3)))
    seen = {name: lightness_and_colour(style.colour, matrix) for name, style in KNOWN.items() if name != "teacher"}
    for (one, first), (other, second) in combinations(seen.items(), 2):
        assert np.linalg.norm(first - second) > 8, (one, other)


def test_marks_alone_tell_the_suites_methods_apart() -> None:
    assert len({style.marker for style in KNOWN.values()}) == len(KNOWN)


@pytest.mark.parametrize("method", [name for name in KNOWN if name != "teacher"])
def test_variants_and_controls_keep_their_methods_colour(method: str) -> None:
    labels = [f"{method}@longer", f"{method}[weight=2]", f"{method}[weight=2]@tuned"]
    look = styles([method, *labels])
    assert {style.colour for style in look.values()} == {KNOWN[method].colour}
    assert len({style.marker for style in look.values()}) == 4
    assert all(styles([label])[label].colour == KNOWN[method].colour for label in labels)


def test_a_control_of_the_student_alone_does_not_pay_for_the_teacher(tmp_path: Path) -> None:
    records = [
        fake.record(fake.run("student", 0)),
        fake.record(fake.run("student", 0, label="student@longer", epochs=60)),
    ]
    runs = load([fake.write(tmp_path / "grid", *records)]).runs
    found = {row["method"]: row["device_seconds"] for row in data(runs, pool(runs))}
    assert found["student@longer"] == pytest.approx(10)


def test_a_method_looks_the_same_in_every_figure() -> None:
    look = styles(list(grids.GAINS))
    for name in ("gains", "relation_vs_gain"):
        figure = figure_named("published", name)
        colours = {
            matplotlib.colors.to_hex(line.get_color())
            for axes in figure.figure.axes
            for line in axes.lines
            if line.get_linestyle() == "None"
        }
        assert colours == {style.colour.lower() for method, style in look.items() if method != "student"}
