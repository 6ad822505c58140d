"""Tables as the page's template takes them: every field with its text and the value it is sorted by."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.statistics.cells import Cell
from analysis.style import display_name
from analysis.tables.table import Field, Table
from benchmark.records import Record

TITLES = {"main": "Accuracy", "cost": "Budgets", "gains": "Gains", "published": "Published and reproduced"}
"""What the tables are called on the page; others go by their own name."""

MOST_RUNS = 2_000
"""Runs that a page lists; more make it slow to open, and runs.csv has them all."""


@dataclass(frozen=True)
class Heading:
    lines: tuple[str, ...]
    note: str = ""


@dataclass(frozen=True)
class Entry:
    """A field's text, the number it is sorted by (None: by its text), the classes it is styled by, its footnote."""

    text: str
    value: float | None = None
    kind: str = ""
    note: str = ""


@dataclass(frozen=True)
class Line:
    name: str
    fields: tuple[Entry, ...]


@dataclass(frozen=True)
class Block:
    heading: str
    rows: tuple[Line, ...]


@dataclass(frozen=True)
class Listing:
    """A sortable table of the page."""

    name: str
    title: str
    caption: str
    headings: tuple[Heading, ...]
    groups: tuple[Block, ...]
    notes: tuple[tuple[str, str], ...] = ()


def of_table(table: Table) -> Listing:
    """A table for printing, its names of rows in the first column."""
    headings = (Heading(("Method",)), *(Heading(column.lines, column.note) for column in table.columns))
    groups = tuple(
        Block(group.heading, tuple(Line(name, tuple(map(_entry, fields))) for name, fields in group.rows))
        for group in table.groups
    )
    title = TITLES.get(table.name, table.name.replace("_", " ").capitalize())
    return Listing(table.name, title, table.caption, headings, groups, table.notes)


def _entry(field: Field) -> Entry:
    text = f"{field.text} ± {field.spread}" if field.spread else field.text
    kind = " ".join(name for name in ("best", "second") if getattr(field, name))
    return Entry(text + field.mark, _number(field.text), kind, field.note)


def _number(text: str) -> float | None:
    """The number that a field begins with, None where there is none."""
    found = re.match(r"[+−-]?\d[\d,]*\.?\d*", text)
    return float(found[0].replace(",", "").replace("−", "-").replace("+", "")) if found else None


def holes(cells: Iterable[Cell]) -> Listing | None:
    """Cells that lack runs, and why; None if there are none."""
    rows = [
        {
            "Method": display_name(cell.method),
            "Data set": cell.dataset,
            "Pair": f"{cell.teacher} → {cell.student}",
            "Results": f"{cell.n} of {cell.seeds}",
            "State": cell.state,
            "Reason": cell.note,
        }
        for cell in cells
        if cell.state != "done"
    ]
    return _listing("holes-cells", "Cells that lack results", "", rows) if rows else None


def origins(records: Mapping[Any, Sequence[Record]]) -> list[Listing]:
    """Which code, versions and devices made the records, and under which teachers."""
    every = [record for members in records.values() for record in members if record.run.teacher]
    counts = Counter(map(_origin, every))
    makers = [
        dict(zip(ORIGIN, origin, strict=True)) | {"Runs": count, **_days(every, origin)}
        for origin, count in sorted(counts.items())
    ]
    taught = Counter(map(_teacher, every))
    teachers = [dict(zip(TEACHER, teacher, strict=True)) | {"Runs": count} for teacher, count in sorted(taught.items())]
    return [
        _listing("made-by", "Code, versions and hardware", "What made the records.", makers),
        _listing("teachers", "Teachers", "Runs under unlike weights are never pooled.", teachers),
    ]


ORIGIN = ("Code", "Device", "Threads", "Deterministic", "Teacher supply", "Versions")
TEACHER = ("Teacher", "Data set", "Weights", "Test top-1 (%)")


def _origin(record: Record) -> tuple[str, ...]:
    made = record.provenance
    versions = ", ".join(f"{name} {version}" for name, version in sorted(made.versions.items()))
    return (
        made.code,
        made.device,
        str(made.threads),
        "yes" if made.deterministic else "no",
        made.teacher_supply,
        versions,
    )


def _days(records: Iterable[Record], origin: tuple[str, ...]) -> dict[str, str]:
    days = sorted(record.provenance.finished[:10] for record in records if _origin(record) == origin)
    return {"First": days[0], "Last": days[-1]}


def _teacher(record: Record) -> tuple[str, ...]:
    result, teacher = record.result, record.run.teacher
    assert teacher is not None
    weights = (result.teacher_weights_sha256 or "–")[:12]
    accuracy = "–" if result.teacher_top1 is None else f"{100 * result.teacher_top1:.2f}"
    return f"{teacher.student.name}, seed {teacher.seed}", record.run.dataset.name, weights, accuracy


def runs(table: pd.DataFrame) -> Listing | None:
    """Every run; None where they are too many for a page."""
    if len(table) > MOST_RUNS:
        return None
    rows = [
        {
            "Method": display_name(str(row["method"])),
            "Data set": row["dataset"],
            "Pair": f"{row['teacher']} → {row['student']}",
            "Seed": str(row["seed"]),
            "Status": str(row["status"]).replace("_", " "),
            "Test top-1 (%)": "–" if pd.isna(row["top1"]) else f"{100 * row['top1']:.2f}",
            "Run": row["run_id"],
        }
        for row in table.to_dict("records")
    ]
    return _listing("every-run", "Every run", "", rows)


WORDS = ("Reason", "Versions", "Code", "Device", "Pair", "Run")
"""Columns of words, which stand to the left and may be broken."""


def _listing(name: str, title: str, caption: str, rows: Sequence[Mapping[str, Any]]) -> Listing:
    first, *others = rows[0]
    lines = tuple(
        Line(str(row[first]), tuple(Entry(str(row[k]), None, "words" if k in WORDS else "") for k in others))
        for row in rows
    )
    return Listing(name, title, caption, tuple(Heading((each,)) for each in (first, *others)), (Block("", lines),))
