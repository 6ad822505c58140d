"""What a step asks of its device: no values, no waits, and no more kernels than its budget."""

import json
from collections.abc import Sequence

import launches
import pytest
import tiny
import torch
from capture_bench import OWN, Bench, run_of
from waits import trapped

from benchmark.training import checkpoints, loop, member, step
from benchmark.training.loop import Callbacks, train
from benchmark.training.member import Member, build_student, build_task
from benchmark.training.step import step_inputs, supply

pytestmark = pytest.mark.usefixtures("test_methods")


def test_training_waits_at_the_edges_of_epochs_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every method as written, its phase and own parameters too, with a checkpoint after every step: one wait in an
    epoch, and one for an evaluation."""
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", -1.0)
    bench, saved = Bench(epochs=1, schedule="constant", milestones=()), []
    members = [bench.member(method) for method in (*OWN, "kd+rkd_da")]

    def save(active: Sequence[Member]) -> None:
        saved.append([checkpoints.on_host(each.state()) for each in active])

    with trapped() as found:
        train(members, bench.teacher, bench.data, bench.validation, Callbacks(save=save))
    assert found == ["tolist", "tolist", *["aten::_local_scalar_dense"] * len(members)]
    assert [len(states) for states in saved[-tiny.STEPS :]] == [len(members)] * tiny.STEPS


@pytest.mark.parametrize("method", OWN)
def test_a_step_needs_no_values(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tensors without data, of a device that no others mix with."""
    monkeypatch.setattr(member, "autocast", lambda device, precision: torch.autocast("cpu", enabled=False))
    bench, meta = Bench(), torch.device("meta")
    run = run_of(method)
    network = build_student(run, 10, tiny.CPU)
    task = build_task(run, network, bench.teacher.network, bench.data)
    made = Member(run, task, network.to(meta), meta, tiny.STEPS)
    made.enter(0)
    now = step_inputs([made], bench.data, bench.data.views(0, 0), 0, 0)
    supplied = supply([made], bench.teacher, now.images)
    there = now.map(lambda x: x.to(meta))
    made.step(there.images, there.batch(made, None), supplied.map(lambda x: x.to(meta)) if supplied else None)
    assert made.sums.device == meta


def test_no_step_starts_more_kernels_than_its_budget() -> None:
    budget, counted = json.loads(launches.COMMITTED.read_text()), launches.launches()
    assert counted.keys() == budget.keys()
    assert {name: count for name, count in counted.items() if count > budget[name]} == {}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_round_of_replays_does_not_wait_for_the_gpu() -> None:
    bench = Bench(torch.device("cuda"), epochs=10)
    members = [bench.member(method) for method in OWN]
    for each in members:
        each.enter(0)
    make = step.CohortStep(bench.teacher, bench.data)
    for epoch in range(6):
        views = bench.data.views(0, epoch)
        torch.cuda.set_sync_debug_mode("error" if epoch > 4 else "default")
        try:
            for number in range(tiny.STEPS):
                make(members, views, epoch, number)
                checkpoints.on_host([each.state() for each in members])
        finally:
            torch.cuda.set_sync_debug_mode("default")
    assert all(each.captured for each in members)
