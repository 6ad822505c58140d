"""How much each method gains over the student alone and how sure that is."""

from typing import Any

from analysis.statistics.evidence import Evidence
from analysis.statistics.gains import Comparison
from analysis.statistics.paired import Interval, ends
from analysis.style import NO_VALUE, count, display_name, mark, p_value, signed
from analysis.tables.main import incomplete
from analysis.tables.table import Column, Field, Footnotes, Group, Table, bracketed


def gain_table(evidence: Evidence) -> Table:
    """A row for each method compared with the student alone, over all pairs."""
    titles = (
        "Runs",
        "Mean gain",
        "IQM",
        "Improvement",
        "Effect size",
        "p",
        "Holm p",
    )
    notes = Footnotes()
    rows = [
        (display_name(each.method), _gain_fields(each, incomplete(each.method, evidence), notes))
        for each in evidence.over_alone
    ]
    columns = tuple(Column(title, (title,)) for title in titles)
    data = tuple(comparison_row(each) for each in evidence.over_alone)
    groups = (Group("", tuple(rows)),) if rows else ()
    caption, wide = _gain_caption(evidence), len(titles)
    return Table("gains", caption, ("Method",), columns, groups, notes.listed(), data, wide, title="Gains")


def _gain_fields(each: Comparison, runs: str, notes: Footnotes) -> tuple[Field, ...]:
    differs = f"differs from the student alone in {each.differs}" if each.differs else ""
    note = "; ".join(filter(None, [f"over {runs}" if runs else "", differs]))
    share = each.improvement_interval
    return (
        Field(f"{each.pairs} × {each.n / each.pairs:g}", note=notes.mark(note)),
        Field(_with(signed(each.gain), each.interval), mark=mark(each.established, each.gain)),
        Field(_with(signed(each.iqm), each.iqm_interval)),
        Field(f"{each.improvement:.2f}" + (f" [{share.low:.2f}, {share.high:.2f}]" if share else "")),
        Field(NO_VALUE if each.effect is None else signed(each.effect)),
        Field(p_value(each.p)),
        Field(p_value(each.p_holm)),
    )


def _with(text: str, interval: Interval | None) -> str:
    return f"{text} {bracketed(interval)}".rstrip()


def _gain_caption(evidence: Evidence) -> str:
    least = min((each.smallest for each in evidence.over_alone), default=1.0)
    sentences = [
        "Gain over the student alone of the same data set, pair and seed, in percentage points, with 95 % intervals "
        "over seeds within pairs, so that they are about these pairs and teachers. Runs: pairs × seeds. Mean gain: "
        "each pair counts alike. IQM: interquartile mean of all paired gains. Improvement: share of paired runs that "
        "the method wins, a tie counting half, with Wilson's interval. Effect size: Hedges' g of the paired gains. "
        "p: sign-flip test over all paired runs, which assumes no distribution; Holm p: corrected for "
        f"{count(len(evidence.over_alone), 'method')}."
    ]
    if evidence.over_alone:
        sentences.append(f"The smallest Holm p that so many runs allow is {p_value(least)}.")
    return " ".join(sentences)


def comparison_row(each: Comparison) -> dict[str, Any]:
    """A row of gains.csv or comparisons.csv."""
    row: dict[str, Any] = {"method": each.method, "over": each.over, "pairs": each.pairs, "n": each.n}
    row["independent"] = each.independent
    for name, value, interval in (
        ("gain_points", each.gain, each.interval),
        ("iqm_points", each.iqm, each.iqm_interval),
        ("improvement", each.improvement, each.improvement_interval),
    ):
        row[name] = value
        row[f"{name}_low"], row[f"{name}_high"] = ends(interval)
    row["other_pairs_low"], row["other_pairs_high"] = ends(each.elsewhere)
    return row | {
        "hedges_g": each.effect,
        "p": each.p,
        "p_holm": each.p_holm,
        "smallest_p_holm": each.smallest,
        "established": each.established,
        "differs": each.differs,
    }
