"""A user's matplotlib settings and a notebook's backend change no figure."""

import os
import subprocess
import sys
from pathlib import Path

import fake_results as fake

from analysis.__main__ import main

SETTINGS = "text.usetex: True\nfont.family: serif\nfigure.facecolor: black\naxes.grid: True\nbackend: TkAgg\n"


def test_figures_are_the_same_wherever_they_are_drawn(tmp_path: Path) -> None:
    records = [fake.record(fake.run(method, seed)) for method in ("student", "kd") for seed in range(2)]
    results = fake.write(tmp_path / "grid", *records)
    assert main([str(results), "--out", str(tmp_path / "here")]) == 0
    home = tmp_path / "notebook"
    home.mkdir()
    (home / "matplotlibrc").write_text(SETTINGS)
    backend = {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    environment = {**os.environ, **backend, "PYTHONPATH": str(Path(__file__).parents[3])}
    command = [sys.executable, "-m", "analysis", str(results), "--out", "out"]
    done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    drawn = [
        {figure.name: figure.read_bytes() for figure in (out / "figures").glob("*.png")}
        for out in (tmp_path / "here", home / "out")
    ]
    assert drawn[0] == drawn[1]
    assert drawn[0]
