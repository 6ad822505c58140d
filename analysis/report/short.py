r"""Short names for numbers in LaTeX: `\Acc{cifar100}{resnet20}{kd}`, `\MeanGain{kd}`. An unknown key is an error that
lists the valid ones.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from analysis.report.numbers import Number, mathematics
from analysis.statistics.cells import Cell

OF_CELLS = {"accuracy": "Acc", "value": "Val", "deviation": "Std", "gain": "Gain"}
"""Macros of a data set, a student (or teacher_student) and a method, by the first word of the long name."""

OF_METHODS = {("mean", "gain"): "MeanGain", ("rank",): "Rank"}

ENDS = {"low": "Low", "high": "High", "p": "P"}

LOOKUP = r"""
% Short names: \Acc{data set}{student}{method}, likewise \Std, \Gain, \GainLow, \GainHigh, \GainP; where a student has
% several teachers, {teacher_student}. Over all pairs: \MeanGain{method}, \MeanGainLow, \MeanGainHigh, \MeanGainP and
% \Rank.
\makeatletter
\providecommand{\results@number}[3]{%
  \@ifundefined{results@#1@\detokenize{#2}}%
    {\PackageError{results}{There is no \@backslashchar#1 for \detokenize{#2}.\MessageBreak #3}{}\textbf{??}}%
    {\csname results@#1@\detokenize{#2}\endcsname}}
\providecommand{\results@set}[3]{\expandafter\def\csname results@#1@\detokenize{#2}\endcsname{#3}}
"""


def short_names(numbers: Iterable[Number], cells: Sequence[Cell]) -> str:
    """Lines of LaTeX. A name that TeX cannot read as a key has its long macro only."""
    students = {cell.block: cell.student for cell in cells}
    found: dict[str, dict[str, list[str]]] = {}
    for number in numbers:
        macro, key = _macro(number.words)
        if not macro or not all(map(_plain, key)):
            continue
        keys = found.setdefault(macro, {})
        keys.setdefault("/".join(key), []).append(number.text)
        if len(key) == 3:
            keys.setdefault("/".join((key[0], students[key[0], key[1]], key[2])), []).append(number.text)
    lines = [LOOKUP.strip("\n")]
    for macro, keys in found.items():
        lines += [_command(macro, keys), *(_definition(macro, key, texts) for key, texts in keys.items())]
    return "\n".join([*lines, r"\makeatother", ""])


def _macro(words: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """`GainLow` and the key of ("gain", data set, pair, method, "low"); empty where there is no short name."""
    end = ENDS.get(words[-1], "") if len(words) > 1 else ""
    own = words[:-1] if end else words
    if words[0] in OF_CELLS and len(own) == 4:
        return OF_CELLS[words[0]] + end, tuple(own[1:])
    for start, name in OF_METHODS.items():
        if tuple(own[: len(start)]) == start and len(own) == len(start) + 1:
            return name + end, tuple(own[len(start) :])
    return "", ()


def _plain(name: str) -> bool:
    """Whether TeX reads a name as it is written."""
    return re.fullmatch(r"[!-~]+( [!-~]+)*", name) is not None and not set(name) & set("%#{}\\^&$~/")


def _command(macro: str, keys: Mapping[str, Sequence[str]]) -> str:
    places = len(next(iter(keys)).split("/"))
    arguments = "/".join(f"#{i}" for i in range(1, places + 1))
    parts = zip(*(key.split("/") for key in keys), strict=True)
    names = ("data sets", "students and pairs", "methods")[-places:]
    valid = r"\MessageBreak ".join(
        f"{name}: {', '.join(dict.fromkeys(part))}" for name, part in zip(names, parts, strict=True)
    )
    return f"\\newcommand{{\\{macro}}}[{places}]{{\\results@number{{{macro}}}{{{arguments}}}{{Valid {_safe(valid)}}}}}"


def _safe(text: str) -> str:
    """In a message; underscores stand for themselves there."""
    return text.replace("_", r"\string_")


def _definition(macro: str, key: str, texts: Sequence[str]) -> str:
    """Of a student with several teachers, an error that says so."""
    value = f"\\ensuremath{{{mathematics(texts[0])}}}"
    if len(texts) > 1:
        said = _safe(f"{key}: the student has several teachers, so that teacher_student must be named")
        value = f"\\PackageError{{results}}{{{said}}}{{}}\\textbf{{??}}"
    return f"\\results@set{{{macro}}}{{{key}}}{{{value}}}"
