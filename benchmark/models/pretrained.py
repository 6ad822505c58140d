"""Load pretrained weights, whole and checked: never a head or a stem that stays random."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from benchmark.errors import UsageError, one_line
from benchmark.libraries import timm
from benchmark.models.timm_weights import timm_config
from benchmark.pretrained import weights_file
from benchmark.spec import Architecture, Recipe


def timm_options(architecture: Architecture, recipe: Recipe, classes: int) -> dict[str, Any]:
    """What makes `timm.create_model` load its pretrained weights from the file that was pinned.

    Raises UsageError for weights of another number of classes or another normalisation.
    """
    path = weights_file(architecture)
    known = timm_config(architecture)
    _check_normalisation(architecture, recipe, known.mean, known.std)
    if known.num_classes != classes:
        raise _other_classes(architecture, known.num_classes, classes)
    return {"pretrained": True, "pretrained_cfg_overlay": {"file": str(path)}}


def load(model: nn.Module, architecture: Architecture, recipe: Recipe, classes: int) -> None:
    """Put the weights of an architecture's file into a timm model.

    Files are safetensors or what torch.save wrote, read as tensors alone; a state dictionary by itself or under
    'state_dict' or 'model', with or without the prefix of DataParallel. Raises UsageError for a file that is none of
    this, has other tensors than the model, or is for other classes or, as far as it says, another normalisation.
    """
    path = weights_file(architecture)
    trained = _recorded_recipe(path)
    if trained is not None:
        _check_normalisation(architecture, recipe, trained["mean"], trained["std"])
    state = _read(path, architecture)
    classifier = model.get_classifier()  # type: ignore[operator]
    name = next((name for name, module in model.named_modules() if module is classifier), None)
    head = state.get(f"{name}.weight")
    if isinstance(head, Tensor) and head.shape[0] != classes:
        raise _other_classes(architecture, head.shape[0], classes)
    try:
        model.load_state_dict(state)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise UsageError(f"architecture {architecture.name!r}: {path} does not fit: {one_line(error)}") from None


def _recorded_recipe(path: Path) -> dict[str, Any] | None:
    """The recipe of the run that made a file, for files that this suite wrote."""
    if path.suffix != ".safetensors":
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            run = (file.metadata() or {}).get("run")
            recipe: dict[str, Any] | None = json.loads(run)["recipe"] if run else None
            return recipe
    except (SafetensorError, OSError, ValueError, KeyError):
        return None  # reading the tensors will say what is wrong


def _check_normalisation(
    architecture: Architecture, recipe: Recipe, mean: Sequence[float], std: Sequence[float]
) -> None:
    for field, theirs in (("mean", tuple(mean)), ("std", tuple(std))):
        ours = getattr(recipe, field)
        if len(ours) != len(theirs) or not all(map(_close, ours, theirs)):
            raise UsageError(
                f"architecture {architecture.name!r}: its weights were trained with {field} = {theirs}, "
                f"the recipe says {ours}"
            )


def _close(a: float, b: float) -> bool:
    return math.isclose(a, b, abs_tol=1e-6)


def _read(path: Path, architecture: Architecture) -> Mapping[str, Any]:
    try:
        state: Mapping[str, Any] = timm().models.load_state_dict(str(path), use_ema=False, weights_only=True)
    except Exception as error:  # a damaged or hostile file fails in many ways; none of them runs its code
        raise UsageError(f"architecture {architecture.name!r}: {path} holds no weights: {one_line(error)}") from None
    return state


def _other_classes(architecture: Architecture, theirs: int, ours: int) -> UsageError:
    return UsageError(f"architecture {architecture.name!r}: its weights are for {theirs} classes, the data has {ours}")
