"""On a real SLURM: submitted, disturbed in every way, and bit-identical to what an undisturbed machine makes of it.

They run where a cluster answers, `eval "$(slurm/cluster.sh up)"` starts one, and are skipped elsewhere, or fail where
REQUIRE_SLURM is set. What harms a cluster is done to that one alone.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from test_grid import contents, write_grid

from benchmark import ledger, scheduler
from benchmark.grid import COMPLETE, INCOMPLETE, main
from benchmark.grid_file import load_grid
from benchmark.records import Folder
from methods.base import REGISTRY

pytestmark = pytest.mark.slurm
ROOT = Path(__file__).parent.parent
PATIENCE = 240
MEMORY = "mem=1500M"
EPOCHS = 40
SLOW = '''
import time

from methods.base import register
from methods.student import Student


@register("slow", seconds=0.1)
class Slow(Student):
    """Takes its time (Nobody, Nowhere 2000)."""

    def __init__(self, task, *, seconds: float):
        super().__init__(task)
        self.seconds = seconds

    def forward(self, student, teacher, batch):
        time.sleep(self.seconds)
        return super().forward(student, teacher, batch)
'''
"""Four steps of an epoch take 0.4 s at least, on any machine, and leave its cores to others."""


def run_home() -> Path:
    """Where the cluster of slurm/cluster.sh keeps the process ids of its daemons."""
    return Path(os.environ.get("SLURM_CONF", "/etc/slurm/slurm.conf")).parent / "run"


@pytest.fixture(scope="module", autouse=True)
def trial() -> Iterator[None]:
    if not (scheduler.answers() and (run_home() / "slurmctld.pid").exists()):
        why = 'no cluster of slurm/cluster.sh answers: eval "$(slurm/cluster.sh up)"'
        pytest.fail(why) if os.environ.get("REQUIRE_SLURM") else pytest.skip(why)
    yield
    subprocess.run(["scancel", "--user", str(os.getuid())], check=True)


@pytest.fixture(scope="module", autouse=True)
def slow_method(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A third party's package on PYTHONPATH, for the jobs to find, and its method here."""
    folder = tmp_path_factory.mktemp("package")
    (folder / "slow_method.py").write_text(SLOW)
    about = folder / "slow_method-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: slow-method\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[relational_distillation.methods]\nslow = slow_method\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        __import__("slow_method")
        yield folder
    del REGISTRY["slow"], sys.modules["slow_method"]


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, slow_method: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs run on the tree under test, on one thread. The folder they work in needs quoting."""
    home = tmp_path / "it's a folder"
    home.mkdir()
    monkeypatch.chdir(home)
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{slow_method}")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, slow_method: Path) -> Path:
    """A grid of one slow run, and its results as this process makes them."""
    home = tmp_path_factory.mktemp("undisturbed")
    grid = write_grid(home / "long.toml", methods=["slow"], recipe__epochs=EPOCHS)
    assert main(["--grid", str(grid), "--results-dir", str(home / "results"), "--executor", "inline"]) == COMPLETE
    return home


@pytest.fixture
def long(undisturbed: Path) -> Path:
    """The same grid's results folder in the working folder, with the teacher trained and its student to come."""
    shutil.copytree(undisturbed / "results" / "teachers", "results/teachers")
    shutil.copy(undisturbed / "long.toml", ".")
    return Path("results/long")


def grid(*arguments: str, name: str = "long.toml", memory: str = MEMORY) -> int:
    where = ["--executor", "slurm", "--slurm", memory, "--slurm", "time=10"]
    return main(["--grid", name, *where, *arguments])


def wait_until(what: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Poll; a failed wait says what the queue and the logs hold."""
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            logs = {path.name: path.read_text()[-1500:] for path in Path("results").glob("*/logs/*/*.out")}
            raise AssertionError(json.dumps({"queue": said("squeue"), "nodes": said("sinfo"), **logs}, indent=1))
        time.sleep(0.5)


def said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def epochs_made(folder: Path) -> int:
    """Of the cohort under way."""
    for path in (folder / "progress").glob("[!.]*.json"):
        try:
            return int(json.loads(path.read_text())["epoch"])
        except FileNotFoundError:
            continue
    return 0


def training(folder: Path) -> Callable[[], bool]:
    return lambda: epochs_made(folder) > 1


def jobs(folder: Path) -> list[str]:
    return [entry.job_id for entry in ledger.entries(Folder(folder))]


def restarts(job_id: str) -> int:
    shown = said("scontrol", "show", "job", job_id)
    return int(next(word for word in shown.split() if word.startswith("Restarts="))[len("Restarts=") :])


def gone(folder: Path) -> bool:
    return not scheduler.queue(jobs(folder))


def assert_as_undisturbed(folder: Path, undisturbed: Path, resumed: bool = True) -> None:
    wait_until(lambda: gone(folder))
    assert contents(folder) == contents(undisturbed / "results" / "long")
    (record,) = (json.loads(path.read_text()) for path in (folder / "records").glob("*.json"))
    assert record["provenance"]["job"].startswith("slurm ")
    assert bool(record["provenance"]["resumed"]) == resumed
    assert not list((folder / "claims").iterdir())
    assert not list(folder.glob("checkpoints/*"))


def own(daemon: str) -> int:
    return int((run_home() / f"{daemon}.pid").read_text())


def start(daemon: str) -> None:
    environment = {**os.environ, "SLURM_TRIAL": str(run_home().parent)}
    subprocess.run([ROOT / "slurm" / "cluster.sh", "start", daemon], env=environment, check=True)


# --- submission -------------------------------------------------------------------------------------------------------


def test_the_readmes_command_gives_a_local_runs_records(capsys: pytest.CaptureFixture[str]) -> None:
    """Submitted, submitted again while it is queued, and watched."""
    smoke = Path("results/smoke")
    arguments = ("--methods", "all", "--seeds", "3")
    assert grid(*arguments, name="smoke") == INCOMPLETE
    submitted = jobs(smoke)
    assert len(submitted) == 1 + 3  # the teacher, then an array of the three seeds' cohorts
    assert len({job_id.partition("_")[0] for job_id in submitted}) == 2
    assert grid(*arguments, name="smoke") == INCOMPLETE
    assert jobs(smoke) == submitted
    assert grid(*arguments, "--watch", name="smoke") == COMPLETE
    assert jobs(smoke) == submitted
    cells = 3 * len(load_grid("smoke").methods)
    assert f"{cells}/{cells} runs done" in capsys.readouterr().out
    local = ["--grid", "smoke", *arguments, "--executor", "inline", "--results-dir", "local"]
    assert main(local) == COMPLETE
    assert len(contents(smoke)) == cells
    assert contents(smoke) == contents(Path("local/smoke"))
    assert contents(Path("results/teachers")) == contents(Path("local/teachers"))
    assert {path.name for path in (smoke / "logs").iterdir()} == {"teachers", "digits-resnet_m"}
    (code,) = (smoke / "code").iterdir()
    recorded = {json.loads(path.read_text())["provenance"]["code"] for path in (smoke / "records").iterdir()}
    assert recorded == {(code / "version.txt").read_text()}
    assert next(iter(recorded)).endswith(f"source {code.name}")


def test_what_was_submitted_is_what_runs(long: Path, undisturbed: Path, tmp_path: Path) -> None:
    """The tree is broken after submission; the job has its own copy."""
    tree = tmp_path / "tree"
    for package in ("benchmark", "methods", "analysis"):
        shutil.copytree(ROOT / package, tree / package, ignore=shutil.ignore_patterns("__pycache__"))
    environment = {**os.environ, "PYTHONPATH": os.environ["PYTHONPATH"].replace(str(ROOT), str(tree), 1)}
    command = [sys.executable, "-m", "benchmark.grid", "--grid", "long.toml", "--slurm", MEMORY, "--slurm", "hold"]
    assert subprocess.run(command, env=environment, check=False).returncode == INCOMPLETE
    (tree / "benchmark" / "training.py").write_text("raise RuntimeError('changed after submission')")
    said("scontrol", "release", *jobs(long))
    assert_as_undisturbed(long, undisturbed, resumed=False)


def test_two_shells_submit_nothing_twice(long: Path) -> None:
    command = [sys.executable, "-m", "benchmark.grid", "--grid", "long.toml", "--slurm", MEMORY, "--slurm", "hold"]
    shells = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    errors = [shell.communicate()[1] for shell in shells]
    assert {shell.returncode for shell in shells} <= {INCOMPLETE, 2}, errors
    assert all("another command is submitting" in error for error in errors if error)
    assert len(jobs(long)) == 1
    assert main(["--grid", "long.toml", "--cancel"]) == COMPLETE
    wait_until(lambda: gone(long))


def test_few_jobs_may_be_submitted_and_several_workers_share_one(capsys: pytest.CaptureFixture[str]) -> None:
    """Three teachers and three cohorts as the two jobs that the account still allows."""
    user = ["user", "where", f"name={os.environ.get('USER', 'root')}"]
    sacctmgr = ["sacctmgr", "--immediate", "modify", *user, "set"]
    path = write_grid(Path("few.toml"), teacher_seed="paired")
    subprocess.run([*sacctmgr, "maxsubmitjobs=2"], check=True)
    try:
        wait_until(lambda: scheduler.limits(None, None).jobs == 2)
        assert grid("--seeds", "3", "--workers", "2", "--watch", name=str(path)) == COMPLETE
    finally:
        subprocess.run([*sacctmgr, "maxsubmitjobs=-1"], check=True)
    few = Path("results/few")
    assert [len(entry.run_ids) for entry in ledger.entries(Folder(few))] == [3, 6]
    assert len(contents(few)) == 6
    assert main(["--grid", str(path), "--seeds", "3", "--executor", "inline", "--results-dir", "local"]) == COMPLETE
    assert contents(few) == contents(Path("local/few"))


def test_dry_run_prints_what_sbatch_is_told_and_submits_nothing(long: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert grid("--dry-run", "--slurm", "qos=normal", "--slurm", "comment=two words") == COMPLETE
    printed = capsys.readouterr().out
    assert "#SBATCH --comment='two words'" in printed
    assert "#SBATCH --qos=normal" in printed
    assert "#SBATCH --time=10" in printed
    assert not long.exists()


def test_a_refused_option_is_one_line_and_nothing_is_left(long: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert grid("--slurm", "partition=nowhere") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "invalid partition specified: nowhere" in error
    assert not jobs(long)


# --- surviving --------------------------------------------------------------------------------------------------------


def test_preempted(long: Path, undisturbed: Path) -> None:
    assert grid() == INCOMPLETE
    wait_until(training(long))
    urgent = ["sbatch", "--parsable", "--partition=urgent", "--nodes=2", "--exclusive", "--output=/dev/null"]
    said(*urgent, "--time=1", "--wrap", "sleep 3")
    (job_id,) = jobs(long)
    wait_until(lambda: restarts(job_id) == 1)
    assert list((long / "checkpoints").glob("*/*.pt"))
    assert_as_undisturbed(long, undisturbed)
    assert jobs(long) == [job_id]


def test_out_of_time_again_and_again(undisturbed: Path, long: Path) -> None:
    """A time limit of two minutes, of which SLURM leaves between 60 and 90 s, and a run of at least 96 s."""
    option = ("--option", "slow.seconds=0.6")
    assert grid("--slurm", "partition=short", "--slurm", "time=2", *option) == INCOMPLETE
    (job_id,) = jobs(long)
    wait_until(lambda: gone(long), 2 * PATIENCE)
    assert restarts(job_id) >= 1
    ((run, result, curve),) = contents(long).values()
    ((_, plain, plain_curve),) = contents(undisturbed / "results" / "long").values()
    assert run["options"] == {"slow": {"seconds": 0.6}}
    assert (result, curve) == (plain, plain_curve)


def test_requeued_by_hand(long: Path, undisturbed: Path) -> None:
    assert grid() == INCOMPLETE
    wait_until(training(long))
    said("scontrol", "requeue", *jobs(long))
    assert_as_undisturbed(long, undisturbed)
    assert len(jobs(long)) == 1


def test_cancelled_then_lost_then_submitted_again(
    long: Path, undisturbed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert grid() == INCOMPLETE
    wait_until(training(long))
    assert main(["--grid", "long.toml", "--status"]) == COMPLETE
    printed = capsys.readouterr().out
    assert "1 running" in printed
    assert f"/{EPOCHS} of 1 runs" in printed
    said("scancel", *jobs(long))
    wait_until(lambda: gone(long))
    assert not contents(long)
    assert main(["--grid", "long.toml", "--status"]) == COMPLETE
    printed = capsys.readouterr().out
    assert "1 lost" in printed
    assert f"job {jobs(long)[0]} CANCELLED by {os.getuid()} without a record" in printed
    assert "_0_log.out" in printed
    assert grid("--retry", "lost") == INCOMPLETE
    assert_as_undisturbed(long, undisturbed)
    assert len(jobs(long)) == 2


def test_a_node_dies(long: Path, undisturbed: Path) -> None:
    """Its daemon, the job's, and the worker are killed; SLURM notices by itself and starts the job elsewhere."""
    assert grid("--slurm", "nodelist=n1", "--slurm", "mem=1000M") == INCOMPLETE
    (job_id,) = jobs(long)
    wait_until(training(long))
    said("scontrol", "update", f"jobid={job_id}", "reqnodelist=n1")
    claim = json.loads(next((long / "claims").glob("[!.]*.json")).read_text())
    steps = [int(word) for word in said("pgrep", "-f", rf"slurmstepd.*\[{job_id}\.").split()]
    for pid in (own("n1"), *steps, claim["pid"]):
        os.kill(pid, signal.SIGKILL)
    try:
        wait_until(lambda: "down" in said("sinfo", "--noheader", "--nodes=n1", "--format=%T"))
        wait_until(lambda: restarts(job_id) == 1)
    finally:
        start("n1")
    assert_as_undisturbed(long, undisturbed, resumed=False)  # no checkpoint yet: they come once a minute
    assert jobs(long) == [job_id]


def test_the_controller_is_restarted_and_the_shell_gone(long: Path, undisturbed: Path) -> None:
    command = [sys.executable, "-m", "benchmark.grid", "--grid", "long.toml", "--slurm", MEMORY, "--watch"]
    shell = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL)
    wait_until(training(long))
    os.killpg(shell.pid, signal.SIGKILL)
    shell.wait()
    os.kill(own("slurmctld"), signal.SIGKILL)
    start("slurmctld")
    wait_until(scheduler.answers)
    assert_as_undisturbed(long, undisturbed, resumed=False)


def test_a_full_disk_fails_nothing_for_good(undisturbed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No file may grow beyond 20 KiB: the teacher's weights do not fit, and its students do not wait for ever."""
    shutil.copy(undisturbed / "long.toml", ".")
    Path("full.toml").write_text(f'mem = "{MEMORY[4:]}"\ntime = 10\nsetup = ["ulimit -f 20"]\n')
    assert main(["--grid", "long.toml", "--executor", "slurm", "--profile", "full.toml"]) == INCOMPLETE
    long = Path("results/long")
    wait_until(lambda: gone(long))
    assert len(jobs(long)) == 2
    assert not contents(Path("results/teachers"))
    capsys.readouterr()
    assert main(["--grid", "long.toml", "--status"]) == COMPLETE
    printed = capsys.readouterr().out
    assert "1 runs in results/long: 1 lost" in printed
    assert "1 teachers in results/teachers: 1 lost" in printed
    assert grid() == INCOMPLETE
    assert_as_undisturbed(long, undisturbed, resumed=False)


def test_out_of_memory(long: Path, undisturbed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert grid(memory="mem=60M") == INCOMPLETE
    wait_until(lambda: gone(long))
    capsys.readouterr()
    assert main(["--grid", "long.toml", "--status"]) == COMPLETE
    printed = capsys.readouterr().out
    assert "1 lost" in printed
    assert "memory" in printed.lower()
    assert grid() == INCOMPLETE
    assert_as_undisturbed(long, undisturbed, resumed=False)


def test_a_failed_teacher_is_repaired(long: Path, undisturbed: Path) -> None:
    """A teacher whose weights are gone: its student fails by its fault, and is to be made again once they are back."""
    (weights,) = Path("results/teachers/weights").iterdir()
    away = weights.rename("away")
    assert grid() == INCOMPLETE
    wait_until(lambda: gone(long))
    (run_id,) = Folder(long).planned_ids()
    assert "but no weights at" in str(Folder(long).failure(run_id))
    assert scheduler.endings(jobs(long)) == {jobs(long)[0]: "FAILED"}
    away.rename(weights)
    shutil.copystat(undisturbed / "long.toml", weights)
    assert grid() == INCOMPLETE
    assert_as_undisturbed(long, undisturbed, resumed=False)
