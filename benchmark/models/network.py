"""The feature tap: logits, embedding and maps of any timm model, in one pass and without hooks."""

import re
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from benchmark.errors import UsageError
from methods.base import Outputs, Shapes

STEM = re.compile(r"(stem|conv|bn|act|norm|features\.(conv|norm))\w*")
"""How timm names the module of a first map that comes before the first block."""


class Mean(nn.Module):
    """The mean of what several modules make of one input."""

    def __init__(self, modules: Iterable[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(modules)

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([member(x) for member in self.members]).mean(0)


class Network(nn.Module):
    """A timm model that returns `Outputs`."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        first = model.feature_info[0]  # type: ignore[index]
        self.stem = int(bool(STEM.match(str(first["module"]))))  # type: ignore[index]
        self._channels_last_maps = getattr(model, "output_fmt", "NCHW") == "NHWC"

    @property
    def classifier(self) -> nn.Module:
        """What reads the embedding [B, D]: the model's classifier, or the mean of several; a convolution reads it as a
        map of one pixel. Its parameters are the model's own."""
        classifier = self.model.get_classifier()  # type: ignore[operator]
        if isinstance(classifier, tuple | list):
            return Mean(classifier)
        if isinstance(classifier, nn.Conv2d):
            return nn.Sequential(nn.Unflatten(1, (-1, 1, 1)), classifier, nn.Flatten())
        if not isinstance(classifier, nn.Module):
            raise self._untappable()
        return classifier

    def _untappable(self) -> UsageError:
        name = type(self.model).__name__
        return UsageError(
            f"timm's {name}: its classifier does not read one vector per image, but several tokens or scales"
        )

    def forward(self, images: Tensor) -> Outputs:
        """Outputs of images [B, C, H, W].

        Maps are what the blocks give, before a normalisation that comes after the last one (transformers, mixers, wide
        residual networks); the embedding comes after it. Where the last features are not a [B, C, H, W] map (tokens,
        channels-last networks), the last map stands in for the input of pooling.
        """
        last, maps = self.model.forward_intermediates(images, output_fmt="NCHW")  # type: ignore[operator]
        if not isinstance(last, Tensor):  # features at several scales
            raise self._untappable()
        embedding = self.model.forward_head(last, pre_logits=True)  # type: ignore[operator]
        if embedding.shape[2:] == (1, 1):
            embedding = embedding.flatten(1)
        is_map = last.dim() == 4 and not self._channels_last_maps
        return Outputs(self.classifier(embedding), embedding, tuple(maps), last if is_map else maps[-1], self.stem)

    @torch.no_grad()
    def shapes(self, images: Tensor) -> Shapes:
        """What `forward` gives for images [B, C, H, W], found by a pass in evaluation mode.

        Raises UsageError if the classifier does not read the embedding: such a network cannot be tapped.
        """
        training = self.training
        self.eval()
        outputs, direct = self(images), self.model(images)
        self.train(training)
        if outputs.embedding.dim() != 2 or not torch.allclose(outputs.logits, direct, rtol=1e-4, atol=1e-5):
            raise self._untappable()
        return Shapes(
            classes=outputs.logits.shape[1],
            embedding=outputs.embedding.shape[1],
            maps=tuple((m.shape[1], m.shape[2], m.shape[3]) for m in outputs.maps),
            pooled_map=tuple(outputs.pooled_map.shape[1:]),
            stem=self.stem,
        )
