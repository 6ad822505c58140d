"""A user's matplotlib settings and a notebook's backend change no figure."""

import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import fake_results as fake

from analysis.figures import draw_figures
from analysis.runs.load import load
from analysis.statistics.evidence import collect_evidence

ROOT = Path(__file__).parents[3]
SETTINGS = "text.usetex: True\nfont.family: serif\nfigure.facecolor: black\naxes.grid: True\nbackend: TkAgg\n"


def drawn(folder: Path) -> str:
    """The figures' names and hashes."""
    found = load([folder])
    figures, _ = draw_figures(found, collect_evidence(found.runs))
    return " ".join(f"{each.name} {sha256(each.svg()).hexdigest()}" for each in figures)


def test_figures_are_the_same_wherever_they_are_drawn(tmp_path: Path) -> None:
    records = [fake.record(fake.run(method, seed)) for method in ("student", "kd") for seed in range(2)]
    results = fake.write(tmp_path / "grid", *records)
    (tmp_path / "matplotlibrc").write_text(SETTINGS)
    code = f"import pathlib, runpy; print(runpy.run_path({__file__!r})['drawn'](pathlib.Path({str(results)!r})))"
    surroundings = {
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "tests"))),
    }
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env={**os.environ, **surroundings}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == drawn(results).split()
    assert "gains" in done.stdout
