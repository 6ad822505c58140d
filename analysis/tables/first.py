"""One table for a paper's first page: a line for each method over all pairs."""

from collections import Counter
from typing import Any

from analysis.statistics.evidence import Evidence
from analysis.statistics.overview import Line, overview
from analysis.style import BETTER, EQUIVALENT, NO_VALUE, WORSE, adjusted, count, display_name, p_value, signed
from analysis.tables.table import Column, Field, Footnotes, Group, Table, bracketed

COLUMNS = ("gain", "low", "high", "elsewhere_low", "elsewhere_high", "positive", "pairs", "p_holm", "verdict")
"""Of the CSV file, between gains on single data sets and the cost."""


def first_table(evidence: Evidence) -> Table:
    """A row for each method, the largest mean gain first: its gain on each data set, where there are several, over all
    pairs and for pairs like these, and its cost."""
    lines, notes = overview(evidence), Footnotes()
    datasets = list(dict.fromkeys(dataset for dataset, _, _ in evidence.gains))
    pairs = {name: len({pair for dataset, pair, _ in evidence.gains if dataset == name}) for name in datasets}
    apart = datasets if len(datasets) > 1 else []
    elsewhere = any(line.compared.elsewhere for line in lines)
    headings = [
        *((name, count(pairs[name], "pair")) for name in apart),
        *(("Mean gain", "[95 % CI]"), *([("Pairs like these", "[95 % CI]")] if elsewhere else [])),
        *(("Better on", "pairs"), ("P", ""), ("Training", "FLOPs")),
    ]
    columns = [Column.of(*lines) for lines in headings]
    most = max((line.compared.pairs for line in lines), default=0)
    taken = Counter((dataset, method) for dataset, _, method in evidence.gains)
    rows = []
    for line in lines:
        method = line.compared.method
        by_dataset = tuple(
            Field(signed(line.by_dataset[name]), note=_fewer(taken[name, method], pairs[name], notes))
            if name in line.by_dataset
            else Field(NO_VALUE)
            for name in apart
        )
        rows.append((display_name(method), by_dataset + _fields(line, most, notes, elsewhere=elsewhere)))
    groups = [Group("", rows)] if rows else []
    listed = [*notes.listed(), *([("", evidence.remark)] if evidence.remark else [])]
    data = [_row(line, datasets) for line in lines]
    return Table("table1", "Overview", _caption(evidence), columns, groups, ("", "Method"), listed, data, folds=True)


def _fewer(pairs: int, most: int, notes: Footnotes) -> str:
    return notes.mark(f"over {pairs} of {most} pairs" if pairs < most else "")


def _fields(line: Line, most: int, notes: Footnotes, *, elsewhere: bool) -> tuple[Field, ...]:
    each = line.compared
    fewer = _fewer(each.pairs, most, notes)
    return (
        Field(f"{signed(each.gain)} {bracketed(each.interval)}".rstrip(), mark=each.mark, note=fewer),
        *([Field(bracketed(each.elsewhere) or NO_VALUE)] if elsewhere else []),
        Field(f"{each.positive} of {each.pairs}"),
        Field(p_value(each.p_holm)),
        Field(NO_VALUE if line.cost is None else f"{line.cost:.2f} ×"),
    )


def _row(line: Line, datasets: list[str]) -> dict[str, Any]:
    by_dataset = {f"gain_{name}": line.by_dataset.get(name) for name in datasets}
    told = line.compared.row(*COLUMNS)
    return {"method": line.compared.method, **by_dataset, **told, "relative_training_flops": line.cost}


def _caption(evidence: Evidence) -> str:
    tests = max((each.tests for each in evidence.over_alone), default=0)
    alike = any(each.verdict == "equivalent" for each in evidence.over_alone)
    equal = f", {EQUIVALENT} equivalent within {evidence.delta:g} points" if alike else ""
    return (
        f"{evidence.metric.gain_title}, each pair counting alike. Mean gain: over seeds, for these pairs and teachers. "
        f"{BETTER}/{WORSE} better/worse{equal} (moderated t-test, {adjusted(tests, 'method', evidence.looks)}). "
        "Training FLOPs: in those of the student alone, the teacher's forward included."
    )
