"""Try a network as a run will use it, before anything is trained: what cannot serve is refused in a line that says why.

docs/networks.md lists what is refused.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.ground.errors import UsageError, first_of, one_line
from benchmark.ground.libraries import timm
from benchmark.models.creation import create
from benchmark.models.network import Network
from benchmark.models.weights import refusals_of
from benchmark.spec import Architecture, Recipe
from methods.base import Outputs, Shapes

USUAL_SIZE = 224
"""What a network is built for where timm does not say."""

NOISE = 0.02
"""Standard deviation of what is added to every weight, so that layers which start as an identity show."""

TOLERANCE = 1e-4
"""By what share of the largest logit the tap's and the model's own may differ: they are computed alike."""


def check(architecture: Architecture, recipe: Recipe, classes: int = 10, alone: bool = False) -> Shapes:
    """Build the network and try it on two images, or on one where a batch of one image will come (`alone`).

    Raises UsageError where a run would fail later, or train something else than the network that it names.
    """
    network = create(architecture, recipe, classes, seed=0)
    size = recipe.input_size
    images = torch.randn(2, recipe.channels, size, size, generator=torch.Generator().manual_seed(0))
    _run(network, images, architecture)
    with refusals_of(architecture):
        shapes = _tapped(network, images)
        if shapes.classes != classes:
            raise UsageError(f"it tells {shapes.classes} classes apart, the data has {classes}")
        _compare(network, images)
        _reach(network, images)
        if architecture.collapsed_map == "refuse" and collapses(architecture.model, shapes, size):
            raise _collapsed(architecture, recipe, classes)
    if alone:
        _train_alone(network, images[:1], architecture, recipe)
    return shapes


def collapses(model: str, shapes: Shapes, size: int) -> bool:
    """Whether images smaller than a network is built for leave its last map with one pixel, and with no geometry for
    methods that compare places."""
    return shapes.maps[-1][1:] == (1, 1) and size < own_size(model)


def own_size(model: str) -> int:
    """The height and width, in pixels, of the images that timm builds a model for."""
    known = timm.get_pretrained_cfg(model)
    return int(known.input_size[-1]) if known is not None and known.input_size else USUAL_SIZE


def _run(network: Network, images: Tensor, architecture: Architecture) -> None:
    """The model itself, without the tap."""
    try:
        with torch.no_grad():
            network.model.eval()(images)
    except Exception as error:  # timm's networks have many ways to say that they do not take a size
        size, own = images.shape[-1], own_size(architecture.model)
        hint = "" if size == own else f" (timm builds it for {own} x {own})"
        if architecture.stem == "small":
            hint = " with stem = 'small', which not every network can have"
        raise UsageError(
            f"architecture {architecture.name!r} does not take {size} x {size} images{hint}: {one_line(error)}"
        ) from None


def _tapped(network: Network, images: Tensor) -> Shapes:
    try:
        return network.shapes(images)
    except UsageError:
        raise
    except Exception as error:
        raise UsageError(f"{_name(network)}: its maps and embedding cannot be read: {one_line(error)}") from None


def _compare(network: Network, images: Tensor) -> None:
    """Tap and model compute the same logits, in training and in evaluation mode.

    With noise on weights and batch statistics: a fresh batch norm changes nothing in evaluation mode.
    """
    with torch.random.fork_rng(devices=()), torch.no_grad():
        torch.manual_seed(0)
        _disturb(network)
        shapes: list[list[tuple[int, ...]]] = []
        for mode in ("training", "evaluation"):
            network.train(mode == "training")
            own = _same_draws(network.model, images)
            if not isinstance(own, Tensor):
                raise UsageError(f"{_name(network)} gives more than class scores in {mode} mode")
            outputs = _outputs(network, images, mode)
            shapes.append([tuple(each.shape) for each in (*outputs.maps, outputs.pooled_map, outputs.embedding)])
            tapped = outputs.logits
            largest = own.abs().max()
            if (difference := (tapped - own).abs().max()) > TOLERANCE * largest + 1e-6:
                raise UsageError(
                    f"{_name(network)}: its classifier does not read one vector per image, but several tokens or "
                    f"scales, or through a layer that is skipped: in {mode} mode its logits are off by "
                    f"{difference / largest:.0%}"
                )
    if shapes[0] != shapes[1]:
        raise UsageError(
            f"{_name(network)}: its maps have other shapes in training than in evaluation mode, as where an option "
            "drops patches (patch_drop_rate)"
        )


def _outputs(network: Network, images: Tensor, mode: str) -> Outputs:
    try:
        return _same_draws(network, images)
    except Exception as error:
        raise UsageError(f"{_name(network)}: its maps cannot be read in {mode} mode: {one_line(error)}") from None


def _disturb(network: Network) -> None:
    for parameter in network.parameters():
        parameter.add_(torch.randn_like(parameter), alpha=NOISE)
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is not None:
            module.running_mean.add_(torch.randn_like(module.running_mean), alpha=0.1)
            assert module.running_var is not None
            module.running_var.mul_(torch.rand_like(module.running_var) + 0.5)


def _same_draws(function: Callable[[Tensor], Any], images: Tensor) -> Any:
    """The same dropout for all that is called so."""
    torch.manual_seed(1)
    return function(images)


def _reach(network: Network, images: Tensor) -> None:
    """Every parameter gets a gradient from the tapped logits."""
    learnt = {name: value for name, value in network.model.named_parameters() if value.requires_grad}
    with torch.random.fork_rng(devices=()):
        logits = network.train()(images).logits
    gradients = torch.autograd.grad(logits.sum(), list(learnt.values()), allow_unused=True)
    if unused := [name for name, gradient in zip(learnt, gradients, strict=True) if gradient is None]:
        raise UsageError(f"{_name(network)}: its logits do not depend on {first_of(unused, 3)}")


def _collapsed(architecture: Architecture, recipe: Recipe, classes: int) -> UsageError:
    size, model = recipe.input_size, architecture.model
    small = architecture.model_copy(update={"stem": "small"})
    stem = 'stem = "small", ' if architecture.stem != "small" and _serves(small, recipe, classes) else ""
    return UsageError(
        f"{size} x {size} images leave {model} a last map of 1 x 1; choose {stem}upscaled images (a larger input_size; "
        f'it is built for {own_size(model)}), or, if this is meant, collapsed_map = "accept"'
    )


def _serves(architecture: Architecture, recipe: Recipe, classes: int) -> bool:
    try:
        check(architecture, recipe, classes)
    except UsageError:
        return False
    return True


def _train_alone(network: Network, image: Tensor, architecture: Architecture, recipe: Recipe) -> None:
    """A batch norm at 1 x 1 has no statistics of one image."""
    remedy = 'last_batch = "drop", or another batch_size' if recipe.batch_size > 1 else "a batch_size above 1"
    try:
        with torch.no_grad():
            network.train()(image)
    except Exception as error:
        raise UsageError(
            f"architecture {architecture.name!r} cannot train on a batch of one image, which every epoch has: "
            f"{remedy} ({one_line(error)})"
        ) from None


def _name(network: Network) -> str:
    return f"timm's {type(network.model).__name__}"
