"""Where the tests on a real SLURM submit from, what they see of it there, and how they wait for it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from command_line import contents

from benchmark.grid import main
from benchmark.launch.slurm import scheduler
from benchmark.records import Folder, ledger

ROOT = Path(__file__).parent.parent
PATIENCE = 240
MEMORY = "mem=1500M"
EPOCHS = 40


@dataclass(frozen=True)
class Place:
    """A folder with a grid file, and what lands there. It needs quoting."""

    home: Path
    name: str = "long"

    @property
    def results(self) -> Path:
        return self.home / "results"

    @property
    def folder(self) -> Path:
        return self.results / self.name

    @property
    def pace(self) -> Path:
        """How many seconds a step of this place's slow runs takes, on any machine; its cores are left to others."""
        return self.home / "pace"

    def set_pace(self, seconds: float) -> None:
        new = self.pace.with_suffix(".new")
        new.write_text(str(seconds))
        new.rename(self.pace)

    def arguments(self, *more: str, memory: str = MEMORY) -> list[str]:
        """The grid, where its results land, memory and time, unless `more` says otherwise: nothing is given twice."""
        given = {text.removeprefix("--slurm=").partition("=")[0] for text in more}
        where = [] if "--results-dir" in given else ["--results-dir", str(self.results)]
        usual = [text for text in (memory, "time=10") if text.partition("=")[0] not in given]
        settings = [part for text in usual for part in ("--slurm", text)]
        return ["--grid", str(self.home / f"{self.name}.toml"), *where, *settings, *more]

    def grid(self, *arguments: str, memory: str = MEMORY) -> int:
        """The command, here."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PACE", str(self.pace))
            return main(self.arguments(*arguments, memory=memory))

    def shell(self, *arguments: str, python_path: str | None = None) -> "subprocess.Popen[str]":
        """The command, in a process of its own."""
        environment = {**os.environ, "PACE": str(self.pace)} | ({"PYTHONPATH": python_path} if python_path else {})
        command = [sys.executable, "-m", "benchmark.grid", *self.arguments(*arguments)]
        both = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(command, env=environment, text=True, start_new_session=True, **both)  # type: ignore

    def status(self) -> str:
        return self.shell("--status").communicate()[0]

    def jobs(self) -> list[str]:
        return [entry.job_id for entry in ledger.entries(Folder(self.folder))]

    def job_of(self, seed: int) -> str:
        """The newest job of the students of a seed."""
        entries = ledger.entries(Folder(self.folder))
        return next(entry.job_id for entry in entries[::-1] if any(f"-s{seed}-" in name for name in entry.run_ids))

    def gone(self) -> bool:
        return not scheduler.queue(self.jobs())

    def epochs_made(self, seed: int) -> int:
        """Of the cohort under way."""
        for path in (self.folder / "progress").glob("[!.]*.json"):
            try:
                entry = json.loads(path.read_text())
            except FileNotFoundError:
                continue
            if f"-s{seed}-" in entry["run_ids"][0]:
                return int(entry["epoch"])
        return 0

    def training(self, *seeds: int) -> Callable[[], bool]:
        return lambda: all(self.epochs_made(seed) > 1 for seed in seeds)

    def record(self, seed: int) -> dict[str, Any]:
        records = [json.loads(path.read_text()) for path in (self.folder / "records").glob("*.json")]
        (found,) = (record for record in records if record["run"]["seed"] == seed)
        return found  # type: ignore[no-any-return]

    def assert_as(self, reference: "Place", *seeds: int) -> None:
        """The same records as there, and nothing else left."""
        theirs = {name: found for name, found in contents(reference.folder).items() if found[0]["seed"] in seeds}
        assert len(theirs) == len(seeds)
        assert contents(self.folder) == theirs
        assert not list((self.folder / "claims").iterdir())
        assert not list(self.folder.glob("checkpoints/*"))


def wait_until(what: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Poll; a failed wait says what the queue holds."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, said("squeue") + said("sinfo")
        time.sleep(0.5)


def said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def shown(job_id: str, name: str) -> str:
    """A field of what SLURM knows of a job."""
    fields = said("scontrol", "show", "job", job_id).split()
    return next(field for field in fields if field.startswith(f"{name}="))[len(name) + 1 :]


def restarts(job_id: str) -> int:
    return int(shown(job_id, "Restarts"))


def run_home() -> Path:
    """Where the cluster of slurm/cluster.sh keeps the process ids of its daemons."""
    return Path(os.environ.get("SLURM_CONF", "/etc/slurm/slurm.conf")).parent / "run"


def own(daemon: str) -> int:
    return int((run_home() / f"{daemon}.pid").read_text())


def start(daemon: str) -> None:
    environment = {**os.environ, "SLURM_TRIAL": str(run_home().parent)}
    subprocess.run([ROOT / "slurm" / "cluster.sh", "start", daemon], env=environment, check=True)
