"""Wide residual networks, WRN-d-w (Zagoruyko & Komodakis, BMVC 2016, arXiv:1605.07146), with pre-activation blocks.

Initialisation and maps as in RepDistiller@b84f547 (models/wrn.py): maps are the raw sums of the stages, before batch
normalisation and ReLU, and so may be negative; both come before pooling, and so the embedding may not.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.models.small_images.initialisation import fan_out
from benchmark.models.small_images.small_image_network import SmallImageNetwork, register

PUBLISHED = ((10, 4), (16, 1), (16, 2), (16, 4), (16, 8), (22, 4), (28, 10), (40, 1), (40, 2), (40, 4))
"""Depths and widths in tables of the distillation literature."""


class PreActivationBlock(nn.Module):
    """Twice batch normalisation, ReLU, 3 x 3 convolution. Where the width changes, the shortcut is a convolution of
    what the first ReLU gives."""

    def __init__(self, ins: int, outs: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(ins)
        self.conv1 = nn.Conv2d(ins, outs, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outs)
        self.conv2 = nn.Conv2d(outs, outs, 3, padding=1, bias=False)
        self.convShortcut = nn.Conv2d(ins, outs, 1, stride, bias=False) if ins != outs else None

    def forward(self, x: Tensor) -> Tensor:
        activated = F.relu(self.bn1(x))
        shortcut = x if self.convShortcut is None else self.convShortcut(activated)
        residual: Tensor = self.conv2(F.relu(self.bn2(self.conv1(activated))))
        return shortcut + residual


class WideResNet(SmallImageNetwork):
    """A 3 x 3 stem of 16 channels, then three stages of (depth - 4) / 6 blocks and `width` x 16, 32, 64 channels."""

    def __init__(self, depth: int = 16, width: int = 1, in_chans: int = 3, num_classes: int = 10, **head: Any) -> None:
        super().__init__()
        if depth < 10 or depth % 6 != 4:
            raise ValueError(f"depth = {depth} is not 6n + 4, such as 10, 16, 22, 28 or 40")
        widths = (16, 16 * width, 32 * width, 64 * width)
        self.conv1 = nn.Conv2d(in_chans, 16, 3, padding=1, bias=False)
        for stage in (1, 2, 3):
            ins, outs, stride = widths[stage - 1], widths[stage], 1 if stage == 1 else 2
            blocks = [PreActivationBlock(ins, outs, stride)]
            blocks += [PreActivationBlock(outs, outs, 1) for _ in range((depth - 4) // 6 - 1)]
            self.add_module(f"block{stage}", nn.Sequential(OrderedDict(layer=nn.Sequential(*blocks))))
        self.bn1 = nn.BatchNorm2d(widths[-1])
        maps = tuple(zip(("conv1", "block1", "block2", "block3"), widths, (1, 1, 2, 4), strict=True))
        self._add_head(maps, widths[-1], num_classes, **head)
        fan_out(self, zero_bias=True)

    def forward_maps(self, images: Tensor) -> Iterator[Tensor]:
        x = self.conv1(images)
        yield x
        for stage in (1, 2, 3):
            x = self.get_submodule(f"block{stage}")(x)
            yield x

    def preactivations(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """The stages' sums as the next block, or the end, normalises them before its ReLU, and the stem's map as it is
        (RepDistiller's `preact`). Running statistics do not change."""
        norms = [self.get_submodule(name) for name in ("block2.layer.0.bn1", "block3.layer.0.bn1", "bn1")]
        return [maps[0], *(_normalised(m, norm) for m, norm in zip(maps[1:], norms, strict=True))]

    def forward_final(self, last: Tensor) -> Tensor:
        return F.relu(self.bn1(last))


def _normalised(x: Tensor, norm: nn.Module) -> Tensor:
    assert isinstance(norm, nn.BatchNorm2d)
    statistics = (None, None) if norm.training else (norm.running_mean, norm.running_var)
    return F.batch_norm(x, *statistics, norm.weight, norm.bias, norm.training, eps=norm.eps)


register("cifar_wrn", WideResNet)
for depth, width in PUBLISHED:
    register(f"cifar_wrn_{depth}_{width}", WideResNet, depth=depth, width=width)
