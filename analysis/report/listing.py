"""Lists that the page alone has: holes, origins, every run."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from analysis.runs.metrics import TOP1, Metric
from analysis.statistics.cells import Cell
from analysis.style import display_name
from analysis.tables.table import Column, Field, Group, Table
from benchmark.records import Record

MOST_RUNS = 2_000
"""Runs that a page lists; more make it slow to open, and runs.csv has them all."""


def holes(cells: Iterable[Cell]) -> Table | None:
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
    return _table("holes-cells", "Cells that lack results", "", rows) if rows else None


def origins(records: Mapping[Any, Sequence[Record]]) -> list[Table]:
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
        _table("made-by", "Code, versions and hardware", "What made the records.", makers),
        _table("teachers", "Teachers", "Runs under unlike weights are never pooled.", teachers),
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


def runs(table: pd.DataFrame, metric: Metric = TOP1) -> Table | None:
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
            metric.axis: "–" if pd.isna(row["top1"]) else f"{100 * metric.sign * row['top1']:.2f}",
            "Run": row["run_id"],
        }
        for row in table.to_dict("records")
    ]
    return _table("every-run", "Every run", "", rows)


WORDS = ("Reason", "Versions", "Code", "Device", "Pair", "Run")
"""Columns of words, which stand to the left and may be broken."""


def _table(name: str, title: str, caption: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    first, *others = rows[0]
    columns = tuple(Column(each, (each,), words=each in WORDS) for each in others)
    lines = tuple((str(row[first]), tuple(Field(str(row[name])) for name in others)) for row in rows)
    return Table(name, caption, (first,), columns, (Group("", lines),), (), (), title=title)
