"""What the small-image networks share: timm's interface to a network, and how they are registered with timm."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch.nn.functional as F
from timm.layers import create_classifier
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from timm.models._features import feature_take_indices
from torch import Tensor, nn

SIZE = 32
"""The networks are published for images of this many pixels; they take larger ones and most smaller ones too."""

default_cfgs: dict[str, Any] = {}
"""Where timm looks for what it knows of each network."""


class SmallImageNetwork(nn.Module):
    """A stem, stages whose outputs are the maps, global pooling and a linear classifier.

    A subclass builds its modules, calls `_add_head`, and gives the maps in `forward_maps`; what it computes between
    the last map and pooling goes into `forward_final`.
    """

    global_pool: nn.Module
    classifier_name = "fc"
    """The published code's name of the classifier, so that published weights fit."""

    def _add_head(
        self,
        maps: Sequence[tuple[str, int, int]],
        num_features: int,
        num_classes: int,
        global_pool: str = "avg",
        drop_rate: float = 0.0,
    ) -> None:
        """maps: module, channels and reduction of each; num_features: channels that are pooled; drop_rate: dropout
        before the classifier."""
        self.feature_info = [{"module": module, "num_chs": c, "reduction": r} for module, c, r in maps]
        self.num_features = self.head_hidden_size = num_features
        self.drop_rate = drop_rate
        self.reset_classifier(num_classes, global_pool)

    def get_classifier(self) -> nn.Module:
        return self.get_submodule(self.classifier_name)

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """A new classifier, none for 0 classes; global_pool: its kind, '' for none, None for no change."""
        self.num_classes = num_classes
        kind = str(self.global_pool.pool_type) if global_pool is None else global_pool
        self.global_pool, classifier = create_classifier(self.head_hidden_size, num_classes, pool_type=kind)
        setattr(self, self.classifier_name, classifier)

    def forward_maps(self, images: Tensor) -> Iterator[Tensor]:
        """The maps [B, C, H, W] of images [B, C, H, W], front to back."""
        raise NotImplementedError(f"{type(self).__name__} does not define forward_maps")

    def forward_final(self, last: Tensor) -> Tensor:
        """The input of pooling, from the last map."""
        return last

    def forward_intermediates(
        self,
        x: Tensor,
        indices: int | list[int] | None = None,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
    ) -> Any:
        """The input of pooling and the maps, as timm's networks give them; maps are never normed."""
        if output_fmt != "NCHW":
            raise ValueError(f"output_fmt {output_fmt!r} is not NCHW")
        wanted, deepest = feature_take_indices(len(self.feature_info), indices)
        maps, last = [], x
        for index, last in enumerate(self.forward_maps(x)):
            if index in wanted:
                maps.append(last)
            if stop_early and index == deepest:
                break
        return maps if intermediates_only else (self.forward_final(last), maps)

    def forward_features(self, x: Tensor) -> Tensor:
        """The input of pooling [B, C, H, W]."""
        *_, last = self.forward_maps(x)
        return self.forward_final(last)

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Logits [B, K] of the input of pooling, or, with pre_logits, what the classifier reads [B, D]."""
        x = F.dropout(self.global_pool(x), self.drop_rate, self.training)
        return x if pre_logits else self.get_classifier()(x)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [B, K]."""
        return self.forward_head(self.forward_features(x))


def register(
    name: str, network: type[nn.Module], first_conv: str = "conv1", known: Mapping[str, Any] = {}, **defaults: Any
) -> None:
    """Make `timm.create_model(name)` build this network with these options unless others are given; known: what timm
    knows of it beside the usual."""

    def entry(pretrained: bool = False, **options: Any) -> nn.Module:
        model: nn.Module = build_model_with_cfg(network, name, pretrained, **{**defaults, **options})
        return model

    entry.__name__ = entry.__qualname__ = name
    classifier = getattr(network, "classifier_name", "fc")
    usual = {"input_size": (3, SIZE, SIZE), "first_conv": first_conv, "classifier": classifier, "num_classes": 100}
    default_cfgs.update(generate_default_cfgs({name: {**usual, **known}}))
    register_model(entry)
