"""The teacher: a trained run whose weights are kept, checked before any student starts, then frozen."""

import math
from collections.abc import Collection

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from benchmark.data import Splits, evaluation_data
from benchmark.ground.errors import machine_trouble
from benchmark.ground.files import read_bytes
from benchmark.models import Network, create
from benchmark.models.weights import weights_sha256
from benchmark.records import Folder, Record, RecordError
from benchmark.spec import Precision, Run
from benchmark.training.device import TAPS, in_float32, inference_in
from benchmark.training.evaluation import accuracy
from benchmark.training.folding import lean
from methods.base import Outputs, Tap

TOLERATED_IMAGES, TOLERATED_SHARE = 2, 0.002
"""By how many test images, and what share of them if that is more, a teacher's accuracy may be off its record's;
devices and libraries differ in bits, of bfloat16 in many."""


IMAGE_FIELDS = ("input_size", "mean", "std")
"""Fields of a recipe that a student has to share with its teacher, which sees the student's images."""


AGAIN = "move its record away to have it trained again"
OTHERWISE = "train it otherwise (recipe or teacher_recipe, under another grid name)"


class TeacherError(RuntimeError):
    """A teacher that no student should learn from, why, and what can be done about it."""


class Frozen:
    """A network in evaluation mode, supplying outputs for a cohort's batches."""

    def __init__(self, network: Network, device: torch.device) -> None:
        self.device = device
        self.network = network.to(device).eval().requires_grad_(False)
        self._lean: dict[Precision, Network] = {}

    def outputs(self, images: Tensor, precision: Precision, reads: Collection[Tap] = TAPS) -> Outputs:
        """Outputs for images [B, C, H, W], computed at this precision; those that are read then in float32."""
        network = self.serving(images, precision)
        with inference_in(self.device, precision):
            return in_float32(network(images, reads), reads)

    def serving(self, images: Tensor, precision: Precision) -> Network:
        """What computes the outputs: on a GPU a copy of the network with fewer kernels, equal up to rounding, made from
        the first images; the network itself on a CPU, which gains next to nothing, so that its numbers stay."""
        if self.device.type != "cuda":
            return self.network
        if precision not in self._lean:
            self._lean[precision] = lean(self.network, images[:2], precision)
        return self._lean[precision]


class Teacher(Frozen):
    """The teacher that a record describes, with the weights that were kept; one that is used as it came is made again
    where they were not, as where its record was merged."""

    def __init__(self, run: Run, record: Record, folder: Folder, classes: int, device: torch.device) -> None:
        """run: as it is planned here, so that a file that its weights come from is one of this machine."""
        self.record = record
        path = folder.weights_path(run.id)
        lost = run.as_it_came and not path.exists()
        try:
            network = create(run.student, run.recipe, classes, run.seed, pretrained=lost)
            if not lost:
                network.model.load_state_dict(load(read_bytes(path)))
        except FileNotFoundError:
            raise TeacherError(f"teacher {run.id} has a record but no weights at {path}; {AGAIN}") from None
        except (OSError, RuntimeError, ValueError, SafetensorError) as error:
            if machine_trouble(error):
                raise
            why = " ".join(str(error).split())
            raise TeacherError(f"weights of teacher {run.id} at {path} cannot be used: {why}; {AGAIN}") from None
        super().__init__(network, device)  # last: what a device lacks is no fault of the file's

    def evaluate(self, images: Tensor, precision: Precision) -> tuple[Tensor, Tensor]:
        """Logits [B, K] and embeddings [B, D]."""
        outputs = self.outputs(images, precision)
        return outputs.logits, outputs.embedding


def checked_teacher(run: Run, folder: Folder, splits: Splits, device: torch.device, expected: float | None) -> Teacher:
    """The teacher of a cohort, if it passes the gate; TeacherError says why it does not.

    It must have a record of an accuracy above what the grid expects (or above chance by three standard errors where
    nothing is expected; with untrained weights any will do), the recorded weights, the data set's classes, images of
    the student's size and normalisation, and the recorded accuracy when evaluated again here.
    """
    teacher_run = run.teacher
    assert teacher_run is not None
    record = _recorded(teacher_run, folder)
    if difference := other_images(run):
        raise TeacherError(f"{run.student.name}: {difference}")
    if record.result.data_sha256 != splits.sha256:
        images = f"was trained on other images than {run.dataset.name!r} holds now"
        raise TeacherError(f"teacher {teacher_run.id} {images}; put those back, or {AGAIN}")
    if not teacher_run.untrained:
        _check_accuracy(record, splits.classes, expected)
    teacher = Teacher(teacher_run, record, folder, splits.classes, device)
    if weights_sha256(teacher.network.model) != record.result.weights_sha256:
        raise TeacherError(f"weights of teacher {teacher_run.id} are not the ones its record describes; {AGAIN}")
    test = evaluation_data(splits.test, teacher_run.recipe, device)
    precision = teacher_run.recipe.precision  # as the record's accuracy was computed
    measured = accuracy(lambda images: teacher.outputs(images, precision).logits, test)
    assert record.result.top1 is not None
    if round(abs(measured - record.result.top1) * len(test)) > max(TOLERATED_IMAGES, TOLERATED_SHARE * len(test)):
        top1 = f"has top-1 {measured:.4f} here, {record.result.top1:.4f} recorded"
        raise TeacherError(f"teacher {teacher_run.id} {top1}; {AGAIN}")
    return teacher


def _recorded(run: Run, folder: Folder) -> Record:
    """The record of a teacher that was trained to its end."""
    try:
        record = folder.record(run.id)
    except RecordError as error:
        if machine_trouble(error):
            raise
        raise TeacherError(f"teacher {run.id}: {error}; move it away to have it trained again") from None
    if record is None:
        failure = folder.failure(run.id)
        why = "it was not trained" if failure is None else f"{failure}; --retry failed tries it again"
        raise TeacherError(f"teacher {run.id} has no record: {why}")
    if record.status != "done":
        raise TeacherError(f"teacher {run.id} is {record.status}: {record.result.reason}; {OTHERWISE}")
    return record


def other_images(run: Run) -> str | None:
    """What a run's teacher sees otherwise than the student, None if it sees the same images."""
    assert run.teacher is not None
    for field in IMAGE_FIELDS:
        ours, its = getattr(run.recipe, field), getattr(run.teacher.recipe, field)
        if ours != its:
            return f"its teacher {run.teacher.student.name} gets {field} = {its}, it gets {ours}"
    return None


def _check_accuracy(record: Record, classes: int, expected: float | None) -> None:
    top1, images = record.result.top1, record.result.test_images
    assert top1 is not None
    assert images
    chance = 1 / classes
    floor = expected if expected is not None else chance + 3 * math.sqrt(chance * (1 - chance) / images)
    if top1 < floor:
        against = (
            "the grid's expected_accuracy is" if expected is not None else "three standard errors above chance are"
        )
        key = f"expected_accuracy.{record.run.dataset.name}.{record.run.student.name}"
        raise TeacherError(
            f"teacher {record.run_id} has top-1 {top1:.4f}; {against} {floor:.4f}: {OTHERWISE}, or accept it "
            f"({key} in the grid file, then --retry failed)"
        )
