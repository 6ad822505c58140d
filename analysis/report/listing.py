"""Lists that the page alone has: holes, origins, every run."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from analysis.runs.metrics import TOP1, Metric
from analysis.runs.shared import own_teacher
from analysis.statistics.cells import Cell, networks
from analysis.style import NO_VALUE, display_name
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
            "Pair": " → ".join(networks(cell)),
            "Results": f"{cell.n} of {cell.seeds}",
            "State": cell.state,
            "Reason": cell.note,
        }
        for cell in cells
        if cell.state != "done"
    ]
    return _table("holes-cells", "Cells that lack results", "", pd.DataFrame(rows)) if rows else None


def origins(records: Mapping[Any, Sequence[Record]]) -> list[Table]:
    """Which code, versions and devices made the records, and under which teachers."""
    every = [record for members in records.values() for record in members if record.run.teacher]
    made, taught = pd.DataFrame(map(_origin, every)), pd.DataFrame(map(_teacher, every))
    makers = made.groupby(list(made)[:-1]).Day.agg(Runs="count", First="min", Last="max").reset_index()
    teachers = taught.groupby(list(taught)).size().reset_index(name="Runs")
    return [
        _table("made-by", "Code, versions and hardware", "What made the records.", makers),
        _table("teachers", "Teachers", "Runs under unlike weights are never pooled.", teachers),
    ]


def _origin(record: Record) -> dict[str, str]:
    made = record.provenance
    return {
        "Code": made.code,
        "Device": made.device,
        "Threads": str(made.threads),
        "Deterministic": "yes" if made.deterministic else "no",
        "Teacher supply": made.teacher_supply,
        "Versions": ", ".join(f"{name} {version}" for name, version in sorted(made.versions.items())),
        "Day": made.finished[:10],
    }


def _teacher(record: Record) -> dict[str, str]:
    result, teacher = record.result, record.run.teacher
    assert teacher is not None
    return {
        "Teacher": f"{teacher.student.name}, seed {teacher.seed}",
        "Data set": record.run.dataset.name,
        "Weights": (result.teacher_weights_sha256 or NO_VALUE)[:12],
        "Test top-1 (%)": NO_VALUE if result.teacher_top1 is None else f"{100 * result.teacher_top1:.2f}",
    }


def runs(table: pd.DataFrame, metric: Metric = TOP1) -> Table | None:
    """Every run; None where they are too many for a page."""
    if len(table) > MOST_RUNS:
        return None
    percent = 100 * metric.sign * table.top1.astype(float)
    columns = {
        "Method": table.method.map(display_name),
        "Data set": table.dataset,
        "Pair": [
            f"{own_teacher(pair, student)} → {student}" for pair, student in zip(table.pair, table.student, strict=True)
        ],
        "Seed": table.seed,
        "Status": table.status.str.replace("_", " "),
        metric.axis: percent.map("{:.2f}".format).where(percent.notna(), NO_VALUE),
        "Run": table.run_id,
    }
    return _table("every-run", "Every run", "", pd.DataFrame(columns))


WORDS = ("Reason", "Versions", "Code", "Device", "Pair", "Run")
"""Columns of words, which stand to the left and may be broken."""


def _table(name: str, title: str, caption: str, rows: pd.DataFrame) -> Table:
    first, *others = map(str, rows)
    columns = [Column.of(each, words=each in WORDS) for each in others]
    lines = rows.astype(str).itertuples(index=False, name=None)
    group = Group("", [(own, [*map(Field, texts)]) for own, *texts in lines])
    return Table(name, title, caption, columns, [group], stub=(first,))
