"""The feature tap: logits, embedding and maps of any timm model, in one pass and without hooks."""

import re
from collections.abc import Callable, Collection, Iterable
from contextlib import nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from benchmark.ground.errors import UsageError
from methods.base import Outputs, Shapes, Tap

STEM = re.compile(r"(stem|conv|bn|act|norm|features\.(conv|norm))\w*")
"""How timm names the module of a first map that comes before the first block."""


ACTIVATIONS: dict[Any, Callable[[Tensor], Tensor]] = {
    **dict.fromkeys((F.relu, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_), torch.relu),
    F.silu: F.silu,
    F.hardswish: F.hardswish,
}
"""Activations that end a stage, as networks call them, and what computes the same without overwriting its input."""


class Activations(TorchFunctionMode):
    """Within, no activation overwrites its input, and what each was applied to is remembered by its result."""

    def __init__(self) -> None:
        super().__init__()
        self._applied: dict[int, tuple[Tensor, Tensor]] = {}

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function not in ACTIVATIONS:
            return function(*args, **(kwargs or {}))
        result = ACTIVATIONS[function](args[0])
        self._applied[id(result)] = (result, args[0])
        return result

    def before(self, result: Tensor) -> Tensor:
        """What an activation made this of; the tensor itself if none did."""
        known = self._applied.get(id(result))
        return result if known is None else known[1]


class Mean(nn.Module):
    """The mean of what several modules make of one input."""

    def __init__(self, modules: Iterable[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(modules)

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([member(x) for member in self.members]).mean(0)


class Parts(Mean):
    """The mean of what several modules make of one part each of an input [B, n D]: of one token each."""

    def forward(self, x: Tensor) -> Tensor:
        parts = x.chunk(len(self.members), 1)
        return torch.stack([member(part) for member, part in zip(self.members, parts, strict=True)]).mean(0)


class Network(nn.Module):
    """A timm model that returns `Outputs`."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self._normalised_head = _normalised_head(model)
        first = model.feature_info[0]  # type: ignore[index]
        self.stem = int(bool(STEM.match(str(first["module"]))))  # type: ignore[index]
        self._channels_last_maps = getattr(model, "output_fmt", "NCHW") == "NHWC"

    @property
    def classifier(self) -> nn.Module:
        """What reads the embedding [B, D]: the model's classifier, with the batch norm that only it reads through, or
        the mean of several; a convolution reads it as a map of one pixel. Its parameters are the model's own."""
        if self._normalised_head is not None:
            return self.model.get_submodule(self._normalised_head)
        classifier = self.model.get_classifier()  # type: ignore[operator]
        members = classifier if isinstance(classifier, tuple | list) else (classifier,)
        if any(isinstance(member, nn.ModuleList) or not isinstance(member, nn.Module) for member in members):
            raise self._untappable()
        if len(members) > 1:
            return (Parts if self._two_tokens else Mean)(members)
        if hasattr(classifier, "global_pool"):  # a whole head, whose pooling the embedding has behind it
            classifier = classifier.fc
        if isinstance(classifier, nn.Conv2d):
            return nn.Sequential(nn.Unflatten(1, (-1, 1, 1)), classifier, nn.Flatten())
        return classifier

    @property
    def _two_tokens(self) -> bool:
        """Whether two classifiers read a token each, of class and of distillation (DeiT, PiT)."""
        pair = isinstance(self.model.get_classifier(), tuple)  # type: ignore[operator]
        return pair and getattr(self.model, "global_pool", None) == "token"

    def _untappable(self) -> UsageError:
        name = type(self.model).__name__
        return UsageError(
            f"timm's {name}: its classifier does not read one vector per image, but several tokens or scales"
        )

    def forward(self, images: Tensor, reads: Collection[Tap] = ()) -> Outputs:
        """Outputs of images [B, C, H, W]; pre-activation maps only if `reads` names them.

        The embedding of a network with two tokens and two classifiers is both tokens, one behind the other.
        Maps are what the blocks give, before a normalisation that comes after the last one (transformers, mixers, wide
        residual networks); the embedding comes after it. Where the last features are not a [B, C, H, W] map (tokens,
        channels-last networks), the last map stands in for the input of pooling.
        """
        activations = Activations() if "preacts" in reads else None
        with activations or nullcontext():
            last, maps = self.model.forward_intermediates(images, output_fmt="NCHW")  # type: ignore[operator]
        if not isinstance(last, Tensor):  # features at several scales
            raise self._untappable()
        if self._two_tokens:  # forward_head would give their mean, which neither classifier reads
            embedding = torch.cat([self.model.head_drop(last[:, token]) for token in (0, 1)], 1)  # type: ignore[operator]
        else:
            embedding = self.model.forward_head(last, pre_logits=True)  # type: ignore[operator]
        if embedding.shape[2:] == (1, 1):
            embedding = embedding.flatten(1)
        is_map = last.dim() == 4 and not self._channels_last_maps
        pooled = last if is_map else maps[-1]
        preacts = self._preacts(maps, activations.before) if activations else ()
        return Outputs(self.classifier(embedding), embedding, tuple(maps), pooled, self.stem, preacts)

    def _preacts(self, maps: list[Tensor], before: Callable[[Tensor], Tensor]) -> tuple[Tensor, ...]:
        own = getattr(self.model, "preactivations", None)
        return tuple(own(maps) if own else map(before, maps))

    @torch.no_grad()
    def shapes(self, images: Tensor) -> Shapes:
        """What `forward` gives for images [B, C, H, W], found by a pass in evaluation mode.

        Raises UsageError if there is no embedding of one vector per image: such a network cannot be tapped.
        """
        training = self.training
        outputs = self.eval()(images)
        self.train(training)
        if outputs.embedding.dim() != 2:
            raise self._untappable()
        return Shapes(
            classes=outputs.logits.shape[1],
            embedding=outputs.embedding.shape[1],
            maps=tuple((m.shape[1], m.shape[2], m.shape[3]) for m in outputs.maps),
            pooled_map=tuple(outputs.pooled_map.shape[1:]),
            stem=self.stem,
            rectified=tuple(bool((m >= 0).all()) for m in outputs.maps),
            averaged=_is_mean(outputs.embedding, outputs.pooled_map),
        )


def _is_mean(embedding: Tensor, pooled_map: Tensor) -> bool:
    mean = pooled_map.mean((2, 3))
    return mean.shape == embedding.shape and torch.allclose(mean, embedding, rtol=1e-4, atol=1e-6)


def _normalised_head(model: nn.Module) -> str | None:
    """The name of a sequence of a batch norm and the classifier (timm's NormLinear), where `get_classifier` gives the
    linear layer alone and pooled features come before the norm."""
    classifier = model.get_classifier()  # type: ignore[operator]
    for name, module in model.named_modules():
        if isinstance(module, nn.Sequential) and len(module) > 1 and module[-1] is classifier:
            return name if isinstance(module[0], nn.BatchNorm1d) else None
    return None
