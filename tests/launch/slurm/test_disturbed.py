"""On a real SLURM: jobs that are disturbed in every way make what an undisturbed machine makes, bit by bit.

Jobs take long to start, so that tests share them: a fixture does to every job what harms it, while the others go on,
and each test looks at one.
"""

import json
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from slurm_places import EPOCHS, Place, own, restarts, said, shown, start, wait_until

from benchmark.ground.errors import INCOMPLETE
from benchmark.launch.slurm import scheduler

pytestmark = [pytest.mark.slurm, pytest.mark.usefixtures("trial", "surroundings")]


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
