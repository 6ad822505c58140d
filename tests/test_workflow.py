"""The workflow runs parts of `.ci/run`, by names that it has."""

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
