"""What networks and training cost by count: parameters, multiply-accumulates, FLOPs, memory."""

import copy
import resource
import sys

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmark.data import TrainingData
from benchmark.records import Cost
from benchmark.training.loop import second_view, supply
from benchmark.training.member import Member
from benchmark.training.teacher import Frozen
from methods.base import Batch, Phase


def parameter_count(*modules: nn.Module) -> int:
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


def deployed_parameters(member: Member) -> int:
    """The student's parameters; modules that its method deploys replace the student's classifier."""
    modules = member.method.deployed()
    if not modules:
        return parameter_count(member.network)
    return parameter_count(member.network, *modules) - parameter_count(member.network.classifier)


def inference_macs(network: nn.Module, image: Tensor) -> int:
    """Multiply-accumulates of one image [1, C, H, W], by torch's FLOP counter (two FLOPs each)."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(image)
    return counter.get_total_flops() // 2


def deployed_macs(member: Member, image: Tensor) -> int:
    """As inference_macs, for the student as its method deploys it."""
    student = copy.deepcopy(member.network).eval()
    method = copy.deepcopy(member.method).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
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
    views = data.views(member.run.seed, 0)
    images, labels, index = (part[:size] for part in data.training_batch(views, 0))
    second = second_view([member], data, views, 0)
    progress = torch.zeros((), device=data.device)
    with FlopCounterMode(display=False) as counter:
        supplied = supply([member], teacher, images)
        batch = Batch(labels, index, 0, progress, twin.generator)
        batch = twin.shown(batch, images, None if second is None else second[:size], teacher)
        twin.backward(images, batch, supplied)
    return counter.get_total_flops()


def training_flops(member: Member, teacher: Frozen | None, data: TrainingData) -> int:
    """FLOPs of the whole training, phases and, where the method reads the teacher, the teacher's forward included."""
    recipe = member.run.recipe
    whole, rest = divmod(len(data), recipe.batch_size)
    total = 0
    for phase, epochs in [*((phase, phase.epochs) for phase in member.method.phases), (None, recipe.epochs)]:
        with torch.random.fork_rng(devices=()):
            epoch = whole * step_flops(member, teacher, data, phase, min(recipe.batch_size, len(data)))
            if data.steps > whole:
                epoch += step_flops(member, teacher, data, phase, rest)
        total += epochs * epoch
    return total


def cost(member: Member, teacher: Frozen | None, data: TrainingData, cohort_size: int) -> Cost:
    """Everything that the record says of a run's cost."""
    image = data.batch(0, 1)[0]
    own_clock = data.device.type == "cpu"
    return Cost(
        parameters=deployed_parameters(member),
        macs=deployed_macs(member, image),
        teacher_parameters=parameter_count(teacher.network) if teacher else None,
        teacher_macs=inference_macs(teacher.network, image) if teacher else None,
        training_flops=training_flops(member, teacher, data),
        cohort_seconds=member.cohort_seconds,
        student_seconds=member.seconds if own_clock else None,
        teacher_seconds=member.teacher_seconds if own_clock and teacher else None,
        cohort_size=cohort_size,
        peak_memory_bytes=peak_memory(data.device),
    )


def peak_memory(device: torch.device) -> int:
    """Bytes: on a GPU the most that was allocated on it, on a CPU the most this process has been resident."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
