"""Which executor, how many workers, how many threads. Nothing is trained here."""

import json
import pickle
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pynvml
import pytest
import tiny
from hypothesis import given
from hypothesis import strategies as st
from submitit.core.utils import JobPaths
from submitit.local.local import LocalJob

from benchmark.command.cluster import choose_executor
from benchmark.ground.errors import UsageError
from benchmark.launch import local
from benchmark.launch.job import Job, Settings, Work
from benchmark.launch.local import balanced, visible_gpus
from benchmark.plan.plan import make_plan
from benchmark.records import Folder
from benchmark.spec import load_grid


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
    with pytest.raises(
        UsageError, match=r"'slurm': sinfo does not answer here.* to train on this machine: local, inline"
    ):
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
    value: str, gpus: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pynvml, "nvmlInit", pytest.fail)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    assert visible_gpus() == gpus


@pytest.mark.parametrize(("count", "gpus"), [(None, []), (0, []), (2, ["0", "1"])])
def test_visible_gpus_are_else_the_ones_of_the_driver(
    count: int | None, gpus: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def counted() -> int:
        if count is None:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)
        return count

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(pynvml, "nvmlInit", lambda: None)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetCount", counted)
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
    ("gpus", "device", "threads", "wanted", "workers", "threads_each", "parts"),
    [
        ("0,1", "auto", None, 2, 3, 2, (1, 1, 1)),
        ("0", "cuda", 1, 3, 3, 1, (1, 1, 1)),
        ("", "auto", None, 2, 2, 4, (1, 1, 2)),
        ("", "auto", 1, 3, 3, 1, (1, 1, 1)),
        ("0,1", "cpu", None, 3, 3, 2, (1, 1, 1)),
        ("", "auto", None, None, 1, 8, (1, 1, 1)),
        ("", "auto", 3, None, 2, 3, (1, 1, 2)),
        ("", "auto", 1, None, 6, 1, (2, 2, 2)),
        ("", "auto", 5, None, 1, 5, (1, 1, 1)),
        ("", "auto", 9, None, 1, 9, (1, 1, 1)),
        ("0,1,5", "auto", None, None, 3, 2, (1, 1, 1)),
        ("0,1", "cuda", None, None, 2, 4, (1, 1, 2)),
        ("GPU-8f2c1d,MIG-ab", "auto", None, None, 2, 4, (1, 1, 2)),
        ("0,1", "cpu", None, None, 1, 8, (1, 1, 1)),
    ],
)
def test_workers_share_the_machine(
    gpus: str,
    device: str,
    threads: int | None,
    wanted: int | None,
    workers: int,
    threads_each: int,
    parts: tuple[int, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", gpus)
    monkeypatch.setattr(local, "cores", lambda: 8)
    monkeypatch.setattr(local.submitit, "LocalExecutor", Recorder)
    Recorder.submitted = []
    folder = Folder(tmp_path / "smoke")
    folder.path.mkdir()
    plan = make_plan(load_grid("smoke").model_copy(update={"seeds": (0, 1, 2)}), folder)
    local.launch(plan, folder, Settings(device, threads, workers=wanted), "local")
    jobs = [job for job, _ in Recorder.submitted]
    assert [job.threads for job in jobs] == [threads_each] * workers
    assert all(job.work == jobs[0].work for job in jobs)  # the whole list, which claims share out
    teacher, *work = jobs[0].work
    assert teacher.run_ids == (plan.teachers[0].id,)
    for cohort, count in zip(plan.cohorts, parts, strict=True):  # a seed each
        own, work = work[:count], work[count:]
        assert {run_id for part in own for run_id in part.run_ids} == {run.id for run in cohort.runs}
        assert {len(part.run_ids) - len(cohort.runs) // count for part in own} <= {0, 1}
    assert not work
    shown = [job.gpu for job in jobs]
    assert shown == ([None] * workers if device == "cpu" or not gpus else ((wanted or 1) * gpus.split(","))[:workers])
    assert len((folder.path / "jobs.jsonl").read_text().splitlines()) == workers


@given(sizes=st.lists(st.integers(1, 40), max_size=9), teachers=st.integers(0, 2), workers=st.integers(1, 9))
def test_only_the_last_round_of_cohorts_is_cut(sizes: list[int], teachers: int, workers: int) -> None:
    work = [Work("teachers", (f"t{i}",)) for i in range(teachers)]
    work += [Work("grid", tuple(f"{i}-{run}" for run in range(size)), "t") for i, size in enumerate(sizes)]
    whole = len(work) - len(sizes) % workers
    even = balanced(work, workers)
    assert even[:whole] == work[:whole]
    ids = [run_id for each in even for run_id in each.run_ids]
    assert sorted(ids) == sorted(run_id for each in work for run_id in each.run_ids)
    cut = even[whole:]
    assert len(cut) <= workers or whole == len(work)
    assert all(each in work or len(each.run_ids) >= local.LEAST_PART for each in cut)
    if min(sizes, default=0) >= local.LEAST_PART * workers and cut:
        assert len(cut) > workers / 2


def test_a_run_that_fails_is_one_line_and_its_traceback_lies_with_the_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*arguments: Any, **named: Any) -> bool:
        raise ValueError("no such\nluck")

    run = tiny.run("student").model_copy(update={"teacher": None})
    job = tiny.job_for(tmp_path, [run])
    job = replace(job, work=tuple(replace(work, teacher_id=None) for work in job.work))
    monkeypatch.setattr("benchmark.training.cohort.run_cohort", broken)
    assert job()
    (said,) = [record for record in caplog.records if "failed" in record.getMessage()]
    assert said.getMessage() == f"training failed: {run.id}: ValueError: no such luck"
    assert said.exc_info is None
    kept = json.loads(Folder(tmp_path / "grid").failure_path(run.id).read_text())
    assert kept["log"].startswith("Traceback")


def test_a_workers_last_words_are_its_error(tmp_path: Path) -> None:
    """submitit puts them into a trace, and behind it where its logs are."""
    paths = JobPaths(tmp_path, "7")
    paths.result_pickle.parent.mkdir(parents=True, exist_ok=True)
    trace = "Traceback (most recent call last):\n  ...\nRuntimeError: cannot allocate memory\n"
    paths.result_pickle.write_bytes(pickle.dumps(("error", trace)))
    job: LocalJob[None] = LocalJob(tmp_path, "7")
    with patch.object(LocalJob, "wait"):
        assert local.Local([job]).complaints() == [
            f"worker 7 ended with RuntimeError: cannot allocate memory; its log: {paths.stderr}"
        ]
