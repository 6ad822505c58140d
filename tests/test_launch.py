"""Which executor, how many workers, how many threads. Nothing is trained here."""

import stat
from pathlib import Path
from typing import Any

import pytest
from submitit.core.utils import JobPaths

from benchmark import launch
from benchmark.errors import UsageError
from benchmark.grid_file import load_grid
from benchmark.job import Job
from benchmark.launch import Settings, choose_executor, visible_gpus
from benchmark.plan import make_plan
from benchmark.records import Folder


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder in which commands are looked for."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def command(folder: Path, name: str, script: str = "exit 0") -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(stat.S_IRWXU)


@pytest.mark.parametrize("sinfo", [None, "exit 1"], ids=["without commands", "without an answer"])
def test_without_a_cluster(sinfo: str | None, path: Path) -> None:
    if sinfo:
        command(path, "sbatch")
        command(path, "sinfo", sinfo)
    assert choose_executor("auto") == "local"
    assert choose_executor("inline") == "inline"
    with pytest.raises(UsageError, match=r"'slurm' .* valid: local, inline"):
        choose_executor("slurm")


def test_with_a_cluster(path: Path) -> None:
    command(path, "sbatch")
    command(path, "sinfo")
    assert choose_executor("auto") == choose_executor("slurm") == "slurm"
    assert choose_executor("local") == "local"


@pytest.mark.parametrize(
    ("value", "gpus"),
    [
        ("", []),
        ("0", ["0"]),
        ("1,3", ["1", "3"]),
        ("0, 2", ["0", "2"]),
        ("0,-1,1", ["0"]),
        ("-1", []),
        ("NoDevFiles", []),
        ("GPU-8f2c1d,MIG-ab/1/0", ["GPU-8f2c1d", "MIG-ab/1/0"]),
    ],
)
def test_visible_gpus_are_the_ones_of_the_environment(
    value: str, gpus: list[str], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command(path, "nvidia-smi", "echo GPU 0; echo GPU 1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    assert visible_gpus() == gpus


@pytest.mark.parametrize(
    ("script", "gpus"), [(None, []), ("exit 9", []), ("echo GPU 0: A; echo GPU 1: B", ["0", "1"]), ("exit 0", [])]
)
def test_visible_gpus_are_else_the_ones_of_the_driver(
    script: str | None, gpus: list[str], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if script:
        command(path, "nvidia-smi", script)
    assert visible_gpus() == gpus


class Recorder:
    """Stands in for submitit's local executor."""

    submitted: list[tuple[Job, dict[str, Any]]]

    def __init__(self, folder: Path) -> None:
        self.parameters: dict[str, Any] = {}
        self.job_id = "1"
        self.paths = JobPaths(folder, "1")

    def update_parameters(self, **parameters: Any) -> None:
        self.parameters = parameters

    def submit(self, job: Job) -> "Recorder":
        self.submitted.append((job, self.parameters))
        return self


@pytest.mark.parametrize(
    ("gpus", "device", "threads", "workers", "threads_each"),
    [
        ("", "auto", None, 1, 8),
        ("", "auto", 3, 2, 3),
        ("", "auto", 1, 3, 1),
        ("", "auto", 5, 1, 5),
        ("", "auto", 9, 1, 9),
        ("0,1,5", "auto", None, 3, 2),
        ("0,1", "cuda", None, 2, 4),
        ("GPU-8f2c1d,MIG-ab", "auto", None, 2, 4),
        ("0,1", "cpu", None, 1, 8),
    ],
)
def test_workers_share_the_machine(
    gpus: str,
    device: str,
    threads: int | None,
    workers: int,
    threads_each: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", gpus)
    monkeypatch.setattr(launch, "cores", lambda: 8)
    monkeypatch.setattr(launch.submitit, "LocalExecutor", Recorder)
    Recorder.submitted = []
    folder = Folder(tmp_path / "smoke")
    folder.path.mkdir()
    plan = make_plan(load_grid("smoke").model_copy(update={"seeds": (0, 1, 2)}), folder)
    launch.launch(plan, folder, Settings(device, threads), "local")
    jobs = [job for job, _ in Recorder.submitted]
    assert [job.threads for job in jobs] == [threads_each] * workers
    assert all(job.work == jobs[0].work for job in jobs)  # the whole list, which claims share out
    cohort = len(plan.runs) // 3
    assert [len(work.run_ids) for work in jobs[0].work] == [1, cohort, cohort, cohort]  # the teacher, then a seed each
    shown = [job.gpu for job in jobs]
    assert shown == ([None] * workers if device == "cpu" or not gpus else gpus.split(","))
    assert len((folder.path / "jobs.jsonl").read_text().splitlines()) == workers
