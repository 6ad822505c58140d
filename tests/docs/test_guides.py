"""The guides can be followed to the letter. The cluster's is followed by `tests/launch/slurm/test_submission.py`."""

from pathlib import Path

import pytest
from guides import GUIDES, clone, follow

HERE = ["add_a_data_set", "add_a_method", "read_a_record", "reproduce_a_row"]


@pytest.mark.long
@pytest.mark.parametrize("guide", HERE)
def test_it_can_be_followed(guide: str, tmp_path: Path) -> None:
    follow(guide, clone(tmp_path))


def test_none_is_forgotten() -> None:
    assert sorted(path.stem for path in GUIDES.glob("*.md")) == sorted([*HERE, "submit_to_a_cluster"])
