"""Numbers of the tables as macros."""

import re
from pathlib import Path

from graded import evidence_of, graded

from analysis.report import numbers


def test_macros_are_letters_and_say_the_tables_numbers(tmp_path: Path) -> None:
    evidence = evidence_of(tmp_path, *graded({"kd": 1.0, "kd+sp": -2.0}))
    named = numbers.named(numbers.numbers(evidence))
    assert all(re.fullmatch(r"[A-Za-z]+", name) for name in named)
    assert named["AccuracyDigitsResnetLResnetSKd"].text == "81.20"
    assert named["MeanGainKdPlusSp"].text == "−2.00"
    assert named["RankKd"].text == "1.0"
    text = numbers.macros(named)
    assert r"\newcommand{\MeanGainKdPlusSp}{\ensuremath{-2.00}}" in text
    assert text.isascii()


def test_names_of_macros_never_meet() -> None:
    alike = [
        numbers.Number("rank", (label,), "", str(i)) for i, label in enumerate(("a_b", "aB", "a b", "方", "法", "1"))
    ]
    named = numbers.named(alike)
    assert len(named) == len(alike)
    assert all(name.isascii() and name.isalpha() for name in named)
    assert "RankOne" in named
