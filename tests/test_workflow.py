"""What is committed: a workflow that runs parts of `.ci/run`, by names that it has, and not too much."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def test_every_step_is_a_part_that_runs_anywhere() -> None:
    parts = set(re.findall(r"^(\w+)\(\) {", (ROOT / ".ci" / "run").read_text(), flags=re.MULTILINE))
    jobs = [job for path in WORKFLOWS for job in yaml.safe_load(path.read_text())["jobs"].values()]
    commands = [step["run"].split() for job in jobs for step in job["steps"] if "run" in step]
    assert commands
    for command, *named in commands:
        assert command == ".ci/run"
        assert set(named) <= parts


@pytest.mark.skipif(not shutil.which("actionlint"), reason="actionlint is not installed")
def test_actionlint_finds_nothing() -> None:
    done = subprocess.run(["actionlint", *map(str, WORKFLOWS)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="no clone")
def test_a_clone_stays_small() -> None:
    """Records, figures and predictions are committed within bounds; what is superseded goes."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    sizes = {path: (ROOT / path).stat().st_size for path in listed.decode().split("\0") if (ROOT / path).is_file()}
    assert sum(sizes.values()) < 40e6
    assert sum(size for path, size in sizes.items() if "/predictions/" in path) < 10e6
