"""The paper compiles and shows everything."""

import csv
import re
import shutil
import subprocess
from pathlib import Path

import fake_results as fake
import pytest

from analysis.__main__ import main

UNWANTED = r"undefined|multiply defined|Missing character|Float too large|Overfull \\hbox \((?:[2-9]\d|\d{3})"
"""What LaTeX's log must not say."""


def test_latex_sets_the_paper_with_any_names_and_holes(tmp_path: Path) -> None:
    if not shutil.which("latexmk"):
        pytest.skip("latexmk is not installed: apt-get install latexmk texlive-latex-recommended")
    labels = ("student", "größe_$x^2~", "方法 & 100%", "a|b<c>\\d{e}", "[first]", "kd", "naïve #1", "µ – “quoted”")
    runs = [
        fake.run(f"m{i}" if label != "student" else label, seed, pair, label=label)
        for i, label in enumerate(labels)
        for pair in fake.PAIRS
        for seed in range(2)
    ]
    records = [fake.record(run) for run in runs if run.method != "m1"]
    reason = "50% of x_1 & y^2 are ∞\nsee C:\\log"
    records += [fake.record(run, status="diverged", reason=reason) for run in runs if run.method == "m1"]
    folder = fake.write(tmp_path / "grid", *records)
    assert main([str(folder)]) == 0
    command = ["latexmk", "-pdf", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace")
    assert result.returncode == 0, result.stdout[-2000:]
    log = (folder / "paper.log").read_text(encoding="latin-1")
    assert not re.findall(UNWANTED, log)


@pytest.mark.usefixtures("unsaved")
def test_every_table_and_figure_is_in_the_paper_and_referred_to(tmp_path: Path) -> None:
    folder = fake.full_grid(tmp_path / "grid")
    assert main([str(folder)]) == 0
    text = (folder / "paper.tex").read_text(encoding="utf-8")
    tables = {path.stem for path in (folder / "tables").glob("*.tex")} - {"numbers"}
    figures = {path.stem for path in (folder / "figures").glob("*.pdf")}
    assert set(re.findall(r"\\input\{tables/(\w+)\}", text)) - {"numbers"} == tables
    assert {"figure1", "table1"} <= tables | figures
    assert set(re.findall(r"\\includegraphics\[.*\]\{figures/(\w+)\}", text)) == figures
    assert set(re.findall(r"\\ref\{(?:tab|fig):(\w+)\}", text)) == tables | figures
    defined = set(re.findall(r"\\newcommand\{(\\[A-Za-z]+)\}\{", (folder / "tables/numbers.tex").read_text()))
    used = set(re.findall(r"(\\[A-Z][A-Za-z]+)", text.partition("\\begin{document}")[2]))
    assert used
    assert used <= defined
    with (folder / "tables/numbers.csv").open(encoding="utf-8", newline="") as file:
        assert {row["macro"] for row in csv.DictReader(file)} == defined
