"""On a real SLURM: submitted, disturbed in every way, and bit-identical to what an undisturbed machine makes of it.

They run where a cluster answers, `eval "$(slurm/cluster.sh up)"` starts one, and are skipped elsewhere, or fail where
REQUIRE_SLURM is set. What harms a cluster is done to that one alone. Jobs take long to start, so that tests share them:
a fixture does to every job what harms it, while the others go on, and each test looks at one.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from command_line import contents, write_grid
from guides import clone, follow
from slurm_places import MEMORY, ROOT, Place, own, restarts, run_home, said, shown, start, wait_until

from benchmark.grid import main
from benchmark.ground.errors import COMPLETE, FAILED, INCOMPLETE, USAGE
from benchmark.launch.slurm import scheduler
from benchmark.records import Folder, ledger
from benchmark.spec import load_grid
from methods.base import REGISTRY

pytestmark = pytest.mark.slurm
EPOCHS = 40
METHODS = '''
import os
import time
from pathlib import Path

from methods.base import register
from methods.student import Student


@register("slow")
class Slow(Student):
    """Takes the time that a file says, in seconds a step (Nobody, Nowhere 2000)."""

    reads = frozenset({"logits"})  # what reads nothing trains without its teacher

    def forward(self, student, teacher, batch):
        time.sleep(float(Path(os.environ["PACE"]).read_text()))
        return super().forward(student, teacher, batch)


@register("faulty")
class Faulty(Student):
    """Fails for as long as a file says (Nobody, Nowhere 2000)."""

    reads = frozenset({"logits"})

    def forward(self, student, teacher, batch):
        if Path(os.environ["PACE"]).with_suffix(".fault").exists():
            raise RuntimeError("a fault")
        return super().forward(student, teacher, batch)
'''


@pytest.fixture(scope="module", autouse=True)
def trial() -> Iterator[None]:
    if not (scheduler.silence() == "" and (run_home() / "slurmctld.pid").exists()):
        why = 'no cluster of slurm/cluster.sh answers: eval "$(slurm/cluster.sh up)"'
        pytest.fail(why) if os.environ.get("REQUIRE_SLURM") else pytest.skip(why)
    yield
    subprocess.run(["scancel", "--user", str(os.getuid())], check=True)


@pytest.fixture(scope="module", autouse=True)
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A third party's package on PYTHONPATH, for the jobs to find, and its methods here. Jobs have one thread."""
    folder = tmp_path_factory.mktemp("package")
    (folder / "slow_methods.py").write_text(METHODS)
    about = folder / "slow_methods-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: slow-methods\nVersion: 1.0\n")
    names = "".join(f"{name} = slow_methods\n" for name in ("slow", "faulty"))
    (about / "entry_points.txt").write_text(f"[relational_distillation.methods]\n{names}")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        patch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{folder}")
        patch.setenv("OMP_NUM_THREADS", "1")
        __import__("slow_methods")
        yield str(folder)
    del REGISTRY["slow"], REGISTRY["faulty"], sys.modules["slow_methods"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, surroundings: str) -> Place:
    """A grid of one slow method and three seeds, and its results as this process makes them, in no time."""
    place = Place(tmp_path_factory.mktemp("undisturbed"))
    write_grid(place.home / "long.toml", methods=["slow"], seeds=[0, 1, 2], recipe__epochs=EPOCHS)
    place.set_pace(0)
    assert place.grid("--executor", "inline") == COMPLETE
    return place


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory, undisturbed: Place) -> Callable[[str], Place]:
    """Makes places with the same grid file and the teacher trained, its students to come."""

    def make(name: str) -> Place:
        place = Place(tmp_path_factory.mktemp(name) / "it's a folder")
        shutil.copytree(undisturbed.results / "teachers", place.results / "teachers")
        shutil.copy(undisturbed.home / "long.toml", place.home)
        place.set_pace(0)
        return place

    return make


# --- submission -------------------------------------------------------------------------------------------------------


def test_the_readmes_command_gives_a_local_runs_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Submitted, submitted again while it is queued, and watched."""
    monkeypatch.chdir(tmp_path)
    smoke = Place(tmp_path, "smoke")
    command = ["--grid", "smoke", "--methods", "all", "--seeds", "3"]
    on_slurm = [*command, "--slurm", MEMORY, "--slurm", "time=10"]
    assert main(on_slurm) == INCOMPLETE
    submitted = smoke.jobs()
    assert len(submitted) == 1 + 3  # the teacher, then an array of the three seeds' cohorts
    assert len({job_id.partition("_")[0] for job_id in submitted}) == 2
    assert main(on_slurm) == INCOMPLETE
    assert main([*command, "--executor", "inline", "--results-dir", "local"]) == COMPLETE
    assert main([*on_slurm, "--watch"]) == COMPLETE
    assert smoke.jobs() == submitted
    cells = 3 * len(load_grid("smoke").methods)
    assert f"{cells}/{cells} runs done" in capsys.readouterr().out
    assert len(contents(smoke.folder)) == cells
    assert contents(smoke.folder) == contents(Path("local/smoke"))
    assert contents(Path("results/teachers")) == contents(Path("local/teachers"))
    assert {path.name for path in (smoke.folder / "logs").iterdir()} == {"teachers", "digits-resnet_m"}
    (code,) = (smoke.folder / "code").iterdir()
    records = list((smoke.folder / "records").iterdir())
    provenance = [json.loads(path.read_text())["provenance"] for path in records]
    assert {each["code"] for each in provenance} == {(code / "version.txt").read_text()}
    assert provenance[0]["code"].endswith(f"source {code.name}")
    assert all(each["job"].startswith("slurm ") for each in provenance)

    wait_until(smoke.gone)
    records[0].unlink()
    assert main([*command, "--status"]) == COMPLETE
    printed = capsys.readouterr().out
    assert f"{cells - 1} done, 1 failed" in printed
    assert f"COMPLETED without a record of 1 runs ({records[0].stem} ...)" in printed


def test_of_two_shells_one_submits_and_what_it_submitted_is_what_runs(
    taught: Callable[[str], Place], undisturbed: Place, surroundings: str, tmp_path: Path
) -> None:
    """The tree is broken after submission; the job has its own copy."""
    place = taught("shells")
    for package in ("benchmark", "methods", "analysis"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    python_path = f"{tmp_path}{os.pathsep}{surroundings}"
    shells = [place.shell("--seeds", "1", "--slurm", "hold", python_path=python_path) for _ in range(2)]
    errors = [shell.communicate()[1] for shell in shells]
    assert {shell.returncode for shell in shells} <= {INCOMPLETE, USAGE}, errors
    assert all("another command is submitting" in error for error in errors if error)
    (job_id,) = place.jobs()
    (tmp_path / "benchmark" / "training.py").write_text("raise RuntimeError('changed after submission')")
    said("scontrol", "release", job_id)
    wait_until(place.gone)
    place.assert_as(undisturbed, 0)


def test_two_jobs_may_be_submitted_and_two_workers_share_the_gpu_of_each(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the profile for GPU clusters: two teachers and two cohorts as the two jobs that the account still allows. What
    a dry run prints is what sbatch is told.
    """
    user = ["user", "where", f"name={os.environ.get('USER', 'root')}"]
    sacctmgr = ["sacctmgr", "--immediate", "modify", *user, "set"]
    place = Place(tmp_path / "it's a folder", "few")
    place.home.mkdir()
    write_grid(place.home / "few.toml", teacher_seed="paired", seeds=[0, 1])
    here = [f"--slurm={setting}" for setting in ("partition=main", "account=trial", "cpus-per-task=1")]
    asked = ("--profile", "gpu", *here, "--max-parallel", "1")
    subprocess.run([*sacctmgr, "maxsubmitjobs=2"], check=True)
    try:
        wait_until(lambda: scheduler.limits(None, None).jobs == 2)
        capsys.readouterr()
        assert place.grid(*asked, "--dry-run") == COMPLETE
        printed = capsys.readouterr().out
        assert not place.folder.exists()
        assert place.grid(*asked) == INCOMPLETE
    finally:
        subprocess.run([*sacctmgr, "maxsubmitjobs=-1"], check=True)
    teachers, students = place.jobs()
    assert "gpu:1" in shown(students, "TresPerNode")
    assert shown(students, "NumTasks") == "2"
    teacher_ids = ledger.entries(Folder(place.folder))[0].run_ids
    for script in sorted((place.folder / "logs").glob("*/*_submission.sh")):
        lines = [line for line in script.read_text().splitlines()[1:] if line and line != "# Parameters"]
        for line in lines:
            assert line.replace(f":{teachers}", f":JOB_OF_{teacher_ids[0]}") in printed or line in printed
    assert place.grid("--executor", "inline", "--results-dir", str(tmp_path / "local")) == COMPLETE
    wait_until(place.gone)
    assert [len(entry.run_ids) for entry in ledger.entries(Folder(place.folder))] == [2, 4]
    assert len(contents(place.folder)) == 4
    assert contents(place.folder) == contents(tmp_path / "local" / "few")
    assert len(list((place.folder / "logs").glob(f"*/{students}_?_log.out"))) == 2


def test_an_array_is_cut_where_the_cluster_wants_it_and_cancelled(
    taught: Callable[[str], Place], capsys: pytest.CaptureFixture[str]
) -> None:
    """The trial cluster's arrays have 101 tasks at most."""
    place = taught("many")
    assert place.grid("--seeds", "103", "--slurm", "hold") == INCOMPLETE
    arrays = [job_id.partition("_")[0] for job_id in place.jobs()]
    assert [arrays.count(array) for array in dict.fromkeys(arrays)] == [101, 2]
    assert place.grid("--cancel") == COMPLETE
    assert f"cancelled {len(arrays)} jobs" in capsys.readouterr().out
    wait_until(place.gone)
    assert f"{len(arrays)} lost" in place.status()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--slurm", "partition=nowhere"], "invalid partition specified: nowhere"),
        (["--results-dir", "50%a"], "50%a/long': sbatch reads % in the path of a log as a pattern"),
    ],
)
def test_what_is_refused_is_one_line_and_nothing_is_left(
    arguments: list[str],
    says: str,
    taught: Callable[[str], Place],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    place = taught("refused")
    assert place.grid(*arguments) == USAGE
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert says in error
    assert not place.jobs()


def test_jobs_that_cannot_be_written_down_are_cancelled(
    taught: Callable[[str], Place], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    submitted = []

    def full(folder: Folder, entries: list[ledger.Entry]) -> None:
        submitted.extend(entry.job_id for entry in entries)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ledger, "note", full)
    assert taught("unwritten").grid("--slurm", "hold") == USAGE
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "No space left on device" in error
    assert len(submitted) == 3
    wait_until(lambda: not scheduler.queue(submitted))


# --- surviving --------------------------------------------------------------------------------------------------------


@dataclass
class Disturbed:
    """Three seeds of one submission, seeds in the order of what happens to them: queued again by hand; cancelled;
    preempted, and then its node dies. And a place where time runs out for a seed's job. `seen` on the way.
    """

    place: Place
    overtime: Place
    seen: dict[str, Any] = field(default_factory=dict)


@pytest.fixture(scope="module")
def disturbed(taught: Callable[[str], Place]) -> Disturbed:
    found = Disturbed(taught("disturbed"), taught("overtime"))
    place, overtime = found.place, found.overtime
    overtime.set_pace(1.0)
    short = [f"--slurm={setting}" for setting in ("partition=short", "time=2", "nodelist=n1")]
    assert overtime.grid("--seeds", "1", *short) == INCOMPLETE
    place.set_pace(0.3)
    shell = place.shell("--watch", "--slurm", "hold")
    wait_until(lambda: len(place.jobs()) == 3)
    by_hand, cancelled, preempted = (place.job_of(seed) for seed in range(3))
    found.seen["jobs"] = place.jobs()
    for job_id, node in ((by_hand, "n1"), (cancelled, "n1"), (preempted, "n2")):
        said("scontrol", "update", f"jobid={job_id}", f"reqnodelist={node}")
        said("scontrol", "release", job_id)
    wait_until(place.training(0, 1, 2))

    os.killpg(shell.pid, signal.SIGKILL)
    shell.communicate()
    os.kill(own("slurmctld"), signal.SIGKILL)
    start("slurmctld")
    wait_until(lambda: scheduler.silence() == "")
    wait_until(lambda: set(scheduler.queue(place.jobs())) == set(place.jobs()))
    found.seen["restarts after the controller's"] = [restarts(job_id) for job_id in place.jobs()]

    found.seen["status while training"] = place.status()
    said("scontrol", "requeue", by_hand)
    said("scancel", cancelled)
    urgent = ["sbatch", "--partition=urgent", "--nodelist=n2", "--exclusive", "--output=/dev/null", "--time=1"]
    said(*urgent, "--wrap", "sleep 3")
    wait_until(lambda: restarts(by_hand) == restarts(preempted) == 1 and not scheduler.queue([cancelled]))
    found.seen["checkpoints"] = len(list((place.folder / "checkpoints").glob("*-s2-*/*.pt")))
    found.seen["status when cancelled"] = place.status()
    assert place.grid("--retry", "lost") == INCOMPLETE

    wait_until(place.training(2))
    kill_node_of(place, 2, "n2")
    try:
        wait_until(lambda: "down" in said("sinfo", "--noheader", "--nodes=n2", "--format=%T"))
        wait_until(lambda: restarts(preempted) == 2)
        said("scontrol", "update", f"jobid={preempted}", "reqnodelist=n1")
        place.set_pace(0)
        wait_until(lambda: restarts(*overtime.jobs()) >= 1)
        overtime.set_pace(0)
        wait_until(lambda: place.gone() and overtime.gone())
    finally:
        start("n2")
    return found


def kill_node_of(place: Place, seed: int, node: str) -> None:
    """The node's daemon, the job's, and the worker, at once; SLURM has to notice by itself."""
    claim = json.loads(next((place.folder / "claims").glob(f"[!.]*-s{seed}-*.json")).read_text())
    number = shown(place.job_of(seed), "JobId")
    steps = [int(word) for word in said("pgrep", "-f", rf"slurmstepd.*\[{number}\.").split()]
    assert steps
    for pid in (own(node), *steps, claim["pid"]):
        os.kill(pid, signal.SIGKILL)


def test_all_that_was_disturbed_has_an_undisturbed_runs_records(disturbed: Disturbed, undisturbed: Place) -> None:
    disturbed.place.assert_as(undisturbed, 0, 1, 2)
    assert len(disturbed.place.jobs()) == 4  # nothing but the cancelled one was submitted again


def test_the_controller_restarts_and_the_shell_is_gone(disturbed: Disturbed) -> None:
    assert disturbed.seen["restarts after the controller's"] == [0, 0, 0]


def test_status_knows_what_trains(disturbed: Disturbed) -> None:
    assert "3 running" in disturbed.seen["status while training"]
    assert f"/{EPOCHS} of 1 runs" in disturbed.seen["status while training"]


def test_requeued_by_hand(disturbed: Disturbed) -> None:
    assert disturbed.place.record(0)["provenance"]["resumed"] == 1


def test_cancelled_then_lost_then_submitted_again(disturbed: Disturbed) -> None:
    printed, job_id = disturbed.seen["status when cancelled"], disturbed.seen["jobs"][1]
    assert "1 lost" in printed
    assert f"lost: job {job_id} CANCELLED by {os.getuid()} without a record of 1 runs" in printed
    assert f"{job_id}_0_log.out" in printed
    assert disturbed.place.record(1)["provenance"]["resumed"] == 1


def test_preempted_and_then_the_node_dies(disturbed: Disturbed) -> None:
    assert disturbed.seen["checkpoints"]
    assert disturbed.place.record(2)["provenance"]["resumed"] >= 1


def test_out_of_time(disturbed: Disturbed, undisturbed: Place) -> None:
    """Of two minutes, SLURM leaves between 60 and 90 s."""
    disturbed.overtime.assert_as(undisturbed, 0)
    assert disturbed.overtime.record(0)["provenance"]["resumed"] >= 1
    assert len(disturbed.overtime.jobs()) == 1


@dataclass
class Mended:
    """A place whose job cannot end well, what is said of it then, and the same once the cause is gone."""

    place: Place
    status: str = ""
    retried: str = ""
    ends: list[str] = field(default_factory=list)
    failures: list[str | None] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)


@pytest.fixture(scope="module")
def mended(taught: Callable[[str], Place]) -> dict[str, Mended]:
    found = {name: Mended(taught(name)) for name in ("fault", "memory", "disk", "weights")}
    fault, memory, disk, weights = (each.place for each in found.values())
    write_grid(fault.home / "long.toml", methods=["faulty", "slow"], recipe__epochs=EPOCHS)
    fault.pace.with_suffix(".fault").touch()
    fault.set_pace(0.5)
    assert fault.grid() == INCOMPLETE

    assert memory.grid("--seeds", "1", memory="mem=60M") == INCOMPLETE

    shutil.rmtree(disk.results / "teachers")
    (disk.home / "full.toml").write_text('setup = ["ulimit -f 20"]\n')
    assert disk.grid("--seeds", "1", "--profile", str(disk.home / "full.toml")) == INCOMPLETE

    (teacher,) = (weights.results / "teachers" / "weights").iterdir()
    away = teacher.rename(weights.home / "away")
    assert weights.grid("--seeds", "1") == INCOMPLETE

    wait_until(fault.training(0))
    fault.pace.with_suffix(".fault").unlink()
    with redirect_stdout(StringIO()) as retried:
        assert fault.grid("--retry", "failed") == INCOMPLETE
    found["fault"].retried = retried.getvalue()
    fault.set_pace(0)
    for each in found.values():
        wait_until(each.place.gone)
        folder = Folder(each.place.folder)
        each.status, each.ends = each.place.status(), list(scheduler.endings(ledger.entries(folder)).values())
        each.failures = [folder.failure(run_id) for run_id in folder.planned_ids()]
        assert len(contents(each.place.folder)) == (each.place is fault)
    away.rename(teacher)
    teacher.touch()
    found["fault"].codes = [fault.grid(), fault.grid("--retry", "failed")]
    for place in (memory, disk, weights):
        assert place.grid("--seeds", "1") == INCOMPLETE
    local = ("--executor", "inline", "--results-dir", str(fault.home / "local"))
    assert fault.grid(*local) == COMPLETE
    wait_until(lambda: all(each.place.gone() for each in found.values()))
    return found


def test_a_run_fails_alone_and_is_left_alone_until_its_job_has_ended(mended: dict[str, Mended]) -> None:
    """Of two runs of a cohort one failed at once and the other went on."""
    fault = mended["fault"]
    first, _ = fault.place.jobs()
    assert f"left alone: 1 failed runs, until their job {first} is done with its others" in fault.retried
    assert "nothing to submit" in fault.retried
    assert fault.ends == ["FAILED"]
    assert "1 done, 1 failed" in fault.status
    assert "RuntimeError: a fault" in fault.status
    assert fault.codes == [FAILED, INCOMPLETE]
    assert contents(fault.place.folder) == contents(fault.place.home / "local" / "long")


def test_out_of_memory(mended: dict[str, Mended], undisturbed: Place) -> None:
    assert "1 lost" in mended["memory"].status
    assert "memory" in mended["memory"].status.lower()
    mended["memory"].place.assert_as(undisturbed, 0)


def test_a_full_disk_fails_nothing_for_good(mended: dict[str, Mended], undisturbed: Place) -> None:
    """No file may grow beyond 20 KiB: the teacher's weights do not fit, and its student does not wait for ever."""
    disk = mended["disk"]
    assert disk.status.count(": 1 lost") == 2  # the teacher and its student
    assert disk.failures == [None]
    assert not list(disk.place.folder.glob("code/**/*.pyc"))  # one that is cut short ends every later job
    disk.place.assert_as(undisturbed, 0)
    assert contents(disk.place.results / "teachers") == contents(undisturbed.results / "teachers")


def test_a_failed_teacher_is_repaired(mended: dict[str, Mended], undisturbed: Place) -> None:
    """Its weights are gone: the student fails by its fault, and is to be made again once they are back."""
    assert "but no weights at" in str(mended["weights"].failures[0])
    assert mended["weights"].ends == ["FAILED"]
    mended["weights"].place.assert_as(undisturbed, 0)


def test_what_reads_nothing_is_trained_though_its_teacher_cannot_serve(tmp_path: Path) -> None:
    """The students' job waits for the teacher's to end, however it does; the gate says what is wrong with the teacher;
    once the grid accepts it, the record of `student` is completed and `sp` is trained, to a local run's records."""
    place = Place(tmp_path, "gate")
    write_grid(place.home / "gate.toml", seeds=[0], expected_accuracy={"digits": {"resnet_m": 1.0}})
    assert place.grid("--slurm", "hold") == INCOMPLETE
    teacher, students = place.jobs()
    assert shown(students, "Dependency").startswith(f"afterany:{teacher}")
    for job_id in (teacher, students):
        said("scontrol", "release", job_id)
    wait_until(place.gone)
    folder = Folder(place.folder)
    sp, student = sorted(folder.planned_ids())
    assert [folder.state(run_id) for run_id in (student, sp)] == ["done", "failed"]
    assert folder.lacks_teacher(student)
    assert "the grid's expected_accuracy is 1.0000" in str(folder.failure(sp))
    assert folder.failure(sp) == folder.why_without_teacher(student)
    assert str(folder.failure(sp)) in place.status()

    write_grid(place.home / "gate.toml", seeds=[0])
    assert place.grid("--retry", "failed") == INCOMPLETE
    wait_until(place.gone)
    assert place.grid("--executor", "inline", "--results-dir", str(tmp_path / "local")) == COMPLETE
    assert contents(place.folder) == contents(tmp_path / "local" / "gate")
    assert not list(place.folder.glob("checkpoints/*"))


def test_sbatch_lists_its_options() -> None:
    found = scheduler.sbatch_options()
    assert found >= {
        "account",
        "array",
        "cpus-per-task",
        "gres",
        "mem",
        "no-requeue",
        "partition",
        "qos",
        "time",
        "wrap",
    }
    assert len(found) > 80


def test_the_guide_can_be_followed(tmp_path: Path) -> None:
    follow("submit_to_a_cluster", clone(tmp_path))
