"""One table for a paper's first page: a line for each method over all pairs."""

from typing import Any

from analysis.statistics.basic import ends
from analysis.statistics.evidence import Evidence
from analysis.statistics.overview import Line, overview
from analysis.style import BETTER, NO_VALUE, WORSE, count, display_name, p_value, signed
from analysis.tables.table import Column, Field, Footnotes, Group, Table, bracketed


def first_table(evidence: Evidence) -> Table:
    """A row for each method, the largest mean gain first: its gain on each data set, over all pairs and for pairs like
    these, and its cost."""
    lines, notes = overview(evidence), Footnotes()
    datasets = list(dict.fromkeys(dataset for dataset, _, _ in evidence.gains))
    pairs = {name: len({pair for dataset, pair, _ in evidence.gains if dataset == name}) for name in datasets}
    headings = [
        *((name, count(pairs[name], "pair")) for name in datasets),
        *(("Mean gain", "[95 % CI]"), ("Pairs like these", "[95 % CI]")),
        *(("Better on", "pairs"), ("P", ""), ("Training", "FLOPs")),
    ]
    columns = tuple(Column(" ".join(filter(None, lines)), lines) for lines in headings)
    most = max((line.compared.pairs for line in lines), default=0)
    rows = tuple((display_name(line.compared.method), _fields(line, datasets, most, notes)) for line in lines)
    groups = (Group("", rows),) if rows else ()
    remark = (("", evidence.remark),) if evidence.remark else ()
    return Table(
        "table1",
        _caption(evidence),
        ("", "Method"),
        columns,
        groups,
        (*notes.listed(), *remark),
        tuple(_row(line, datasets) for line in lines),
        len(columns),
        "Overview",
    )


def _fields(line: Line, datasets: list[str], most: int, notes: Footnotes) -> tuple[Field, ...]:
    each = line.compared
    fewer = notes.mark(f"over {each.pairs} of {most} pairs" if each.pairs < most else "")
    gains = (line.by_dataset.get(name) for name in datasets)
    return (
        *(Field(NO_VALUE if gain is None else signed(gain)) for gain in gains),
        Field(f"{signed(each.gain)} {bracketed(each.interval)}".rstrip(), mark=each.mark, note=fewer),
        Field(bracketed(each.elsewhere) or NO_VALUE),
        Field(f"{each.positive} of {each.pairs}"),
        Field(p_value(each.p_holm)),
        Field(NO_VALUE if line.cost is None else f"{line.cost:.2f} ×"),
    )


def _row(line: Line, datasets: list[str]) -> dict[str, Any]:
    each = line.compared
    low, high = ends(each.interval)
    elsewhere_low, elsewhere_high = ends(each.elsewhere)
    return {
        "method": each.method,
        **{f"gain_{name}": line.by_dataset.get(name) for name in datasets},
        "gain": each.gain,
        "low": low,
        "high": high,
        "elsewhere_low": elsewhere_low,
        "elsewhere_high": elsewhere_high,
        "positive": each.positive,
        "pairs": each.pairs,
        "p_holm": each.p_holm,
        "verdict": each.verdict,
        "relative_training_flops": line.cost,
    }


def _caption(evidence: Evidence) -> str:
    tests = max((each.tests for each in evidence.over_alone), default=0)
    return (
        f"{evidence.metric.gain_title}, each pair counting alike. Mean gain: over seeds, for these pairs and teachers. "
        f"{BETTER}/{WORSE} better/worse (moderated t-test, Holm-adjusted over {count(tests, 'method')}, P < 0.05). "
        "Training FLOPs: in those of the student alone, the teacher's forward included."
    )
