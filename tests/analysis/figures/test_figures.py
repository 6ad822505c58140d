"""Figures in many situations: drawn or said why not, nothing over anything else, and equal to the data beside them."""

import csv
from pathlib import Path

import fake_results as fake
import pytest
from situations import ALL, APPENDIX, SITUATIONS, drawn, extents, figure_named, meeting, texts

from analysis.figures import draw_figures
from analysis.figures.canvas import ONE_COLUMN, TALLEST, TWO_COLUMNS
from analysis.runs.load import load
from analysis.statistics.evidence import collect_evidence


@pytest.mark.parametrize("situation", SITUATIONS)
def test_every_figure_is_drawn_or_said_why_not(situation: str) -> None:
    figures, notes = drawn(situation)
    names = [figure.name for figure in figures if not figure.name.startswith(APPENDIX)]
    assert len({name.split("-")[0] for name in names}) + len(notes) == len(ALL)
    assert all(": " in note for note in notes)
    assert names == SITUATIONS[situation]


def test_nothing_finished_is_nothing_drawn(tmp_path: Path) -> None:
    records = [fake.record(fake.run("kd", seed), status="diverged", reason="loss is inf") for seed in range(3)]
    found = load([fake.write(tmp_path / "grid", *records)])
    figures, notes = draw_figures(found, collect_evidence(found.runs))
    assert figures == []
    assert "figure of accuracy versus budget not drawn: no run has finished" in notes
    assert len(notes) == len(ALL) - 1  # nobody asked for the one of a first page


@pytest.mark.parametrize("situation", SITUATIONS)
def test_no_two_texts_overlap_and_none_leaves_the_sheet(situation: str) -> None:
    for figure in drawn(situation)[0]:
        width, height = figure.figure.get_size_inches() * 72
        for text, box in extents(figure):
            assert box.x0 >= -1, (figure.name, text)
            assert box.x1 <= width + 1, (figure.name, text)
            assert box.y0 >= -1, (figure.name, text)
            assert box.y1 <= height + 1, (figure.name, text)
        assert not meeting(figure), figure.name


@pytest.mark.parametrize("situation", SITUATIONS)
def test_figures_have_the_widths_of_a_paper(situation: str) -> None:
    for figure in drawn(situation)[0]:
        width, height = figure.figure.get_size_inches()
        assert width in (ONE_COLUMN, TWO_COLUMNS)
        assert height <= TALLEST + 0.2
        smallest = min(text.get_fontsize() for text in texts(figure))
        assert smallest >= 6
        assert len(figure.caption.split()) < 60, figure.caption
        assert figure.caption.endswith((".", ")"))
        assert len(figure.alt) > 40


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_each_figure_has_truetype_fonts_and_its_data_beside_it(tmp_path: Path) -> None:
    for figure in (*drawn("one run")[0], figure_named("odd names", "gains")):
        written = figure.write(tmp_path)
        assert [path.suffix for path in written[:3]] == [".pdf", ".png", ".csv"]
        assert {path.stem for path in written[:3]} == {figure.name}
        assert all(rows(path) for path in written if path.suffix == ".csv")
        pdf = written[0].read_bytes()
        assert b"/FontFile2" in pdf
        assert b"/Type3" not in pdf
        assert b"CreationDate" not in pdf


def test_svg_repeats_and_loads_nothing() -> None:
    for figure in drawn("one run")[0]:
        image = figure.svg()
        assert image == figure.svg()
        assert b"<svg" in image
        assert b'href="http' not in image
