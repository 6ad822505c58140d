"""Test errors by count, for data sets on which percentages crowd near 100, and those of students that lack a class."""

from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby

from analysis.statistics.basic import summarise
from analysis.statistics.cells import Cell, networks, pair_title
from analysis.statistics.evidence import Evidence
from analysis.statistics.left_out import LeftOut
from analysis.statistics.places import by_block
from analysis.style import TEACHER, display_name
from analysis.tables.main import WIDEST, grouped
from analysis.tables.table import Column, Field, Footnotes, Group, Table

HALF = "Predictions are kept in half precision, which may decide an image otherwise than the table of errors"
"""A note of the table of left-out classes."""

FEW = 5.0
"""Percent of errors of a data set's best student, from which on they are not counted."""

HEADINGS = (
    *(("All classes", "errors"), ("Left out", "errors"), ("Bias", "raised by")),
    *(("Then all", "errors"), ("Then left out", "errors"), ("", "n")),
)
"""Of the columns of students that lack a class, on two lines."""


def errors_table(evidence: Evidence) -> Table | None:
    """A row for the teacher and each method, a column for each pair; None where errors are not few."""
    pairs = [members for members in by_block(evidence.cells) if _few(evidence.cells, members[0].dataset)]
    if not pairs:
        return None
    images = {cell.dataset: cell.test_images for cell in evidence.cells if cell.test_images}
    notes, columns, fields, data = Footnotes(), list[Column](), list[dict[str, Field]](), []
    for members in pairs:
        cell = members[0]
        columns.append(Column(pair_title(cell), (cell.dataset, *networks(cell))))
        fields.append({each.method: _field(each, images[cell.dataset], notes) for each in members})
        for cell in members:
            errors, std = _counts(cell, images[cell.dataset])
            data.append({**cell.row("n", "test_images"), "errors": errors, "std_errors": std})
    shown = [cell for members in pairs for cell in members]
    numbers = sorted({images[cell.dataset] for cell in shown})
    caption = (
        f"Test errors of {' or '.join(f'{each:,}' for each in numbers)} images after the last epoch, mean ± SD over "
        "seeds."
    )
    groups, stub = grouped(shown, fields), ("Data set", "Teacher", "Student")
    return Table("errors", "Errors", caption, columns, groups, stub, notes.listed(), data, WIDEST)


def left_out_table(found: Sequence[LeftOut]) -> Table:
    """A row for each method that was trained without some classes, grouped by pair."""
    groups = []
    for members in by_block(found):
        methods = groupby(members, key=lambda each: each.method)
        rows = [(display_name(method), _left_out_fields(list(seeds))) for method, seeds in methods]
        groups.append(Group(pair_title(members[0]), rows))
    columns = [Column.of(*lines) for lines in HEADINGS]
    data = [{**asdict(each), "classes": " ".join(map(str, each.classes))} for each in found]
    caption, stub, notes = _left_out_caption(found), ("", "Method"), (("", HALF),)
    return Table("left_out", "Left-out classes", caption, columns, groups, stub, notes, data)


def _few(cells: Sequence[Cell], dataset: str) -> bool:
    students = [cell for cell in cells if cell.dataset == dataset and cell.method != TEACHER and cell.test_images]
    known = [cell.top1_percent for cell in students]
    return 100 - max((value for value in known if value is not None), default=0.0) < FEW


def _counts(cell: Cell, images: int) -> tuple[float | None, float | None]:
    """Mean and standard deviation of errors among so many test images of the data set, which older records do not all
    say; as far as they are known."""
    errors = None if cell.top1_percent is None else (1 - cell.top1_percent / 100) * images
    return errors, None if cell.std_percent is None else cell.std_percent / 100 * images


def _field(cell: Cell, images: int, notes: Footnotes) -> Field:
    errors, std = _counts(cell, images)
    if errors is None:
        return Field(cell.state, note=notes.mark(cell.note))
    few = notes.mark(f"n = {cell.n}" if cell.n < cell.seeds else "")
    if std is None:  # of a single run, whose errors are a whole number
        return Field(f"{errors:.0f}", note=few)
    return Field(f"{errors:.1f}", f"{std:.1f}", note=few)


def _left_out_fields(runs: Sequence[LeftOut]) -> tuple[Field, ...]:
    def mean(name: str, decimals: int = min(1, len(runs) - 1)) -> Field:  # a single run's counts are whole numbers
        summary = summarise([float(getattr(run, name)) for run in runs])
        assert summary.mean is not None
        spread = "" if summary.std is None else f"{summary.std:.{decimals}f}"
        return Field(f"{summary.mean:.{decimals}f}", spread)

    counts = (mean("errors"), mean("class_errors"), mean("bias", 2), mean("raised_errors"), mean("raised_class_errors"))
    return (*counts, Field(str(len(runs))))


def _left_out_caption(found: Sequence[LeftOut]) -> str:
    names = sorted({(each.dataset, each.classes, each.class_images, each.images) for each in found})
    which = "; ".join(
        f"{dataset} without class {' and '.join(map(str, classes))}, {own:,} of the {images:,} test images"
        for dataset, classes, own, images in names
    )
    return (
        f"Students whose transfer set lacks a class ({which}): test errors, mean ± SD over n seeds, as trained, and "
        "after the bias of the class was raised to where test accuracy is best, on the test images themselves (Hinton "
        "et al. 2014)."
    )
