"""A user's matplotlib settings and a notebook's backend change no figure."""

import os
import subprocess
import sys
from pathlib import Path

import fake_results as fake

SETTINGS = "text.usetex: True\nfont.family: serif\nfigure.facecolor: black\naxes.grid: True\nbackend: TkAgg\n"


def test_figures_are_the_same_wherever_they_are_drawn(tmp_path: Path) -> None:
    records = [fake.record(fake.run(method, seed)) for method in ("student", "kd") for seed in range(2)]
    results = fake.write(tmp_path / "grid", *records)
    drawn = []
    for name, backend in (("plain", None), ("notebook", "module://matplotlib_inline.backend_inline")):
        home = tmp_path / name
        home.mkdir()
        environment = {key: value for key, value in os.environ.items() if key != "MPLBACKEND"}
        if backend:
            (home / "matplotlibrc").write_text(SETTINGS)
            environment["MPLBACKEND"] = backend
        environment["PYTHONPATH"] = str(Path(__file__).parents[3])
        command = [sys.executable, "-m", "analysis", str(results), "--out", "out"]
        done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        figures = sorted((home / "out" / "figures").glob("*.png"))
        assert figures
        drawn.append({figure.name: figure.read_bytes() for figure in figures})
    assert drawn[0] == drawn[1]
