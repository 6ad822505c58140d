"""Accuracy versus budget: what deployment and training cost, and what they buy."""

from collections.abc import Mapping, Sequence
from typing import Any

from analysis.figures import canvas, words
from analysis.figures.budget_axis import BUDGETS, Budget, Row, distinct
from analysis.figures.budget_panels import draw
from analysis.figures.canvas import Drawing, NotDrawnError
from analysis.figures.layout import in_reach
from analysis.runs.metrics import Metric
from analysis.statistics.basic import Interval
from analysis.statistics.cells import Cell
from analysis.statistics.evidence import Evidence
from analysis.style import CONTROL, TEACHER, Style, base_method, display_name, enumerated, listing_order, spanned

NAMES = {"accuracy_vs_budget": "Accuracy versus budget", "budget_appendix": "Accuracy versus further budgets"}
"""Stems and titles of the two figures of a data set."""


def drawings(evidence: Evidence, look: Mapping[str, Style]) -> list[Drawing]:
    """For each data set a figure of the budgets that say something of their own, and one of those that order all
    students as one of them does, for an appendix. Raises NotDrawnError if no student has finished.
    """
    rows = data(evidence)
    datasets = sorted({row["dataset"] for row in rows if row["method"] != TEACHER})
    if not datasets:
        raise NotDrawnError("no run has finished")
    made = []
    for dataset in datasets:
        members = [row for row in rows if row["dataset"] == dataset]
        near, _ = by_reach(members, evidence.metric.sign)
        students = [row for row in near if row["method"] != TEACHER]
        for (name, title), budgets in zip(NAMES.items(), distinct(students), strict=True):
            if budgets:
                stem = canvas.stem(name, dataset, datasets)
                shown = with_fronts(members, budgets, evidence)
                near, far = by_reach(shown, evidence.metric.sign)
                figure = draw(near, budgets, look, evidence.metric)
                caption = _caption(near, dataset, budgets, evidence.metric) + _left_out(evidence, dataset) + _far(far)
                alt = _alt(shown, dataset, budgets, evidence.metric)
                made.append(Drawing(stem, f"{title} on {dataset}", caption, alt, {"": shown}, figure))
    if not made:
        raise NotDrawnError("no run says what it cost")
    return made


def data(evidence: Evidence) -> list[dict[str, Any]]:
    """A row for each cell with a result that competes with the student alone: which it is, `n` of `seeds`, `state`,
    mean accuracy with its sample standard deviation and its interval (moderated t), the mean of each of BUDGETS, None
    where it is not known, and the device that latency, memory, energy and, in data sets of which all was measured,
    device time were measured on.
    """
    cells = [cell for cell in evidence.cells if cell.n and cell.competes]
    packed = {cell.dataset for cell in cells if cell.method != TEACHER and cell.alone_seconds is None}
    rows = []
    for cell in cells:
        mean = evidence.accuracy(cell.place)
        low, high = displayed(mean.interval() if mean else None, evidence.metric)
        row = cell.row("seeds", "n", "state", "top1_percent", "std_percent")
        row |= {"low": low, "high": high}
        row |= {each.column: getattr(cell, each.column) for each in BUDGETS if each.column != "device_seconds"}
        row["device_seconds"] = _packed_seconds(cell) if cell.dataset in packed else cell.alone_seconds
        rows.append(row | {"measured_on": cell.measured_on, "packed": cell.dataset in packed})
    return rows


def by_reach(rows: Sequence[Row], sign: int) -> tuple[list[Row], list[Row]]:
    """Those of teachers and of students near enough to each other for one scale, and those far worse than the others;
    `sign` is -1 where less is better."""
    students = [row for row in rows if row["method"] != TEACHER]
    reached = in_reach([sign * row["top1_percent"] for row in students])
    far = [row for row, near in zip(students, reached, strict=True) if not near]
    return [row for row in rows if row not in far], far


def displayed(interval: Interval | None, metric: Metric) -> tuple[float | None, float | None]:
    """Its ends as they are read; of a share, not beyond what a share can be."""
    if interval is None:
        return None, None
    low, high = sorted((metric.sign * interval.low, metric.sign * interval.high))
    return (max(low, 0.0), min(high, 100.0)) if metric.share else (low, high)


def with_fronts(rows: Sequence[Row], budgets: Sequence[Budget], evidence: Evidence) -> list[dict[str, Any]]:
    """The rows of a data set, each with how probable it is, by budget, that no other of its cost or less (within 2 %)
    is more accurate: `front_` before the column's name, None for teachers and where the cost is not known.
    """
    found: list[dict[str, Any]] = [{**row, **{f"front_{each.column}": None for each in budgets}} for row in rows]
    for budget in budgets:
        known = [row for row in found if row["method"] != TEACHER and row[budget.column]]
        places = [(row["dataset"], row["pair"], row["method"]) for row in known]
        shares = evidence.on_front(places, [row[budget.column] for row in known])
        for row, share in zip(known, shares, strict=True):
            row[f"front_{budget.column}"] = share
    return found


def _packed_seconds(cell: Cell) -> float | None:
    """As runs that trained together tell it: a run takes its own steps and, unless it learns from labels alone, the
    teacher's."""
    if cell.student_seconds is None or base_method(cell.method) == CONTROL:
        return cell.student_seconds
    return None if cell.teacher_seconds is None else cell.student_seconds + cell.teacher_seconds


def _caption(rows: Sequence[Row], dataset: str, budgets: Sequence[Budget], metric: Metric) -> str:
    students = [row for row in rows if row["method"] != TEACHER]
    seeds = sorted({row["n"] for row in students})
    spread = f"means over {spanned(seeds)} seeds, bars 95 % intervals (moderated t)" if seeds[-1] > 1 else "one seed"
    trained = " Thin lines start at the student alone." if _training(budgets) else ""
    partial = " Ringed: some seeds have no result." if any(row["state"] != "done" for row in students) else ""
    return (
        f"{metric.title} on {dataset} versus budget: {spread}. Fill: the probability that nothing shown of that cost "
        f"(within 2 %) or less is better.{trained}{_sources(students, budgets)}{partial}"
    )


def _left_out(evidence: Evidence, dataset: str) -> str:
    """Controls that are not in the figure."""
    own = {cell.method for cell in evidence.cells if cell.dataset == dataset and not cell.competes}
    methods = sorted(own, key=listing_order)
    named = ", ".join(map(display_name, methods)) if len(methods) < 3 else f"{len(methods)} controls"
    return f" Not shown, trained otherwise: {named}." if methods else ""


def _far(rows: Sequence[Row]) -> str:
    """Cells that are not in the figure."""
    return words.far([f"{display_name(row['method'])} on {row['student']} ({row['top1_percent']:.1f})" for row in rows])


def _training(budgets: Sequence[Budget]) -> bool:
    return any(not budget.deployment for budget in budgets)


def _sources(students: Sequence[Row], budgets: Sequence[Budget]) -> str:
    """What was measured, and on which device."""
    columns = {budget.column for budget in budgets}
    devices = sorted({row["measured_on"] for row in students if row["measured_on"]})
    packed = any(row["packed"] for row in students)
    measured = {"latency_seconds": "latency", "memory_bytes": "memory", "energy_joules": "energy"}
    measured |= {} if packed else {"device_seconds": "device time"}
    what = [name for column, name in measured.items() if column in columns]
    text = f" {enumerated(what).capitalize()}: measured alone on {', '.join(devices)}." if devices and what else ""
    together = packed and "device_seconds" in columns
    return text + (" Device time is that of runs that trained together." if together else "")


def _alt(rows: Sequence[Row], dataset: str, budgets: Sequence[Budget], metric: Metric) -> str:
    students = [row for row in rows if row["method"] != TEACHER]
    best = (max if metric.sign > 0 else min)(students, key=lambda row: row["top1_percent"])
    return (
        f"Panels of {metric.name} on {dataset} against {', '.join(budget.label for budget in budgets)}, for "
        f"{len({row['method'] for row in students})} methods on {len({row['pair'] for row in students})} pairs. The "
        f"best student is {best['student']} taught by {best['teacher']} with "
        f"{display_name(best['method'])}: {best['top1_percent']:.2f} {metric.unit}."
    )
