"""Make a network from its architecture and a seed."""

from typing import Any

import torch
from torch import nn

from benchmark.errors import UsageError, unknown
from benchmark.models.network import Network
from benchmark.models.pairing import timm
from benchmark.spec import Architecture, Recipe, derive_seed
from methods.base import Shapes


def model_names() -> list[str]:
    names: list[str] = timm().list_models()
    return names


def create(architecture: Architecture, recipe: Recipe, classes: int, seed: int) -> Network:
    """A network with its initial weights, which depend on (seed, architecture) alone.

    Raises UsageError for a model or an option that timm does not have, and for a network without feature maps.
    """
    known = timm()
    if not known.is_model(architecture.model):
        raise unknown("model", architecture.model, known.list_models())
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(derive_seed("weights", seed, architecture.identity()))
        try:
            options: dict[str, Any] = {"in_chans": recipe.channels, "num_classes": classes, **architecture.options}
            model = known.create_model(architecture.model, **_sized(architecture.model, options, recipe))
        except (TypeError, ValueError, RuntimeError) as error:
            raise UsageError(f"architecture {architecture.name!r}: timm's {architecture.model}: {error}") from None
        if architecture.stem == "small":
            _small_stem(model, architecture)
    if not hasattr(model, "forward_intermediates") or not getattr(model, "feature_info", None):
        raise UsageError(f"architecture {architecture.name!r}: timm's {architecture.model} gives no feature maps")
    network = Network(model)
    if recipe.channels_last:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def check(architecture: Architecture, recipe: Recipe, classes: int = 10) -> Shapes:
    """Build the network and run it once; raises UsageError where a run would fail later."""
    network = create(architecture, recipe, classes, seed=0)
    images = torch.zeros(2, recipe.channels, recipe.input_size, recipe.input_size)
    try:
        return network.shapes(images)
    except (RuntimeError, AssertionError) as error:
        size = recipe.input_size
        raise UsageError(f"architecture {architecture.name!r} does not take {size} x {size} images: {error}") from None


def _sized(model: str, options: dict[str, Any], recipe: Recipe) -> dict[str, Any]:
    """Networks with a fixed number of positions (transformers, mixers) are told the input size."""
    known = timm().get_pretrained_cfg(model)
    fixed = known is not None and known.fixed_input_size
    return {"img_size": recipe.input_size, **options} if fixed else options


def _small_stem(model: nn.Module, architecture: Architecture) -> None:
    """Stride 1 in the first convolution, 3 x 3 where it was larger, and no pooling after it."""
    name, first = next((n, m) for n, m in model.named_modules() if isinstance(m, nn.Conv2d))
    if first.stride == (1, 1) and not hasattr(model, "maxpool"):
        raise UsageError(f"architecture {architecture.name!r}: {architecture.model} has a small stem already")
    if "patch_embed" in name:
        raise UsageError(f"architecture {architecture.name!r}: {architecture.model} has patches: set its patch_size")
    kernel = min(3, first.kernel_size[0])
    parent = model.get_submodule(name.rpartition(".")[0])
    replaced = nn.Conv2d(
        first.in_channels, first.out_channels, kernel, stride=1, padding=kernel // 2, bias=first.bias is not None
    )
    nn.init.kaiming_normal_(replaced.weight, mode="fan_out", nonlinearity="relu")
    setattr(parent, name.rpartition(".")[2], replaced)
    if hasattr(model, "maxpool"):
        model.maxpool = nn.Identity()
