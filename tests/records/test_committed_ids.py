"""Finished records stay valid: each committed run, planned again from its grid, has its committed id."""

from pathlib import Path

import pytest

from benchmark.plan.cells import cells
from benchmark.records import TEACHERS, Folder
from benchmark.spec import load_grid

REFERENCE = Path(__file__).parents[2] / "results" / "reference"
GRIDS = sorted(path.parent.name for path in REFERENCE.glob("*/grid.toml"))


def planned(name: str) -> set[str]:
    """Ids of the runs of a committed grid and of their teachers."""
    runs = cells(load_grid(str(REFERENCE / name / "grid.toml")))
    return {run.id for run in runs} | {run.teacher.id for run in runs if run.teacher}


@pytest.mark.parametrize("name", GRIDS)
def test_committed_runs_keep_their_ids(name: str) -> None:
    records = Folder(REFERENCE / name).known_ids()
    assert records
    assert set(records) <= planned(name)


def test_committed_teachers_keep_their_ids() -> None:
    records = [record for name in GRIDS for record in Folder(REFERENCE / name).records()[0]]
    wanted = {record.result.teacher_id for record in records} - {None}
    assert wanted
    assert wanted <= set(Folder(REFERENCE / TEACHERS).known_ids())
    assert wanted <= set().union(*(planned(name) for name in GRIDS))
