"""A table as LaTeX, and text that any engine compiles."""

import re
import unicodedata
from collections.abc import Sequence
from itertools import groupby

from analysis.tables.table import Column, Field, Group, Table
from benchmark.ground.text import cleaned

GREEK = dict(
    zip("αβγδλμρστχ", ["alpha", "beta", "gamma", "delta", "lambda", "mu", "rho", "sigma", "tau", "chi"], strict=True)
)

LATEX = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "[": "{[}",
    "]": "{]}",
    "±": r"$\pm$",
    "×": r"$\times$",
    "†": r"$\dagger$",
    "−": "$-$",
    "→": r"$\to$",
    "–": "--",
    **{letter: f"$\\{name}$" for letter, name in GREEK.items()},
    "ß": r"\ss{}",
    "ø": r"\o{}",
    "æ": r"\ae{}",
}
"""Characters that mean something to LaTeX (a bracket after a line's end is its option), and those our texts use."""

ACCENTS = dict(zip("\u0300\u0301\u0302\u0303\u0304\u0307\u0308\u030a\u030c\u0327", "`'^~=.\"rvc", strict=True))
"""Combining characters and the LaTeX commands that set them in any font."""


LONGEST, MOST_HEADINGS = 50, 4
"""Lines of a table that a page holds beside its caption, and how many of them headings may take."""

MANY = 16
"""Rows above which a table folds, if it may."""


def latex(table: Table) -> str:
    """A table over the width of the page, by the packages booktabs and graphicx; what one page does not hold is
    continued on further ones, because LaTeX cuts off a float that is too tall.
    """
    notes = "".join(f"{_raised(letter)}{escape(text)}.\\par\n" for letter, text in table.notes)
    foot = f"\n\\medskip\n{{\\footnotesize\\raggedright\n{notes}}}\n" if notes else ""
    head = f"\\caption{{{escape(table.caption)}}}\n\\label{{tab:{table.name}}}\n\\small\n"
    continued = f"Table~\\ref{{tab:{table.name}}}, continued\\par\\smallskip\n\\small\n"
    sheets = ["\n\n\\medskip\n".join(blocks) + "\n" for blocks in _sheets(table)]
    floats = [(continued if i else head) + sheet for i, sheet in enumerate(sheets)]
    floats[-1] += foot
    start = "\\begin{table*}\n\\centering\n\\setlength{\\belowcaptionskip}{6pt}\n"
    return "% \\usepackage{booktabs,graphicx}\n" + "\n".join(f"{start}{each}\\end{{table*}}\n" for each in floats)


def _sheets(table: Table) -> list[list[str]]:
    """Blocks of columns and groups, as many below each other as a page holds."""
    if table.folds and _lines(table.groups) > MANY:
        return [[_folded(table)]]
    sheets: list[list[str]] = []
    room = 0
    widest = table.widest or len(table.columns)
    for start in range(0, len(table.columns), widest):
        for groups in _pages(table.groups):
            lines = len(table.stub) + _lines(groups)
            if lines > room:
                sheets.append([])
                room = LONGEST
            sheets[-1].append(_tabular(table, slice(start, start + widest), groups))
            room -= lines + 1
    return sheets


def _folded(table: Table) -> str:
    """The one group of a table in two halves side by side."""
    [group] = table.groups
    middle = -(-len(group.rows) // 2)
    halves = [_tabular(table, slice(None), [Group("", rows)]) for rows in (group.rows[:middle], group.rows[middle:])]
    start = "\\begin{minipage}[t]{0.47\\linewidth}\\vspace{0pt}\n\\renewcommand{\\arraystretch}{0.86}\n"
    return "\\hfill\n".join(f"{start}{half}\n\\end{{minipage}}" for half in halves)


def _pages(groups: Sequence[Group]) -> list[list[Group]]:
    """Groups in portions that a page holds below its headings; only a group that no page holds is broken."""
    page = LONGEST - MOST_HEADINGS
    portions: list[list[Group]] = [[]]
    for group in groups:
        rows, most = group.rows, page - bool(group.heading)
        while rows:
            room = most - _lines(portions[-1])
            if room < (len(rows) if len(rows) <= most else 1):
                portions.append([])
                continue
            portions[-1].append(Group(group.heading, rows[:room]))
            rows = rows[room:]
    return portions


def _lines(groups: Sequence[Group]) -> int:
    return sum(len(group.rows) + bool(group.heading) for group in groups)


def _tabular(table: Table, part: slice, groups: Sequence[Group]) -> str:
    columns = table.columns[part]
    # Names of any length: what is wider than the page is shrunk to it.
    fit = "\\resizebox{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}{!}{%"
    lines = [fit, f"\\begin{{tabular}}{{@{{}}l{'r' * len(columns)}@{{}}}}", "\\toprule"]
    for i, name in enumerate(table.stub):
        lines += _heading(name, columns, i, innermost=i == len(table.stub) - 1)
    for group in groups:
        lines.append("\\midrule")
        if group.heading:
            lines.append(
                f"\\multicolumn{{{len(columns) + 1}}}{{@{{}}l@{{}}}}{{\\textit{{{escape(group.heading)}}}}} \\\\"
            )
        lines += [" & ".join([escape(name), *map(_latex_field, fields[part])]) + r" \\" for name, fields in group.rows]
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}}"])


def _heading(name: str, columns: Sequence[Column], line: int, *, innermost: bool) -> list[str]:
    """One line of the headings, neighbours that share a word above the innermost one under one rule."""
    if innermost:
        texts = [f"{escape(column.lines[line])}{_latex_note(column.note)}" for column in columns]
        return [" & ".join([escape(name), *texts]) + r" \\"]
    texts, rules, start = [escape(name)], [], 2
    for text, members in groupby(columns, key=lambda column: column.lines[line]):
        width = len(list(members))
        texts.append(f"\\multicolumn{{{width}}}{{c}}{{{escape(text)}}}" if width > 1 else escape(text))
        rules += [f"\\cmidrule(l){{{start}-{start + width - 1}}}"] if text and width > 1 else []
        start += width
    return [" & ".join(texts) + r" \\", *rules]


def _latex_field(field: Field) -> str:
    text = escape(field.text)
    if field.highest:
        text = f"\\underline{{{text}}}"
    if field.best:
        text = f"\\textbf{{{text}}}"
    spread = f"\\,{{\\scriptsize$\\pm$\\,{field.spread}}}" if field.spread else ""
    return f"{text}{spread}{_latex_note(escape(field.mark) + field.note)}"


def _raised(letter: str) -> str:
    return f"\\textsuperscript{{{letter}}} " if letter else ""


def _latex_note(sign: str) -> str:
    """A superscript that takes no room, so that numbers stay aligned."""
    return f"\\rlap{{\\textsuperscript{{{sign}}}}}" if sign else ""


def escape(text: str) -> str:
    """Text as LaTeX that any engine compiles: accents by command, what it cannot set as its code point."""
    decomposed = unicodedata.normalize("NFKD", " ".join(text.split()))
    accented = re.sub(
        f"([A-Za-z])([{''.join(ACCENTS)}])",
        lambda found: f"\\{ACCENTS[found[2]]}{{{found[1]}}}",
        "".join(LATEX.get(character, character) for character in decomposed),
    )
    return re.sub(r"[^ -~]", lambda found: f"{{[}}U+{ord(found[0]):04X}{{]}}", accented)


def comment(text: str) -> str:
    """What no engine reads, up to the line's end: a line end within would have the rest of it run."""
    return "% " + cleaned(text).encode("ascii", "backslashreplace").decode()
