"""Tables as LaTeX."""

from pathlib import Path

import pytest
from graded import evidence_of, graded

from analysis.tables.first import first_table
from analysis.tables.latex import LONGEST, escape, latex
from analysis.tables.main import main_table


def test_a_table_taller_than_a_page_is_continued(tmp_path: Path) -> None:
    gains = {f"method {chr(65 + i)}": i / 10 for i in range(60)}
    table = main_table(evidence_of(tmp_path, *graded(gains, seeds=1)))
    text = latex(table)
    floats = text.split(r"\begin{table*}")[1:]
    assert len(floats) == 2
    assert all(each.count(r" \\") <= LONGEST for each in floats)
    assert text.count(r"\caption{") == text.count(r"\label{tab:main}") == 1
    assert text.count(r"Table~\ref{tab:main}, continued") == 1
    assert all(text.count(f"{escape(method)} & ") == 1 for method in gains)


def test_a_first_pages_table_of_many_methods_has_its_halves_side_by_side(tmp_path: Path) -> None:
    few = latex(first_table(evidence_of(tmp_path / "few", *graded({"kd": 1.0}, seeds=2))))
    assert "minipage" not in few
    assert all(f"{name} & " not in few for name in ("Pairs like these", "digits"))  # of one data set and two pairs
    alike = first_table(evidence_of(tmp_path / "alike", *graded({"kd": 0.0})))
    assert "*/† better/worse, = equivalent within 0.5 points (moderated t-test, Holm" in alike.caption
    gains = {f"method {chr(65 + i)}": i / 10 for i in range(19)}
    text = latex(first_table(evidence_of(tmp_path / "many", *graded(gains, seeds=2))))
    assert text.count(r"\begin{tabular}") == text.count(r"\begin{minipage}") == 2
    first, second = text.split(r"\hfill")
    assert (first.count("method "), second.count("method ")) == (10, 9)


def test_blocks_of_columns_share_a_page_as_long_as_it_holds_them(tmp_path: Path) -> None:
    pairs = tuple((teacher, student) for teacher in ("resnet_l", "vit_l") for student in ("a", "b", "c", "d"))
    table = main_table(evidence_of(tmp_path, *graded({"kd": 1.0}, seeds=1, pairs=pairs)))
    text = latex(table)
    assert text.count(r"\begin{table*}") == 1
    assert text.count(r"\begin{tabular}") == 2


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("rkd_da & 50%", r"rkd\_da \& 50\%"),
        ("\\", r"\textbackslash{}"),
        ("größe", r"gr\"{o}\ss{}e"),
        ("方", "{[}U+65B9{]}"),
        ("ρ = 0.5 µ", r"$\rho$ = 0.5 $\mu$"),
        ("1 ± 2 → 3", r"1 $\pm$ 2 $\to$ 3"),
    ],
)
def test_latex_escaping(text: str, escaped: str) -> None:
    assert escape(text) == escaped
