"""What networks and training cost by count: parameters, multiply-accumulates, FLOPs, memory."""

import copy
import resource
import sys
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count

from benchmark.data import TrainingData
from benchmark.data.resident import steps
from benchmark.records import Cost
from benchmark.training.member import Member
from benchmark.training.step import step_inputs, supply
from benchmark.training.teacher import Frozen
from methods.base import Phase


def flop_counter() -> FlopCounterMode:
    """torch's FLOP counter, which takes the gradient of a grouped convolution's weight for that of groups = 1: here the
    gradient of the images and that of the weight are as much work each as the convolution itself."""
    return FlopCounterMode(display=False, custom_mapping={torch.ops.aten.convolution_backward: _convolution_backward})


def _convolution_backward(
    grad: list[int],
    images: list[int],
    weight: list[int],
    bias: list[int] | None,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    transposed: bool,
    output_padding: list[int],
    groups: int,
    wanted: list[bool],
    **_: Any,
) -> int:
    """FLOPs of aten::convolution_backward, by its arguments, shapes for tensors; wanted: gradients of images, weight,
    bias."""
    return conv_flop_count(images, weight, grad, transposed=transposed) * sum(wanted[:2])


def parameter_count(*modules: nn.Module) -> int:
    """Of several modules together."""
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


def deployed_parameters(member: Member) -> int:
    """The student's parameters; modules that its method deploys replace the student's classifier."""
    modules = member.method.deployed()
    if not modules:
        return parameter_count(member.network)
    return parameter_count(member.network, *modules) - parameter_count(member.network.classifier)


def inference_macs(network: nn.Module, image: Tensor) -> int:
    """Multiply-accumulates of one image [1, C, H, W], by torch's FLOP counter (two FLOPs each)."""
    with flop_counter() as counter, torch.no_grad():
        network(image)
    return counter.get_total_flops() // 2


def deployed_macs(member: Member, image: Tensor) -> int:
    """As inference_macs, for the student as its method deploys it."""
    student = copy.deepcopy(member.network).eval()
    method = copy.deepcopy(member.method).eval()
    with flop_counter() as counter, torch.no_grad():
        method.predict(student(image))
    replaced = member.network.classifier if member.method.deployed() else None
    unused = sum(p.numel() for p in replaced.parameters() if p.dim() > 1) if replaced else 0
    return counter.get_total_flops() // 2 - unused


def step_flops(member: Member, teacher: Frozen | None, data: TrainingData, phase: Phase | None, size: int) -> int:
    """FLOPs of one training step on `size` images: forward and backward of student and method, the teacher's forward.

    phase: the step's, None for the main schedule. Counted on copies of the networks; nothing of the member changes.
    """
    twin = copy.copy(member)
    twin.network, twin.method = copy.deepcopy(member.network), copy.deepcopy(member.method)
    twin.phase = twin.method.phases[member.method.phases.index(phase)] if phase else None
    now = step_inputs([member], data, data.views(member.run.seed, 0), 0, 0).first(size)
    with flop_counter() as counter:
        supplied = supply([member], teacher, now.images)
        twin.backward(now.images, now.batch(twin, teacher), supplied)
    return counter.get_total_flops()


def training_flops(member: Member, teacher: Frozen | None, data: TrainingData, images: int | None = None) -> int:
    """FLOPs of the whole training, phases and, where the method reads the teacher, the teacher's forward included.

    images: how many an epoch has, where `data` has as few as are counted on.
    """
    recipe = member.run.recipe
    images = len(data) if images is None else images
    whole, rest = divmod(images, recipe.batch_size)
    batches = {recipe.batch_size: whole, rest: steps(images, recipe) - whole}
    total = 0
    for phase, epochs in [*((phase, phase.epochs) for phase in member.method.phases), (None, recipe.epochs)]:
        with torch.random.fork_rng(devices=()):
            counts = (n * step_flops(member, teacher, data, phase, size) for size, n in batches.items() if n)
            total += epochs * sum(counts)
    return total


def cost(
    member: Member, teacher: Frozen | None, data: TrainingData, cohort_size: int, of_teacher: Mapping[str, int]
) -> Cost:
    """Everything that the record says of a run's cost; of_teacher: `teacher_cost`."""
    image = data.batch(0, 1)[0]
    own_clock = data.device.type == "cpu"
    return Cost(
        parameters=deployed_parameters(member),
        macs=deployed_macs(member, image),
        **of_teacher,
        training_flops=training_flops(member, teacher, data),
        cohort_seconds=member.cohort_seconds,
        student_seconds=member.seconds if own_clock else None,
        teacher_seconds=member.teacher_seconds if own_clock and teacher else None,
        cohort_size=cohort_size,
        peak_memory_bytes=peak_memory(data.device),
    )


def teacher_cost(teacher: Frozen, image: Tensor) -> dict[str, int]:
    """What records say of the teacher's size, from one image [1, C, H, W]."""
    return {
        "teacher_parameters": parameter_count(teacher.network),
        "teacher_macs": inference_macs(teacher.network, image),
    }


def peak_memory(device: torch.device) -> int:
    """Bytes: on a GPU the most that was allocated on it, on a CPU the most this process has been resident."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
