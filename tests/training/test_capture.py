"""Steps that are recorded and replayed: on a CPU by a double of a GPU's graphs, on a GPU, where there is one, by them.

What is compared with are steps as they are written, of the same optimiser: on a CPU the usual one is another.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import tiny
import torch
from capture_bench import OWN, Bench, Written, run_of
from untrained import copied, same_bits

from benchmark.spec import Architecture
from benchmark.training import capture, step
from benchmark.training.capture import GRAPHS, CudaGraph, Recorder
from benchmark.training.member import Member
from methods.check.tape import Tape

pytestmark = pytest.mark.usefixtures("test_methods")


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> Callable[[type[capture.Graph]], None]:
    """Has steps recorded by this kind of graphs, or as good as never."""
    return lambda kind: monkeypatch.setitem(GRAPHS, "cpu", kind)


def state(trained: Member) -> dict[str, Any]:
    """What training has made of a member, the time apart."""
    return {name: value for name, value in copied(trained).items() if name not in ("seconds", "resumed")}


@pytest.fixture(scope="module")
def cohorts() -> dict[str, dict[str, Member]]:
    """All methods of the suite, trained as one cohort in both ways."""
    trained = {}
    for name, kind in {"written": Written, "replayed": Tape}.items():
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(GRAPHS, "cpu", kind)
            bench = Bench()
            members = [bench.member(method) for method in OWN]
            bench.train(members)
        trained[name] = {each.run.method: each for each in members}
    return trained


@pytest.mark.parametrize("method", OWN)
def test_what_is_replayed_is_what_is_written(cohorts: dict[str, dict[str, Member]], method: str) -> None:
    """Over edges of epochs, milestones and batches of another size."""
    written, replayed = (cohorts[how][method] for how in ("written", "replayed"))
    assert (written.captured, replayed.captured) == (False, True)
    assert same_bits(state(replayed), state(written))
    assert len({row["learning_rate"] for row in replayed.curve[-3:]}) == 3


@pytest.mark.parametrize("student", [tiny.VIT, tiny.EFFICIENTNET], ids=lambda student: student.name)
def test_networks_that_draw_are_replayed_with_the_numbers_of_their_own_step(graphs: Any, student: Architecture) -> None:
    """Dropout and stochastic depth; another member draws between theirs."""
    trained = []
    for kind in (Written, Tape):
        graphs(kind)
        bench = Bench()
        members = [bench.member("kd", student), bench.member("student", student)]
        bench.train(members)
        trained.append([state(each) for each in members])
    assert same_bits(*trained)


def test_rates_in_tensors_make_the_usual_optimisers_steps(cohorts: dict[str, dict[str, Member]]) -> None:
    bench = Bench()
    usual = bench.member("kd")
    bench.train([usual])
    losses = [[row["train_loss"] for row in each.curve] for each in (usual, cohorts["replayed"]["kd"])]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


FOUR: dict[str, Any] = {"epochs": 4}
Asked = list[tuple[int, tuple[str, ...], str]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, graphs: Any) -> Asked:
    """What is recorded, in its order: batch size, what is read of the teacher, and whose work, a method's or its."""
    found: Asked = []

    class Listening(Recorder):
        def __call__(self, key: Any, work: Any) -> Any:
            known, result = self.has(key), super().__call__(key, work)
            if self.has(key) and not known:
                (size, reads, _), run_id = key if len(key) == 2 else (key, "")
                found.append((size, tuple(sorted(reads)), labels.get(run_id, "the teacher")))
            return result

    labels = {run_of(method, **FOUR).id: method for method in ("student", "smoothed", "kd")}
    graphs(Tape)
    monkeypatch.setattr(step, "Recorder", Listening)
    return found


def test_every_batch_size_is_recorded_once(asked: Asked) -> None:
    bench = Bench(**FOUR)
    bench.train([bench.member("student"), bench.member("kd")])
    whose = ("the teacher", "student", "kd")
    assert asked == [(size, ("logits",), name) for size in (40, 20) for name in whose]


def test_a_member_that_leaves_takes_with_it_what_it_alone_reads(asked: Asked) -> None:
    """The others are recorded anew, without a teacher that nobody asks; nothing is for a member that nobody misses."""
    bench = Bench(**FOUR)
    bad = bench.member("kd")
    bad.method.ce_weight = float("nan")
    members = [bench.member("student"), bench.member("smoothed"), bad]
    bench.train(members)
    assert bad.diverged_epoch == 0
    assert [each for each in asked if not each[1]] == [
        (size, (), name) for size in (40, 20) for name in ("student", "smoothed")
    ]
    assert (40, ("logits",), "kd") in asked


def test_members_out_of_step_are_recorded_when_they_come(asked: Asked) -> None:
    bench = Bench(**FOUR)
    ahead, behind = bench.member("kd"), bench.member("student")
    bench.train([ahead], stop=tiny.stop_after(5))
    asked.clear()
    bench.train([ahead, behind])
    assert [each for each in asked if each[0] == 40] == [
        (40, (), "student"),
        (40, ("logits",), "the teacher"),
        (40, ("logits",), "kd"),
        (40, ("logits",), "student"),
    ]
    assert (ahead.next_step, behind.next_step) == (12, 12)


@pytest.mark.parametrize(
    ("method", "why"),
    [
        ("noise", "draws from batch.generator"),
        ("counts_in_python", "it changes method.state in every step, in Python, which no replay does"),
        ("bad_loss", "UnreplayableError: _local_scalar_dense waits"),
    ],
)
def test_what_cannot_be_recorded_is_said_once_and_trained_as_written(
    method: str, why: str, graphs: Any, caplog: pytest.LogCaptureFixture
) -> None:
    trained = []
    for kind in (Written, Tape):
        caplog.clear()
        graphs(kind)
        bench = Bench()
        members = [bench.member("kd"), bench.member(method)]
        bench.train(members)
        trained.append(members)
    (said,) = (record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING)
    assert said.startswith(f"{method}: its steps are not captured: ")
    assert why in said
    assert [each.captured for each in trained[1]] == [True, False]
    assert same_bits(state(trained[1][0]), state(trained[0][0]))
    if method != "bad_loss":  # of which the double has made half of a step when it refuses
        assert same_bits(state(trained[1][1]), state(trained[0][1]))


class Waiting(Tape):
    """As a GPU says it of work that is done as written."""

    @staticmethod
    def as_written(work: Callable[[], Any]) -> tuple[Any, str]:
        return work(), "it waits for the device at method.py:7"

    def record(self, work: Callable[[], Any]) -> Any:
        raise AssertionError("recorded all the same")


def test_what_is_seen_to_wait_is_never_recorded(
    graphs: Any, cohorts: dict[str, dict[str, Member]], caplog: pytest.LogCaptureFixture
) -> None:
    graphs(Waiting)
    bench = Bench()
    member = bench.member("student")
    bench.train([member])
    assert [record.getMessage() for record in caplog.records] == [
        "student: its steps are not captured: it waits for the device at method.py:7"
    ]
    assert same_bits(state(member), state(cohorts["written"]["student"]))


def test_a_gpu_is_asked_for_graphs_in_its_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three calls beside the main stream, in which torch tells of waits; a recording, which shares the first one's
    memory and computes nothing; replays."""
    done: list[Any] = []

    class Stream:
        def wait_stream(self, other: "Stream") -> None:
            done.append("join" if self is main else "fork")

    class Graph:
        def pool(self) -> str:
            return "memory"

        def replay(self) -> None:
            done.append("replay")

    @contextmanager
    def noted(*what: Any, **options: Any) -> Iterator[None]:
        done.append(("record", *what[1:2]) if len(what) > 1 else "beside")
        yield

    main, modes = Stream(), ["default"]
    fakes: dict[str, Any] = {"Stream": Stream, "CUDAGraph": Graph, "current_stream": lambda: main, "stream": noted}
    fakes |= {"graph": noted, "get_sync_debug_mode": lambda: modes[-1], "set_sync_debug_mode": modes.append}
    for name, fake in fakes.items():
        monkeypatch.setattr(torch.cuda, name, fake)
    capture.aside.cache_clear()
    recorder = Recorder(CudaGraph)

    def work() -> str:
        done.append("work")
        return "result"

    for key in ("teacher", "student"):
        assert [recorder(key, work) for _ in range(5)] == ["result"] * 5
    capture.aside.cache_clear()
    as_written, ahead = ["fork", "beside", "work", "join"] * 3, ["beside"]
    recorded = [[*as_written, *ahead, ("record", pool), "work", "replay", "replay"] for pool in (None, "memory")]
    assert done == [*recorded[0], *recorded[1]]
    assert modes == ["default", *["warn", "default"] * 6]
    assert recorder.has("student")


def test_a_teacher_that_cannot_be_recorded_leaves_all_as_written(
    graphs: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    graphs(Tape)
    bench = Bench()
    outputs = bench.teacher.outputs

    def looks(*given: Any) -> Any:
        found = outputs(*given)
        assert bool(found.logits.isfinite().all())
        return found

    monkeypatch.setattr(bench.teacher, "outputs", looks)
    member = bench.member("kd")
    bench.train([member])
    assert [record.getMessage().partition(" waits")[0] for record in caplog.records] == [
        "steps are not captured: the teacher's forward: UnreplayableError: _local_scalar_dense"
    ]
    assert not member.captured


REMEMBERING = ("kd", "crd", "rrd", "mhgd")


def test_a_recorded_run_that_goes_on_from_a_checkpoint_has_the_same_bits(
    graphs: Any, cohorts: dict[str, dict[str, Member]]
) -> None:
    graphs(Tape)
    bench = Bench()
    members = [bench.member(method) for method in REMEMBERING]
    bench.train(members, stop=tiny.stop_after(tiny.STEPS + 5))  # the first epoch is that of a phase
    again = [bench.member(method) for method in REMEMBERING]
    for one, other in zip(members, again, strict=True):
        other.restore(copied(one))
    places = [each.fixed()[1] for each in again]
    bench.train(again)
    assert [each.fixed()[1] for each in again] == places
    for each in again:
        assert same_bits(state(each), state(cohorts["written"][each.run.method]))


def test_a_state_of_another_kind_of_device_is_gone_on_from(graphs: Any) -> None:
    """Its optimiser has neither rates in tensors nor momenta of what had no gradient."""
    bench = Bench()
    usual = bench.member("kd")
    bench.train([usual], stop=tiny.stop_after(4))
    kept = copied(usual)
    kept["optimizer"]["state"].popitem()
    graphs(Tape)
    member = bench.member("kd")
    member.restore(kept)
    (group,) = member.optimizer.param_groups
    assert group["fused"]
    assert isinstance(group["lr"], torch.Tensor)
    assert all("momentum_buffer" in member.optimizer.state[p] for p in group["params"])
    bench.train([member])
    assert member.captured


# On a GPU.

gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
CUDA = torch.device("cuda")
DETERMINISTIC: dict[str, Any] = {"deterministic": True, "epochs": 6}


@pytest.fixture
def workspace(monkeypatch: pytest.MonkeyPatch) -> None:
    """What cuBLAS wants to be deterministic."""
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


def on_gpu(
    chosen: Sequence[str], kind: type[capture.Graph] = CudaGraph, student: Architecture | None = None
) -> dict[str, Member]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(GRAPHS, "cuda", kind)
        bench = Bench(CUDA, **DETERMINISTIC)
        members = [bench.member(method, student) for method in chosen]
        bench.train(members)
    return {each.run.method: each for each in members}


@gpu
@pytest.mark.usefixtures("workspace")
def test_on_a_gpu_all_are_captured_and_have_the_bits_of_what_is_written_alone_and_again() -> None:
    captured = on_gpu(OWN)
    assert [method for method in OWN if not captured[method].captured] == []
    others = {"written": on_gpu(OWN, Written), "again": on_gpu(OWN), "alone": on_gpu(["mhgd"])}
    for how, trained in others.items():
        differing = [name for name, each in trained.items() if not same_bits(state(each), state(captured[name]))]
        assert not differing, how


@gpu
@pytest.mark.usefixtures("workspace")
@pytest.mark.parametrize("student", [tiny.VIT, tiny.EFFICIENTNET], ids=lambda student: student.name)
def test_networks_that_draw_are_replayed_on_a_gpu_too(student: Architecture) -> None:
    captured, written = (on_gpu(["kd", "student"], kind, student) for kind in (CudaGraph, Written))
    for name, each in captured.items():
        assert each.captured
        assert same_bits(state(each), state(written[name]))


@gpu
def test_what_waits_for_a_gpu_is_not_recorded(caplog: pytest.LogCaptureFixture) -> None:
    trained = on_gpu(["kd", "noise", "bad_loss"])
    assert [each.captured for each in trained.values()] == [True, False, False]
    said = [record.getMessage().partition(" at ")[0] for record in caplog.records if record.levelno >= logging.WARNING]
    assert said == [
        "noise: its steps are not captured: it draws from batch.generator",
        "bad_loss: its steps are not captured: it waits for the device",
    ]
