"""What --status says of runs that are queued, lost or failed. squeue and sacct are scripts here."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import fake_results as fake
import pytest

from benchmark.command.status import run_states, status_lines
from benchmark.ground.errors import UsageError
from benchmark.records import Folder, code, ledger
from benchmark.records.ledger import Entry

RUNS = [fake.run(method) for method in ("kd", "sp", "gkd", "rkd_d")]
DONE, FAILED, OPEN, NEVER = (run.id for run in RUNS)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """One run done, one failed in job 8, one was to be trained by jobs 7 and 8_1, one by none."""
    folder = Folder(tmp_path / "results" / "grid")
    for run in RUNS:
        folder.plan(run)
    fake.write(folder.path, fake.record(RUNS[0]))
    folder.fail(FAILED, "ValueError: no", "Traceback")
    (folder.path / "logs").mkdir()
    (folder.path / "logs" / "8").write_text("".join(f"line {number}\n" for number in range(100)))
    ledger.note(folder, [Entry("7", "slurm", (DONE, OPEN), "grid/logs/7", submitted="2026-01-01")])
    ledger.note(folder, [Entry("8_1", "slurm", (FAILED, OPEN), "grid/logs/8", submitted="2026-01-02")])
    return folder


def scheduler(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    queue: str,
    ends: str = "8_1|OUT_OF_MEMORY",
    meanwhile: str = "true",
) -> None:
    """What the queue holds, how jobs ended, and what happens while the queue is asked for."""
    for name, text in (("squeue", queue), ("sacct", ends)):
        (tmp_path / name).write_text(f"#!/bin/sh\n{meanwhile}\necho '{text}'\n")
        (tmp_path / name).chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)


def status(folder: Folder) -> str:
    return "".join(f"{line}\n" for line in status_lines(folder))


def test_queued(folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scheduler(tmp_path, monkeypatch, "8_1|PENDING|Dependency|")
    assert run_states(folder, folder.planned_ids()).states == {
        DONE: "done",
        FAILED: "failed",
        OPEN: "queued",
        NEVER: "missing",
    }
    printed = status(folder)
    assert "4 runs in" in printed
    assert "1 done, 1 queued, 1 failed, 1 missing" in printed
    assert "queued: job 8_1, 1 runs: Dependency" in printed


def test_lost_with_the_end_of_its_log(folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scheduler(tmp_path, monkeypatch, "7|RUNNING|None|n1")  # an older job of the run does not count
    printed = status(folder)
    assert "1 done, 1 failed, 1 lost, 1 missing" in printed
    assert f"lost: job 8_1 OUT_OF_MEMORY without a record of 1 runs ({OPEN} ...)" in printed
    assert "1 failed: ValueError: no" in printed
    assert printed.count(f"  log: {folder.path / 'logs' / '8'}") == 2  # the lost one's and the failed one's
    assert "line 93" not in printed
    assert "    line 94\n    line 95\n    line 96\n    line 97\n    line 98\n    line 99\n" in printed


def test_of_an_array_that_never_started(folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scheduler(tmp_path, monkeypatch, "", ends="8_9|COMPLETED\n8_[0-4,7%2]|CANCELLED by 0")
    assert run_states(folder, folder.planned_ids()).left_by == {OPEN: "CANCELLED by 0"}


def test_completed_without_a_record_is_failed(folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scheduler(tmp_path, monkeypatch, "", ends="8_1|COMPLETED")
    found = run_states(folder, folder.planned_ids())
    assert (found.states[OPEN], found.left_by) == ("failed", {OPEN: "COMPLETED"})
    printed = status(folder)
    assert "1 done, 2 failed, 1 missing" in printed
    assert f"failed: job 8_1 COMPLETED without a record of 1 runs ({OPEN} ...)" in printed
    assert "1 failed: ValueError: no" in printed


def test_a_run_that_ends_while_the_queue_is_asked_for_is_done(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.write(tmp_path / "later", fake.record(RUNS[2]))
    record = Folder(tmp_path / "later").record_path(OPEN)
    scheduler(tmp_path, monkeypatch, "", ends="8_1|COMPLETED", meanwhile=f"cp {record} {folder.record_path(OPEN)}")
    assert run_states(folder, folder.planned_ids()).states[OPEN] == "done"


def test_at_home_nothing_is_lost(folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Results moved away from the cluster are read where no SLURM is, and logs are found beside them."""
    monkeypatch.setenv("PATH", str(tmp_path))
    home = tmp_path / "home"
    shutil.move(folder.path.parent, home)
    printed = status(Folder(home / "grid"))
    assert "1 done, 1 failed, 2 missing" in printed
    assert f"log: {home / 'grid' / 'logs' / '8'}" in printed


def test_a_line_of_the_ledger_that_was_cut_short_is_passed_over(folder: Folder) -> None:
    with (folder.path / "jobs.jsonl").open("a") as file:
        file.write('{"job_id": "9", "run_')
    assert [entry.job_id for entry in ledger.entries_beside(folder)] == ["7", "8_1"]


def test_a_snapshot_is_made_once_and_not_used_when_it_was_changed(tmp_path: Path) -> None:
    copy = code.snapshot(tmp_path)
    assert copy.name == code.source_hash(copy) == code.source_hash(code.ROOT)
    assert (copy / "version.txt").read_text() == code.code_version()
    assert code.code_version().endswith(copy.name)
    made = (copy / "version.txt").stat().st_mtime_ns
    assert code.snapshot(tmp_path) == copy
    assert (copy / "version.txt").stat().st_mtime_ns == made
    assert [path.name for path in tmp_path.iterdir()] == [copy.name]
    (copy / "methods" / "kd.py").write_text("changed")
    with pytest.raises(UsageError, match="changed after jobs were submitted"):
        code.snapshot(tmp_path)


def test_a_job_finds_published_weights_beside_its_snapshot(tmp_path: Path) -> None:
    copy = code.snapshot(tmp_path / "results" / "grid" / "code")
    pinned = "from benchmark.models.weights import pin; from benchmark.spec import load_grid; pin(load_grid({!r}))"
    command = [sys.executable, "-P", "-c", pinned.format("cifar10_gkd_short") + "; print(pin.__code__.co_filename)"]
    environment = {**os.environ, "PYTHONPATH": str(copy)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(copy / "benchmark" / "models" / "weights.py")


def test_weights_of_a_snapshot_follow_the_suites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are no part of its name, and what was planned meanwhile is what jobs want."""
    monkeypatch.setattr(code, "REFERENCE", tmp_path)
    (tmp_path / "gone.safetensors").symlink_to(tmp_path / "nowhere")
    copy = code.snapshot(tmp_path / "code")
    for content in (b"first", b"other"):
        (tmp_path / "net.safetensors").write_bytes(content)
        assert code.snapshot(tmp_path / "code") == copy
        assert [path.read_bytes() for path in (copy / "results" / "reference").iterdir()] == [content]


def test_records_without_plans_are_counted(tmp_path: Path) -> None:
    """As in results that were published."""
    folder = Folder(fake.write(tmp_path / "grid", *(fake.record(fake.run("kd", seed)) for seed in range(2))))
    shutil.rmtree(folder.path / "planned", ignore_errors=True)
    assert f"2 runs in {folder.path}: 2 done" in status(folder)
