"""What several tests of claims need."""

import subprocess
import sys
from collections.abc import Iterator

import pytest


@pytest.fixture
def holder() -> Iterator["subprocess.Popen[bytes]"]:
    """Another live process."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()
