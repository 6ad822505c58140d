"""What several tests of plans need."""

from pathlib import Path

import pytest

from benchmark.records import Folder


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "g")
