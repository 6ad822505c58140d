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


LATER = {
    "cifar100": ("at", "cc", "vid", "pkt", "ab", "ft", "fsp", "nst", "crd"),
    "mnist_hinton_long": ("pkt", "cc", "cc_kernel", "irg", "cka", "itrd"),
}
"""Methods that joined a grid when its ids were held already: held beside them, so that those are seen to stay."""


def run_ids(name: str) -> dict[str, dict[str, int | str]]:
    """How many runs a grid has and the hash of their sorted ids: of students under all methods and controls, of their
    teachers, of the trials of its tuning, and of students under the methods that came later."""
    grid = load_grid(name)
    every, late = every_run(grid), LATER.get(name, ())
    students, later = ([run for run in every if (run.method in late) == came] for came in (False, True))
    trials = every_run(trial_grid(grid)) if grid.tuning else ()
    teachers = [run.teacher for run in every if run.teacher]
    parts = {"students": students, "teachers": teachers, "trials": trials, "later": later}
    return {part: _hashed({run.id for run in runs}) for part, runs in parts.items() if runs}


def every_run(grid: Grid) -> tuple[Run, ...]:
    """With three seeds, which a grid may not name: how a seed enters an id is part of what is held."""
    return cells(grid.model_copy(update={"methods": grid.all_methods, "seeds": (0, 1, 2)}))


def _hashed(ids: Iterable[str]) -> dict[str, int | str]:
    ids = sorted(ids)
    return {"runs": len(ids), "sha256": hashlib.sha256("\n".join(ids).encode()).hexdigest()}


if __name__ == "__main__":
    COMMITTED.write_text(json.dumps({name: run_ids(name) for name in grid_names()}, indent=1) + "\n", encoding="utf-8")
