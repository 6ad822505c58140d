"""A complete LaTeX document of two columns that holds every table and figure, and cites its numbers by macro."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from analysis.statistics.evidence import Evidence
from analysis.statistics.gains import Comparison
from analysis.style import LEAST_P, TEACHER, display_name
from analysis.tables.latex import escape
from analysis.tables.table import Table

PREAMBLE = r"""\documentclass[10pt]{article}
\usepackage[a4paper,margin=18mm]{geometry}
\usepackage{booktabs}
\usepackage{graphicx}
\usepackage{multicol}
\input{tables/numbers}
% Many floats and little text: let a page be full of them.
\renewcommand{\topfraction}{0.95}
\renewcommand{\bottomfraction}{0.95}
\renewcommand{\textfraction}{0.02}
\renewcommand{\floatpagefraction}{0.5}
\setcounter{topnumber}{4}
\setcounter{bottomnumber}{4}
\setcounter{totalnumber}{8}
\makeatletter
\setlength{\@fptop}{0pt}
\setlength{\@fpsep}{24pt}
\makeatother
"""

FIRST = "figure1"
"""The figure that is made for a paper's first page."""


@dataclass(frozen=True)
class Illustration:
    """A figure's file, relative to the paper's folder and without suffix, its title and caption before any markup, and
    whether it goes over both columns.
    """

    path: str
    title: str
    caption: str
    wide: bool = True

    @property
    def name(self) -> str:
        return Path(self.path).name


def paper(
    evidence: Evidence, tables: Sequence[Table], figures: Sequence[Illustration], cite: Mapping[tuple[str, ...], str]
) -> str:
    """The document; it stands beside the folders `tables` and `figures`. `cite` is `numbers.citations`."""
    datasets = ", ".join(dict.fromkeys(cell.dataset for cell in evidence.cells))
    title = f"Relational knowledge distillation on {datasets}: results"
    sections = [
        PREAMBLE,
        # No \maketitle: the room that it leaves for authors and a date holds the first page's table.
        "\\begin{document}\n\\begin{center}\n\\fontsize{17}{21}\\selectfont",
        f"{escape(title)}\n\\end{{center}}\n\\suppressfloats[t]\n",
        f"\\begin{{abstract}}\n{_abstract(evidence)}\n\\end{{abstract}}\n",
        "\\begin{multicols}{2}\n",  # balanced, so that floats over both columns follow on the first page
        f"\\section{{Protocol}}\n{PROTOCOL}\n",
        f"\\section{{Against the student alone}}\n{_against_alone(evidence, cite)}\n",
        f"\\section{{Tables and figures}}\n{_pointers(evidence, tables, figures)}\n\\end{{multicols}}\n",
        *(_figure(figure) for figure in figures if figure.name == FIRST),
        *(f"\\input{{tables/{table.name}}}\n" for table in tables),
        *(_figure(figure) for figure in figures if figure.name != FIRST),
        "\\end{document}\n",
    ]
    return "\n".join(sections)


PROTOCOL = (
    "Every method sees the same teacher, the same initial weights of the student, the same batches and the same "
    "augmentation; they depend on the seed and never on the method. The test set is read once, after the last epoch. "
    "A run is one seed of one method on one pair; gains are over the student alone of the same pair. "
    "Runs that did not finish are named where they are missing and enter no mean, test or rank."
)


def _abstract(evidence: Evidence) -> str:
    sentences = [
        r"\Methods{} methods on \Pairs{} teacher--student pairs, up to \Seeds{} seeds each: "
        r"\Runs{} of \PlannedRuns{} runs have a result."
    ]
    better = [display_name(each.method) for each in evidence.over_alone if each.established and each.gain > 0]
    worse = [display_name(each.method) for each in evidence.over_alone if each.established and each.gain < 0]
    if better:
        sentences.append(f"Better than the student alone over all pairs: {escape(', '.join(better))}.")
    if worse:
        sentences.append(f"Worse than it: {escape(', '.join(worse))}.")
    if not better and not worse:
        sentences.append("Over all pairs no difference from the student alone is established.")
    return " ".join(sentences)


def _against_alone(evidence: Evidence, cite: Mapping[tuple[str, ...], str]) -> str:
    """A sentence for each verdict, in it the largest gain first."""
    if not evidence.over_alone:
        return "No pair has finished runs of both the student alone and another method."
    ordered = sorted(evidence.over_alone, key=lambda each: -each.gain)
    sentences = [
        f"Mean gain over all pairs in {escape(evidence.metric.points)}, with its 95\\,\\% interval for these pairs and "
        "teachers."
    ]
    for verdict in dict.fromkeys(each.verdict for each in ordered):
        members = [_gain(each, cite) for each in ordered if each.verdict == verdict]
        sentences.append(f"{verdict.capitalize()}: {'; '.join(members)}.")
    return "\n".join(sentences)


def _gain(each: Comparison, cite: Mapping[tuple[str, ...], str]) -> str:
    words = ("mean", "gain", each.method)
    interval = f" [{cite[*words, 'low']}, {cite[*words, 'high']}]" if each.interval else ""
    return f"{escape(display_name(each.method))} {cite[words]}{interval}"


def _pointers(evidence: Evidence, tables: Sequence[Table], figures: Sequence[Illustration]) -> str:
    """What is where: tables and figures of one title together, whichever data sets they are of."""
    places: dict[str, list[str]] = {}
    for table in tables:
        places.setdefault(table.title, []).append(f"Table~\\ref{{tab:{table.name}}}")
    for figure in figures:
        places.setdefault(figure.title.partition(" on ")[0], []).append(f"Figure~\\ref{{fig:{figure.name}}}")
    sentences = [f"{escape(title)}: {_enumerated(listed)}." for title, listed in places.items()]
    if all(cell.n == 0 for cell in evidence.cells if cell.method != TEACHER):
        sentences.append("No run has finished yet.")
    if evidence.ranking and evidence.ranking.p is not None:
        equals = "" if evidence.ranking.p < LEAST_P else "= "
        sentences.append(f"Friedman's test that all methods rank alike gives $p {equals}\\FriedmanP{{}}$.")
    return " ".join(sentences)


def _enumerated(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def _figure(figure: Illustration) -> str:
    width = "\\textwidth" if figure.wide else "0.48\\textwidth"
    return (
        f"\\begin{{figure}}\n\\centering\n"
        f"\\includegraphics[width={width},height=0.85\\textheight,keepaspectratio]{{{figure.path}}}\n"
        f"\\caption{{{escape(figure.caption)}}}\n\\label{{fig:{figure.name}}}\n\\end{{figure}}\n"
    )
