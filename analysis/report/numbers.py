"""Every number that a text may cite as a LaTeX macro, so that no text ever holds a number that was typed."""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from analysis.runs.metrics import TOP1
from analysis.statistics.basic import Interval
from analysis.statistics.cells import pair_title
from analysis.statistics.evidence import Evidence
from analysis.statistics.gains import Comparison, Tested
from analysis.style import display_name, p_value, signed
from analysis.tables.latex import comment, escape

DIGITS = dict(
    zip("0123456789", ["Zero", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine"], strict=True)
)
"""A macro's name holds letters only."""


@dataclass(frozen=True)
class Number:
    """A macro: the kind of number, of which data set, pair and method (or some of these), what it is, its text before
    any markup, and whether it is an end of its interval or its p.
    """

    kind: str
    key: tuple[str, ...]
    meaning: str
    text: str
    end: Literal["", "low", "high", "p"] = ""

    @property
    def words(self) -> tuple[str, ...]:
        """Of its name."""
        return tuple(filter(None, (self.kind, *self.key, self.end)))


def numbers(evidence: Evidence) -> list[Number]:
    """What the tables say, number by number; a number that there is not has no macro."""
    return [
        *_totals(evidence),
        *_accuracies(evidence),
        *_cell_gains(evidence),
        *(number for each in evidence.over_alone for number in _comparison(each, evidence)),
        *_ranks(evidence),
    ]


def _totals(evidence: Evidence) -> Iterator[Number]:
    students = evidence.students
    yield Number("runs", (), "finished runs", str(sum(cell.n for cell in students)))
    yield Number("planned runs", (), "runs that were asked for", str(sum(cell.seeds for cell in students)))
    yield Number("seeds", (), "most seeds of a cell", str(max((cell.n for cell in students), default=0)))
    yield Number("methods", (), "methods, the student alone included", str(len({cell.method for cell in students})))
    yield Number("pairs", (), "pairs of all data sets", str(len({cell.block for cell in students})))


def _accuracies(evidence: Evidence) -> Iterator[Number]:
    for cell in evidence.cells:
        where = f"{display_name(cell.method)} on {pair_title(cell)}"
        if cell.top1_percent is not None:
            kind = "accuracy" if evidence.metric is TOP1 else "value"
            yield Number(kind, cell.place, f"{where}: mean, {evidence.metric.title}", f"{cell.top1_percent:.2f}")
        if cell.std_percent is not None:
            what = f"{where}: its standard deviation over seeds"
            yield Number("deviation", cell.place, what, f"{cell.std_percent:.2f}")


def _cell_gains(evidence: Evidence) -> Iterator[Number]:
    for place, gain in evidence.gains.items():
        where = f"{display_name(gain.method)} on {gain.dataset}, {gain.pair}"
        what = f"{where}: gain over the student alone, {evidence.metric.points}"
        yield Number("gain", place, what, signed(gain.gain))
        yield from _ends("gain", place, what, gain.interval)
        yield from _p("gain", place, what, gain)


def _comparison(each: Comparison, evidence: Evidence) -> Iterator[Number]:
    most = max(other.pairs for other in evidence.over_alone)
    over = f"{each.pairs} of {most} pairs" if each.pairs < most else "all pairs"
    key, name = (each.method,), display_name(each.method)
    what = f"{name}: mean gain over the student alone over {over}, {evidence.metric.points}"
    yield Number("mean gain", key, what, signed(each.gain))
    yield from _ends("mean gain", key, what, each.interval)
    yield from _ends("elsewhere", key, f"{what}, for pairs like these", each.elsewhere)
    yield from _p("mean gain", key, what, each)


def _p(kind: str, key: tuple[str, ...], what: str, gain: Tested) -> Iterator[Number]:
    if gain.p_holm is not None:
        yield Number(kind, key, f"{what}: Holm-corrected p", p_value(gain.p_holm), "p")


def _ends(kind: str, key: tuple[str, ...], what: str, interval: Interval | None) -> Iterator[Number]:
    if interval:
        yield Number(kind, key, f"{what}: lower end of the 95 % interval", signed(interval.low), "low")
        yield Number(kind, key, f"{what}: upper end of the 95 % interval", signed(interval.high), "high")


def _ranks(evidence: Evidence) -> Iterator[Number]:
    found = evidence.ranking
    if found is None:
        return
    if found.p is not None:
        yield Number("friedman p", (), "Friedman's test that all methods rank alike: p", p_value(found.p))
    for method, average in zip(found.methods, found.average, strict=True):
        yield Number("rank", (method,), f"{display_name(method)}: average rank", f"{average:.1f}")


def named(found: Iterable[Number]) -> dict[str, Number]:
    """Numbers by the names of their macros; where two names would be the same, the later gets `Again`s."""
    names: dict[str, Number] = {}
    for number in found:
        name = "".join(map(_word, number.words))
        while name in names:
            name += "Again"
        names[name] = number
    return names


def citations(names: dict[str, Number]) -> dict[tuple[str, ...], str]:
    """What to write in a LaTeX text for a number, by the words of its macro."""
    return {number.words: f"\\{name}{{}}" for name, number in names.items()}


def _word(text: str) -> str:
    """`resnet32x4_wrn-40-2` is ResnetThreeTwoxFourWrnFourZeroTwo; other scripts go by their characters' code points."""
    plain = unicodedata.normalize("NFKD", text.replace("+", " Plus "))
    letters = [part for part in re.split(r"[\s_\-.,=\[\]()]+", plain) if part]
    return "".join(_letters(part[0].upper() + part[1:]) for part in letters)


def _letters(part: str) -> str:
    found = []
    for character in part:
        if character.isascii() and character.isalpha():
            found.append(character)
        elif character in DIGITS:
            found.append(DIGITS[character])
        elif not unicodedata.combining(character):
            found.append("U" + "".join(DIGITS.get(digit, digit) for digit in f"{ord(character):X}"))
    return "".join(found)


def macros(names: dict[str, Number]) -> str:
    """A LaTeX file of \\newcommand lines, each with a comment that says what it is."""
    lines = ["% Numbers of this results folder; made by `python -m analysis`, not to be edited."]
    for name, number in names.items():
        lines.append(f"\\newcommand{{\\{name}}}{{\\ensuremath{{{mathematics(number.text)}}}}}{comment(number.meaning)}")
    return "\n".join([*lines, ""])


def mathematics(text: str) -> str:
    return escape(text).replace("$", "").replace(r"\textless{}", "<")


def rows(names: dict[str, Number]) -> list[dict[str, Any]]:
    return [{"macro": f"\\{name}", "value": number.text, "meaning": number.meaning} for name, number in names.items()]
