"""How much each method gains over the student alone and how sure that is; published numbers beside reproduced ones."""

from collections.abc import Sequence
from typing import Any

from analysis.evidence import Evidence
from analysis.gains import Comparison
from analysis.main_table import incomplete
from analysis.published import Match
from analysis.statistics import Interval
from analysis.style import display_name, mark
from analysis.tables import (
    NO_VALUE,
    Column,
    Field,
    Footnotes,
    Group,
    Table,
    bracketed,
    count,
    p_value,
    pair_title,
    signed,
)


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
    return Table("gains", _gain_caption(evidence), ("Method",), columns, groups, notes.listed(), data, len(titles))


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
        row |= {name: value, f"{name}_low": None, f"{name}_high": None}
        if interval:
            row |= {f"{name}_low": interval.low, f"{name}_high": interval.high}
    elsewhere = each.elsewhere
    row |= {
        "other_pairs_low": elsewhere.low if elsewhere else None,
        "other_pairs_high": elsewhere.high if elsewhere else None,
        "hedges_g": each.effect,
        "p": each.p,
        "p_holm": each.p_holm,
        "smallest_p_holm": each.smallest,
        "established": each.established,
        "differs": each.differs,
    }
    return row


def published_table(matches: Sequence[Match]) -> Table:
    """A row for each reproduced cell whose number was published, grouped by pair."""
    titles = ("Published", "Reproduced", "Difference", "n", "Source")
    places = dict.fromkeys((match.cell.dataset, match.cell.pair) for match in matches)
    groups = []
    for place in places:
        members = [match for match in matches if (match.cell.dataset, match.cell.pair) == place]
        rows = tuple((display_name(match.cell.method), _published_fields(match)) for match in members)
        groups.append(Group(pair_title(members[0].cell), rows))
    far = sum(abs(match.difference) > 1 for match in matches)
    caption = (
        "Published and reproduced test top-1 accuracy (%) after the last epoch, ± standard deviation where known. "
        "Difference: reproduced minus published in percentage points, ± half of the 95 % interval of the reproduced "
        f"mean over n runs. {far} of {len(matches)} differ by more than a point. Recipes of this grid may be shorter "
        "than the published ones: see its grid.toml."
    )
    columns = tuple(Column(title, (title,)) for title in titles)
    return Table("published", caption, ("Method",), columns, tuple(groups), (), tuple(map(_published_row, matches)))


def _published_fields(match: Match) -> tuple[Field, ...]:
    return (
        Field(f"{match.published:.2f}", "" if match.published_std is None else f"{match.published_std:.2f}"),
        Field(f"{match.reproduced:.2f}", "" if match.cell.std_percent is None else f"{match.cell.std_percent:.2f}"),
        Field(signed(match.difference), "" if match.half_width is None else f"{match.half_width:.2f}"),
        Field(str(match.cell.n)),
        Field(match.paper),
    )


def _published_row(match: Match) -> dict[str, Any]:
    return {
        **match.cell.row("n"),
        "published_percent": match.published,
        "published_std": match.published_std,
        "reproduced_percent": match.reproduced,
        "reproduced_std": match.cell.std_percent,
        "difference_points": match.difference,
        "half_width_points": match.half_width,
        "paper": match.paper,
        "source": match.source,
    }
