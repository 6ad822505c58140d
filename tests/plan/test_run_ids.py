"""No run of a grid that comes with the suite gets another id: its record would no longer be found."""

import json

import pytest
from run_ids import COMMITTED, run_ids

from benchmark.spec import grid_names

HASHES = json.loads(COMMITTED.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", grid_names())
def test_the_ids_of_a_grid_stay(name: str) -> None:
    assert run_ids(name) == HASHES.get(name), "what has a reason is written again by: python tests/run_ids.py"


def test_no_hash_is_left_of_a_grid_that_is_gone() -> None:
    assert set(HASHES) == set(grid_names())
