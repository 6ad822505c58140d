"""Short names of numbers: what LaTeX makes of them, and what it says where there is none."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from analysis.report.numbers import Number, macros, named
from analysis.report.short import short_names
from analysis.statistics.cells import Cell

NUMBERS = [
    Number("accuracy", ("cifar100", "resnet56_resnet20", "kd"), "", "38.81"),
    Number("accuracy", ("cifar100", "resnet56_resnet20", "kd+sp[weight=2]"), "", "39.00"),
    Number("accuracy", ("cifar100", "resnet110_resnet32", "kd"), "", "40.00"),
    Number("accuracy", ("cifar100", "vgg13_resnet32", "kd"), "", "41.00"),
    Number("gain", ("cifar100", "resnet56_resnet20", "kd"), "", "+9.03"),
    Number("gain", ("cifar100", "resnet56_resnet20", "kd"), "", "−1.00", "low"),
    Number("mean gain", ("kd",), "", "+3.20"),
    Number("mean gain", ("kd",), "", "< 0.001", "p"),
    Number("accuracy", ("cifar100", "resnet56_resnet20", "größe 50%"), "", "1.00"),
    Number("runs", (), "", "3"),
]
PAIRS = ("resnet56_resnet20", "resnet110_resnet32", "vgg13_resnet32")
CELLS = [Cell("cifar100", pair, *pair.split("_"), "kd", 1, 1, 1.0, None, "done", "") for pair in PAIRS]

PAPER = r"""\documentclass{article}
\input{numbers}
\begin{document}
\typeout{A=\Acc{cifar100}{resnet20}{kd}}
\typeout{B=\Acc{cifar100}{resnet56_resnet20}{kd+sp[weight=2]}}
\typeout{C=\GainLow{cifar100}{resnet20}{kd}, \MeanGain{kd}, \MeanGainP{kd}}
\Acc{cifar100}{resnet20}{kd}
\Acc{cifar100}{resnet21}{kd}
\Acc{cifar100}{resnet32}{kd}
\end{document}
"""


def test_names_that_tex_cannot_read_have_none() -> None:
    text = short_names(NUMBERS, CELLS)
    assert text.isascii()
    assert "50" not in text
    assert r"\results@set{Acc}{cifar100/resnet20/kd}{\ensuremath{38.81}}" in text


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs LaTeX")
def test_latex_finds_numbers_and_names_what_there_is_not(tmp_path: Path) -> None:
    (tmp_path / "numbers.tex").write_text(macros(named(NUMBERS)) + short_names(NUMBERS, CELLS), encoding="ascii")
    (tmp_path / "paper.tex").write_text(PAPER, encoding="ascii")
    command = ["pdflatex", "-interaction=nonstopmode", "-draftmode", "paper.tex"]
    whole_lines = {**os.environ, "max_print_line": "2000"}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=whole_lines)
    log = " ".join(done.stdout.split())
    assert r"A=\ensuremath {38.81}" in log
    assert r"B=\ensuremath {39.00}" in log
    assert r"C=\ensuremath {-1.00}, \ensuremath {+3.20}, \ensuremath {<0.001}" in log.replace("< 0", "<0")
    assert r"There is no \Acc for cifar100/resnet21/kd" in log
    assert "students and pairs: resnet56_resnet20, resnet20, resnet110_resnet32" in log.replace("(results) ", "")
    assert "cifar100/resnet32/kd: the student has several teachers" in log
    assert log.count("! Package results Error") == 2
