"""How much each method gains over the student alone and how sure that is."""

from typing import Any

from analysis.statistics.evidence import Evidence
from analysis.statistics.gains import Comparison
from analysis.style import NO_VALUE, adjusted, display_name, p_value
from analysis.tables.main import called, marks, mean_gain
from analysis.tables.table import Column, Field, Footnotes, Group, Table, bracketed

TITLES = ("Pairs", "Mean gain [95 % CI]", "Pairs like these [95 % CI]", "Better on", "P")


def gain_table(evidence: Evidence) -> Table:
    """A row for each method compared with the student alone, over all pairs."""
    notes = Footnotes()
    pairs = max((each.pairs for each in evidence.over_alone), default=0)
    rows = [(display_name(each.method), _fields(each, evidence, pairs, notes)) for each in evidence.over_alone]
    groups, data = [Group("", rows)] if rows else [], [comparison_row(each) for each in evidence.over_alone]
    columns, listed = [*map(Column.of, TITLES)], notes.listed()
    return Table("gains", "Gains", _caption(evidence), columns, groups, notes=listed, data=data)


def _fields(each: Comparison, evidence: Evidence, pairs: int, notes: Footnotes) -> tuple[Field, ...]:
    differs = f"differs from the student alone in {each.differs}" if each.differs else ""
    return (
        Field(str(each.pairs), note=notes.mark(differs)),
        mean_gain(each, evidence, pairs, notes),
        Field(bracketed(each.elsewhere) or NO_VALUE),
        Field(f"{each.positive} of {each.pairs}"),
        Field(p_value(each.p_holm)),
    )


def _caption(evidence: Evidence) -> str:
    tests = max((each.tests for each in evidence.over_alone), default=0)
    shown = marks({each.verdict for each in evidence.over_alone}, evidence, than="")
    like = any(each.elsewhere for each in evidence.over_alone)
    return (
        f"{evidence.metric.gain_title}, each pair counting alike, 95 % CI over seeds for these pairs and teachers."
        f"{' Pairs like these: t over the means of pairs.' if like else ''} Better on: pairs of positive "
        f"gain. P: moderated t-test, {adjusted(tests, 'method', evidence.looks)}{f': {shown}' if shown else ''}."
    )


COLUMNS = (
    *("method", "over", "pairs", "n", "positive", "gain", "low", "high", "freedom", "elsewhere_low", "elsewhere_high"),
    *("new_pair_low", "new_pair_high", "p", "p_holm", "verdict", "differs"),
)


def comparison_row(each: Comparison) -> dict[str, Any]:
    """A row of gains.csv or comparisons.csv."""
    return called(each.row(*COLUMNS))
