"""The teacher: unchanged by its use, and checked before any student starts."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny
import tomli_w
import torch
from torch import Tensor

from analysis.runs.merge import merge
from benchmark.data import TrainingSet, load
from benchmark.launch.job import Job, Work
from benchmark.models.weights import weights_sha256
from benchmark.records import Folder
from benchmark.spec import Precision, Run
from benchmark.training import cohort
from benchmark.training import teacher as teacher_module
from benchmark.training.count import training_flops
from benchmark.training.teacher import Teacher, TeacherError, checked_teacher
from methods.base import Outputs

pytestmark = pytest.mark.usefixtures("test_methods")


@pytest.fixture
def admitted(monkeypatch: pytest.MonkeyPatch) -> list[Teacher]:
    """The teachers that cohorts work with, as they are used."""
    teachers: list[Teacher] = []

    def keep(*args: Any) -> Teacher:
        teachers.append(checked_teacher(*args))
        return teachers[-1]

    monkeypatch.setattr(cohort, "checked_teacher", keep)
    return teachers


def test_its_use_leaves_it_bit_identical(results: Path, admitted: list[Teacher]) -> None:
    """Batch statistics included, under methods of every kind and in bfloat16."""
    methods = ("kd", "fitnet", "rkd_da", "sp", "gkd", "bank", "replaced")
    before = weights_sha256(tiny.teacher(results).network)
    tiny.train(results / "grid", *map(tiny.run, methods))
    tiny.train(results / "grid", tiny.run("kd", teacher_precision="bfloat16"))
    assert len(admitted) == 2
    for teacher in admitted:
        network = teacher.network
        assert weights_sha256(network) == before
        assert weights_sha256(network.model) == teacher.record.result.weights_sha256
        assert not any(module.training for module in network.modules())
        assert not any(p.requires_grad or p.grad is not None for p in network.parameters())


def test_its_outputs_carry_no_gradient_and_do_not_depend_on_the_batch(results: Path) -> None:
    teacher = tiny.teacher(results)
    images = torch.rand(6, 1, 8, 8)
    whole, part = teacher.outputs(images, "float32"), teacher.outputs(images[:2], "float32")
    tensors = (whole.logits, whole.embedding, whole.pooled_map, *whole.maps)
    assert not any(tensor.requires_grad for tensor in tensors)
    torch.testing.assert_close(whole.logits[:2], part.logits)


class Trained(Exception):  # noqa: N818
    """Training is over and evaluation begins."""


def end_here(*args: Any) -> None:
    raise Trained


@pytest.mark.parametrize(
    ("methods", "passes"), [(("student",), 0), (("student", "smoothed"), 0), (("student", "kd", "rkd_d"), 1)]
)
def test_it_is_run_once_a_step_and_only_where_it_is_read(
    results: Path, monkeypatch: pytest.MonkeyPatch, methods: tuple[str, ...], passes: int
) -> None:
    """Up to the end of training: what the record measures afterwards is another matter."""
    sizes: list[int] = []
    outputs = Teacher.outputs

    def count(self: Teacher, images: Tensor, *args: Any) -> Outputs:
        sizes.append(len(images))
        return outputs(self, images, *args)

    monkeypatch.setattr(Teacher, "outputs", count)
    monkeypatch.setattr(cohort, "_record", end_here)
    with pytest.raises(Trained):
        tiny.train(results / "grid", *map(tiny.run, methods))
    gate = [100]
    assert sizes == gate + [40, 40, 20] * 2 * passes


def test_training_flops_count_every_forward_and_backward(results: Path) -> None:
    """By hand: the convolutions of four blocks, each with its shortcut's, and one linear layer."""
    kd = tiny.run("kd")
    members = tiny.trained_members(results / "grid", tiny.run("student"), kd)
    data = TrainingSet(load(tiny.DATA).train, tiny.RECIPE, tiny.CPU)
    found = {m.run.method: training_flops(m, tiny.teacher(results), data) for m in members}
    maps = [(1, 64, 8, 3)]  # stem: channels in and out, size of the map, kernel
    maps += [(64, 8, 8, 3), (8, 8, 8, 3), (64, 8, 8, 1)]
    maps += [(8, 8, 4, 3), (8, 8, 4, 3), (8, 8, 4, 1)]
    maps += [(8, 8, 2, 3), (8, 8, 2, 3), (8, 8, 2, 1)]
    maps += [(8, 8, 1, 3), (8, 8, 1, 3), (8, 8, 1, 1)]
    macs = sum(i * o * size**2 * kernel**2 for i, o, size, kernel in maps) + 8 * 10
    stem = 64 * 8**2 * 3**2
    images = tiny.RECIPE.epochs * 100
    assert found["student"] == images * 2 * (3 * macs - stem)  # no gradient of the images
    teacher_macs = tiny.record(results / "grid", kd).cost.teacher_macs
    assert teacher_macs is not None
    assert found["kd"] - found["student"] == images * 2 * teacher_macs


def spoil_head(weights: dict[str, Tensor]) -> None:
    weights["fc.weight"] = torch.randn(10, 16, generator=torch.Generator().manual_seed(0))


def negate_head(weights: dict[str, Tensor]) -> None:
    weights["fc.weight"] = -weights["fc.weight"]


def widen_head(weights: dict[str, Tensor]) -> None:
    weights["fc.weight"], weights["fc.bias"] = torch.zeros(100, 16), torch.zeros(100)


def nudge(weights: dict[str, Tensor]) -> None:
    weights["bn1.running_mean"] += 1e-6


def weights_path(results: Path) -> Path:
    return Folder(results / "teachers").weights_path(tiny.TEACHER.id)


def remove_record(results: Path) -> None:
    Folder(results / "teachers").record_path(tiny.TEACHER.id).unlink()


def fail(results: Path) -> None:
    remove_record(results)
    Folder(results / "teachers").fail(tiny.TEACHER.id, "OutOfMemoryError: 3 GiB wanted", "")


def truncate(results: Path) -> None:
    path = weights_path(results)
    path.write_bytes(path.read_bytes()[:100])


def a_pipe(results: Path) -> None:
    weights_path(results).unlink()
    os.mkfifo(weights_path(results))


FAILURES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "never trained": (remove_record, "has no record: it was not trained"),
    "failed": (fail, "has no record: OutOfMemoryError: 3 GiB wanted"),
    "diverged": (
        lambda results: tiny.change_record(results, status="diverged", reason="the training loss was not finite"),
        "is diverged: the training loss was not finite",
    ),
    "random head": (
        lambda results: tiny.change_weights(results, spoil_head, honest=True),
        r"has top-1 0\.\d+; three standard errors above chance are 0\.1900",
    ),
    "worse than chance": (
        lambda results: tiny.change_weights(results, negate_head, honest=True),
        "three standard errors above chance",
    ),
    "other images": (
        lambda results: tiny.change_record(results, data_sha256="0" * 64),
        "was trained on other images than 'digits' holds now",
    ),
    "other weights": (
        lambda results: tiny.change_weights(results, nudge, honest=False),
        "weights of teacher .* are not the ones its record describes",
    ),
    "other classes": (
        lambda results: tiny.change_weights(results, widen_head, honest=False),
        "cannot be used: .*size mismatch for fc.weight",
    ),
    "no weights": (lambda results: weights_path(results).unlink(), "has a record but no weights at .*safetensors"),
    "half the weights": (truncate, "weights of teacher .* cannot be used"),
    "garbage for weights": (
        lambda results: weights_path(results).write_bytes(b"\xff" * 5000),
        "weights of teacher .* cannot be used",
    ),
    "a pipe for weights": (a_pipe, "weights of teacher .* cannot be used: .* not a regular file"),
    "empty weights": (lambda results: weights_path(results).write_bytes(b""), "weights of teacher .* cannot be used"),
    "another accuracy": (
        lambda results: tiny.change_record(results, top1=0.9),
        r"has top-1 0\.\d+ here, 0\.9000 recorded",
    ),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_the_gate(results: Path, failure: str) -> None:
    spoil, message = FAILURES[failure]
    tiny.teacher(results)
    spoil(results)
    with pytest.raises(TeacherError, match=message):
        tiny.teacher(results)
    with pytest.raises(TeacherError, match=message):
        tiny.train(results / "grid", tiny.run("kd"))
    assert not Folder(results / "grid").records()[0]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_it_is_checked_as_it_was_evaluated_when_it_was_trained(
    results: Path, monkeypatch: pytest.MonkeyPatch, precision: Precision
) -> None:
    """In another precision some predictions change: of 10,000 more than are tolerated."""
    recipe = tiny.TEACHER.recipe.model_copy(update={"precision": precision})
    own = tiny.TEACHER.model_copy(update={"recipe": recipe})
    assert tiny.train(results / "teachers", own)
    asked: list[str] = []
    plain = teacher_module.inference_in
    monkeypatch.setattr(
        teacher_module, "inference_in", lambda device, precision: asked.append(precision) or plain(device, precision)
    )
    run = tiny.run("kd").model_copy(update={"teacher": own})
    checked_teacher(run, Folder(results / "teachers"), load(tiny.DATA), tiny.CPU, expected=None)
    assert set(asked) == {precision}


@pytest.mark.parametrize(("field", "value"), [("mean", (0.5,)), ("std", (1.0,)), ("input_size", 16)])
def test_the_gate_refuses_students_that_are_shown_other_images(results: Path, field: str, value: Any) -> None:
    run = tiny.run("kd", **{field: value})
    with pytest.raises(TeacherError, match=f"resnet: its teacher teacher gets {field} = .*, it gets"):
        checked_teacher(run, Folder(results / "teachers"), load(tiny.DATA), tiny.CPU, None)


def test_the_gate_tolerates_two_images(results: Path) -> None:
    top1 = tiny.record(results / "teachers", tiny.TEACHER).result.top1
    assert top1 is not None
    for images in (-2, -1, 1, 2):
        tiny.change_record(results, top1=top1 + images / 100)
        tiny.teacher(results)
    for images in (-3, 3):
        tiny.change_record(results, top1=top1 + images / 100)
        with pytest.raises(TeacherError, match="recorded"):
            tiny.teacher(results)


def test_the_gate_holds_the_teacher_to_what_the_grid_expects(results: Path) -> None:
    top1 = tiny.record(results / "teachers", tiny.TEACHER).result.top1
    assert top1 is not None
    for expected, passes in ((top1, True), (top1 + 0.001, False), (0.01, True)):
        grid = tiny.GRID.model_copy(update={"expected_accuracy": {"digits": {"teacher": expected}}})
        run = tiny.run("kd", epochs=1, learning_rate=expected)
        if passes:
            assert tiny.train(results / "grid", run, grid=grid)
        else:
            with pytest.raises(TeacherError, match=f"the grid's expected_accuracy is {expected:.4f}"):
                tiny.train(results / "grid", run, grid=grid)


def test_a_failing_gate_fails_its_cohort_alone(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two teachers, one of which failed: its students fail with its reason, the others finish."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    other = Run.model_validate({**tiny.TEACHER.model_dump(), "seed": 1})
    folder = Folder(results / "grid")
    folder.teachers.fail(other.id, "OSError: disk full", "")
    good = [tiny.run(method) for method in ("student", "kd")]
    bad = [tiny.run(method, teacher=other) for method in ("sp", "kd")]
    for run in (*good, *bad):
        folder.plan(run)
    (folder.path / "grid.toml").write_text(tomli_w.dumps(tiny.GRID.as_toml()))
    work = tuple(
        Work(str(folder.path), tuple(run.id for run in runs), teacher.id)
        for runs, teacher in ((bad, other), (good, tiny.TEACHER))
    )
    assert Job(str(folder.path), work, device="cpu", threads=1)()
    assert [folder.state(run.id) for run in good] == ["done", "done"]
    assert [folder.state(run.id) for run in bad] == ["failed", "failed"]
    assert [folder.failure(run.id) for run in bad] == [
        f"TeacherError: teacher {other.id} has no record: OSError: disk full; --retry failed tries it again"
    ] * 2


def test_a_method_learns_from_the_teacher_that_was_merged_in(results: Path, tmp_path: Path) -> None:
    """As one that is added later does from committed teachers: none is trained."""
    earlier, later = tiny.run("student"), tiny.run("sp")
    assert tiny.train(results / "grid", earlier)
    merge(tmp_path / "clone" / "grid", [results / "grid"])
    assert tiny.train(tmp_path / "clone" / "grid", later)
    for run in (earlier, later):
        found = tiny.record(tmp_path / "clone" / "grid", run).result
        assert found.teacher_weights_sha256 == tiny.record(results / "teachers", tiny.TEACHER).result.weights_sha256
