"""The feature tap: logits, embedding and maps of any timm model, in one pass and without hooks."""

import re

import torch
from torch import Tensor, nn

from benchmark.errors import UsageError
from methods.base import Outputs, Shapes

STEM = re.compile(r"(stem|conv|bn|act|norm|features\.(conv|norm))\w*")
"""How timm names the module of a first map that comes before the first block."""


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
        """What reads the embedding. UsageError for several (distilled transformers) or one that reads maps."""
        classifier = self.model.get_classifier()  # type: ignore[operator]
        if not isinstance(classifier, nn.Module) or isinstance(classifier, nn.Conv2d):
            raise self._untappable()
        return classifier

    def _untappable(self) -> UsageError:
        return UsageError(f"{type(self.model).__name__}: its classifier does not read one vector per image")

    def forward(self, images: Tensor) -> Outputs:
        """Outputs of images [B, C, H, W].

        Where the last features are not a [B, C, H, W] map (tokens, channels-last networks), the last map stands in for
        the input of pooling.
        """
        last, maps = self.model.forward_intermediates(images, output_fmt="NCHW")  # type: ignore[operator]
        embedding = self.model.forward_head(last, pre_logits=True)  # type: ignore[operator]
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
