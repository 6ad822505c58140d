"""Make a network from its architecture and a seed."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from benchmark.ground.errors import UsageError, one_line, unknown
from benchmark.ground.libraries import timm
from benchmark.ground.memory import free_memory
from benchmark.models.network import Network
from benchmark.models.weights import load, refusals_of, timm_options
from benchmark.spec import TIMM, Architecture, Recipe, derive_seed

THIN = 8

MOST_TENSORS = 10_000
"""Of a network's parameters: a residual network of 1,202 layers has 3,600. Each costs kilobytes of Python's too."""


def model_names() -> list[str]:
    """Of all timm models, those of this suite included."""
    names: list[str] = timm.list_models()
    return names


def is_model(name: str) -> bool:
    """Whether timm has a model of that name, its pretrained tag aside."""
    found: bool = timm.is_model(name)
    return found


def create(architecture: Architecture, recipe: Recipe, classes: int, seed: int, pretrained: bool = True) -> Network:
    """A network with its initial weights, which depend on (seed, architecture) alone.

    pretrained: load the architecture's weights, if it has any; False where others will be put in their place.
    Raises UsageError for a model or an option that timm does not have, for a network without feature maps, and for
    weights that are missing or do not fit.
    """
    if not is_model(architecture.model):
        raise unknown("model", architecture.model, model_names())
    with refusals_of(architecture):
        model = _model(architecture, recipe, classes, seed, architecture.weights if pretrained else None)
        if recipe.channels_last:
            _refuse_thin_shortcuts(model)
    network = Network(model)
    if recipe.channels_last:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def _model(architecture: Architecture, recipe: Recipe, classes: int, seed: int, source: str | None) -> nn.Module:
    """The timm model, with weights of that source if there is one."""
    options: dict[str, Any] = {"in_chans": recipe.channels, "num_classes": classes, **architecture.options}
    if source == TIMM:
        options |= timm_options(architecture, recipe, classes)
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(derive_seed("weights", seed, architecture.identity()))
        try:
            with _bounded():
                model: nn.Module = timm.create_model(architecture.model, **_sized(architecture.model, options, recipe))
        except Exception as error:  # timm's networks have many ways to refuse an option
            raise UsageError(f"timm's {architecture.model}: {one_line(error)}") from None
        if architecture.stem == "small":
            _small_stem(model, architecture.model)
    for needed, what in (("feature_info", "feature maps"), ("get_classifier", "class scores")):
        if not getattr(model, needed, None):
            raise UsageError(f"timm's {architecture.model} gives no {what}")
    if source is not None and source != TIMM:
        load(model, architecture, recipe, classes)
    return model


@contextmanager
def _bounded() -> Iterator[None]:
    """Raise ValueError while a network is built that has more parameters than can be held: the system would end the
    process without a word."""
    free, tensors, needed = free_memory(torch.device("cpu")), 0, 0

    def count(module: nn.Module, name: str, parameter: nn.Parameter) -> None:
        nonlocal tensors, needed
        tensors, needed = tensors + 1, needed + parameter.nbytes
        if tensors > MOST_TENSORS:
            raise ValueError(f"its parameters are more than {MOST_TENSORS:,} tensors: fewer layers")
        if free is not None and needed > free:
            raise ValueError(f"its parameters need more than the {free / 2**30:.1f} GiB of memory that are free")

    with register_module_parameter_registration_hook(count):
        yield


def _refuse_thin_shortcuts(model: nn.Module) -> None:
    """The data gradient of a strided 1x1 convolution of fewer than eight channels writes out of bounds where oneDNN
    3.12 (torch 2.13) has AVX2 and no more: a silent corruption, which may end the process at any later time."""
    for name, module in model.named_modules():
        if not isinstance(module, nn.Conv2d) or module.kernel_size != (1, 1) or module.in_channels >= THIN:
            continue
        if module.stride != (1, 1):
            raise UsageError(
                f"{name} strides over {module.in_channels} channels, which torch corrupts memory with in channels-last "
                f"layout on some CPUs: channels_last = false, or {THIN} channels"
            )


def _sized(model: str, options: dict[str, Any], recipe: Recipe) -> dict[str, Any]:
    """Networks with a fixed number of positions (transformers, mixers) are told the input size."""
    known = timm.get_pretrained_cfg(model)
    fixed = known is not None and known.fixed_input_size
    return {"img_size": recipe.input_size, **options} if fixed else options


def _small_stem(model: nn.Module, known_as: str) -> None:
    """Stride 1 in the first convolution, 3 x 3 where it was larger, and no pooling after it."""
    convolutions = ((name, module) for name, module in model.named_modules() if isinstance(module, nn.Conv2d))
    name, first = next(convolutions, (None, None))
    if name is None or first is None:
        raise UsageError(f"{known_as} has no convolution to make a small stem of")
    if first.stride == (1, 1) and not hasattr(model, "maxpool"):
        raise UsageError(f"{known_as} has a small stem already")
    if "patch_embed" in name:
        raise UsageError(f"{known_as} has patches: set its patch_size")
    if kept := _kept_of_stem(model, first):
        raise UsageError(f"{known_as} cannot be given a small stem: {kept}")
    kernel = min(3, first.kernel_size[0])
    parent = model.get_submodule(name.rpartition(".")[0])
    replaced = nn.Conv2d(
        first.in_channels, first.out_channels, kernel, stride=1, padding=kernel // 2, bias=first.bias is not None
    )
    nn.init.kaiming_normal_(replaced.weight, mode="fan_out", nonlinearity="relu")
    setattr(parent, name.rpartition(".")[2], replaced)
    if hasattr(model, "maxpool"):
        model.maxpool = nn.Identity()


POOLED_STEMS = ("features", "layer0", "pool0", "stem")
"""Where timm's networks pool behind the first convolution, other than in `maxpool`."""


def _kept_of_stem(model: nn.Module, first: nn.Conv2d) -> str:
    """What a new first convolution would leave as it is, or lose; empty where all is well."""
    if "Std" in type(first).__name__:
        return "its convolutions standardise their weights"
    pools = (name for name, module in model.named_modules() if isinstance(module, nn.MaxPool2d))
    pooling = next((name for name in pools if name.split(".")[0] in POOLED_STEMS and name.count(".") < 2), None)
    return f"{pooling} pools behind its first convolution" if pooling else ""
