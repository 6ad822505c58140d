"""Accuracy versus budget: what deployment and training cost, and what they buy."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from analysis.figures import canvas
from analysis.figures.budget_axis import BUDGETS
from analysis.figures.budget_panels import Row, draw
from analysis.figures.canvas import Drawing, NotDrawnError
from analysis.runs.alike import CELL
from analysis.statistics.basic import ends, t_interval
from analysis.statistics.cells import Cell
from analysis.style import CONTROL, TEACHER, Style, base_method, display_name


def drawings(runs: pd.DataFrame, cells: Sequence[Cell], look: Mapping[str, Style]) -> list[Drawing]:
    """A figure for each data set. Raises NotDrawnError if no student has finished."""
    rows = data(runs, cells)
    datasets = sorted({row["dataset"] for row in rows if row["method"] != TEACHER})
    if not datasets:
        raise NotDrawnError("no run has finished")
    made = []
    for dataset in datasets:
        members = [row for row in rows if row["dataset"] == dataset]
        if not any(row.get(budget.column) for row in members for budget in BUDGETS if row["method"] != TEACHER):
            continue
        made.append(
            Drawing(
                canvas.stem("accuracy_vs_budget", dataset, datasets),
                f"Accuracy versus budget on {dataset}",
                _caption(members, dataset),
                _alt(members, dataset),
                {"": members},
                draw(members, look),
            )
        )
    if not made:
        raise NotDrawnError("no run says what it cost")
    return made


def data(runs: pd.DataFrame, cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """A row for each cell with a result: which it is, `n` of `seeds`, `state`, mean accuracy with its sample standard
    deviation and its interval (Student's t over seeds), the mean of each of BUDGETS, None where it is not known, and
    the device that latency, memory, energy and, in data sets of which all was measured, device time were measured on.
    """
    done = runs[runs.pooled]
    packed = {cell.dataset for cell in cells if cell.n and cell.method != TEACHER and cell.alone_seconds is None}
    groups = {key: rows for key, rows in done.groupby(CELL)}
    rows = []
    for cell in cells:
        if not cell.n:
            continue
        group = groups.get((cell.dataset, cell.pair, cell.method), done.iloc[:0])
        low, high = ends(t_interval([100 * float(value) for value in group.top1]))
        row = cell.row("seeds", "n", "state", "top1_percent", "std_percent")
        row |= {"low": low, "high": high}
        row |= {each.column: getattr(cell, each.column) for each in BUDGETS if each.column != "device_seconds"}
        row["device_seconds"] = _packed_seconds(cell) if cell.dataset in packed else cell.alone_seconds
        rows.append(row | {"measured_on": cell.measured_on, "packed": cell.dataset in packed})
    return rows


def _packed_seconds(cell: Cell) -> float | None:
    """As runs that trained together tell it: a run takes its own steps and, unless it learns from labels alone, the
    teacher's."""
    if cell.student_seconds is None or base_method(cell.method) == CONTROL:
        return cell.student_seconds
    return None if cell.teacher_seconds is None else cell.student_seconds + cell.teacher_seconds


def _caption(rows: Sequence[Row], dataset: str) -> str:
    students = [row for row in rows if row["method"] != TEACHER]
    seeds = sorted({row["n"] for row in students})
    over = f"{seeds[0]} seeds" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]} seeds"
    spread = (
        f"means over {over}, bars their 95 % intervals (Student's t)"
        if seeds[-1] > 1
        else "one seed, so that no spread is known"
    )
    partial = sum(row["state"] != "done" for row in students)
    holes = f" Half-filled marks ({partial}) lack some seeds, for reasons the main table gives." if partial else ""
    return (
        f"Test top-1 accuracy after the last epoch versus budget on {dataset}: {spread}. "
        "Methods of a pair that share a budget stand side by side around it; marks that would lie over each other give "
        "way sideways, and a thin line joins a pair. The stepped line is the Pareto front of the means; teachers are "
        f"dashed. Training costs are those of a run made alone, the teacher's own training left out."
        f"{_sources(students)}{holes}"
    )


def _sources(students: Sequence[Row]) -> str:
    """Which device was measured, and which budgets nobody knows."""
    devices = sorted({row["measured_on"] for row in students if row["measured_on"]})
    packed = any(row["packed"] for row in students)
    metered = any(row["energy_joules"] for row in students)
    what = ["latency", "memory", *([] if packed else ["device time"]), *(["energy"] if metered else [])]
    named = f"{', '.join(what[:-1])} and {what[-1]}".capitalize()
    measured = f" {named} were measured on {', '.join(devices)}." if devices else ""
    if packed and any(row["device_seconds"] for row in students):
        measured += " Device time is that of runs that trained together."
    unknown = [budget.label.lower() for budget in BUDGETS if not any(row[budget.column] for row in students)]
    if not unknown:
        return measured
    return f"{measured} Not measured here: {', '.join(unknown)}."


def _alt(rows: Sequence[Row], dataset: str) -> str:
    students = [row for row in rows if row["method"] != TEACHER]
    best = max(students, key=lambda row: row["top1_percent"])
    shown = [budget.label for budget in BUDGETS if any(row[budget.column] for row in students)]
    return (
        f"Panels of test accuracy on {dataset} against {', '.join(shown)}, for {len({r['method'] for r in students})} "
        f"methods on {len({r['pair'] for r in students})} pairs. The most accurate student is {best['student']} "
        f"taught by {best['teacher']} with {display_name(best['method'])}: {best['top1_percent']:.2f} %."
    )
