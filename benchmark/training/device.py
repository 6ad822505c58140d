"""The device that work is done on, and what the precisions of a recipe mean there: torch's own defaults differ."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, get_args

import torch

from benchmark.ground.errors import UsageError
from benchmark.spec import Recipe
from methods.base import ASKED, OF_BATCH, Outputs, Tap

TAPS: tuple[Tap, ...] = tuple(tap for tap in get_args(Tap) if tap not in ASKED)
"""What is always there."""

TF32_CAPABILITY = (8, 0)
"""The first of NVIDIA's GPUs that compute in TF32: Ampere."""


def device_named(name: str) -> torch.device:
    """auto: a GPU where there is one; cuda: also one of AMD's, which torch calls so.

    Raises UsageError for a GPU that is not there, and for Apple's.
    """
    valid = "auto, cpu, cuda" if torch.cuda.is_available() else "auto, cpu"
    if name == "mps":
        why = "Apple's GPUs have no float64, which measures, singular vectors and distances are computed in"
        raise UsageError(f"device 'mps' cannot be used: {why}; valid here: {valid}")
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError(f"device 'cuda' is not available on this machine; valid here: {valid}")
    return torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)


def set_precision(recipe: Recipe, device: torch.device) -> None:
    """Have this process's convolutions, backward ones included, computed as the recipe's student wants them, by the
    kernels that cuDNN finds to be the fastest unless they have to be deterministic; and matrix products in float32
    always: relations are differences of large numbers.

    Raises UsageError for a device that cannot do it.
    """
    check_precision(recipe, device)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = recipe.precision == "tf32"
    torch.backends.cudnn.benchmark = device.type == "cuda" and not recipe.deterministic


def check_precision(recipe: Recipe, device: torch.device) -> None:
    """Raises UsageError for a device that cannot compute as the recipe wants."""
    if "tf32" in (recipe.precision, recipe.teacher_precision) and (other := without_tf32(device)):
        raise UsageError(
            f"precision 'tf32' needs a GPU of NVIDIA's Ampere generation or later, not {other}; "
            "valid here: float32, bfloat16"
        )


def without_tf32(device: torch.device) -> str | None:
    """What a device is that cannot compute in TF32; None if it can."""
    if device.type != "cuda":
        return "a CPU"
    if torch.version.hip or torch.cuda.get_device_capability(device) < TF32_CAPABILITY:
        return torch.cuda.get_device_name(device)
    return None


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """bfloat16 where torch's autocast has it; no autocast for any other precision."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16")


@contextmanager
def inference_in(device: torch.device, precision: str) -> Iterator[None]:
    """A forward pass in a precision of its own."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    try:
        with torch.no_grad(), autocast(device, precision):
            yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def in_float32(outputs: Outputs, reads: Collection[Tap] = TAPS) -> Outputs:
    """The outputs that are read in float32; the others stay as they are, since a conversion costs a copy."""
    changed: dict[str, Any] = {}
    for tap in set(reads) - OF_BATCH:
        value = getattr(outputs, tap)
        changed[tap] = tuple(m.float() for m in value) if isinstance(value, tuple) else value.float()
    return replace(outputs, **changed)


def seed_generators(device: torch.device, seed: int) -> None:
    """Put the CPU's and this device's generators into the state of `torch.manual_seed`, which visits all devices' and
    takes a hundred times as long."""
    if device.type not in ("cpu", "cuda"):
        torch.manual_seed(seed)
        return
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.default_generators[device.index or 0].manual_seed(seed)
