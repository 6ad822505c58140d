"""The run ids of the grids that come with the suite, as a hash for each: records are found by them, so none may change.

python -P tests/run_ids.py writes them again, which only a commit that says why may do.
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from benchmark.plan.cells import cells
from benchmark.plan.tuning import trial_grid
from benchmark.spec import Grid, Run, grid_names, load_grid

COMMITTED = Path(__file__).with_suffix(".json")


def run_ids(name: str) -> dict[str, dict[str, int | str]]:
    """How many runs a grid has and the hash of their sorted ids: of students under all methods and controls, of their
    teachers, and of the trials of its tuning."""
    grid = load_grid(name)
    students = every_run(grid)
    trials = every_run(trial_grid(grid)) if grid.tuning else ()
    parts = {"students": students, "teachers": [run.teacher for run in students if run.teacher], "trials": trials}
    return {part: _hashed({run.id for run in runs}) for part, runs in parts.items() if runs}


def every_run(grid: Grid) -> tuple[Run, ...]:
    """With three seeds, which a grid may not name: how a seed enters an id is part of what is held."""
    return cells(grid.model_copy(update={"methods": grid.all_methods, "seeds": (0, 1, 2)}))


def _hashed(ids: Iterable[str]) -> dict[str, int | str]:
    ids = sorted(ids)
    return {"runs": len(ids), "sha256": hashlib.sha256("\n".join(ids).encode()).hexdigest()}


if __name__ == "__main__":
    COMMITTED.write_text(json.dumps({name: run_ids(name) for name in grid_names()}, indent=1) + "\n", encoding="utf-8")
