"""ShuffleNet V1 (Zhang et al., CVPR 2018, arXiv:1707.01083; 3 groups) and V2 (Ma et al., ECCV 2018, arXiv:1807.11164;
width 1) for 32 pixels.

Channels, blocks and maps as in RepDistiller@b84f547 (models/ShuffleNetv1.py, models/ShuffleNetv2.py): a 1 x 1 stem of
24 channels, PyTorch's own initialisation, maps after the last ReLU of a stage. V2 has a convolution after the last map.
"""

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.models.small_images.small_image_network import SmallImageNetwork, register

STEM = 24
BLOCKS = (4, 8, 4)
"""Of the three stages, the first of each with stride 2."""
V1_WIDTHS = (240, 480, 960)
V2_WIDTHS = (116, 232, 464)
V2_HEAD = 1024


def _convolution(ins: int, outs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(ins, outs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outs))


class V1Block(nn.Module):
    """Grouped 1 x 1 convolution, shuffle, depthwise and grouped 1 x 1 convolution; with stride 2 the pooled input is
    appended to the result, else the input is added to it. The convolution that reads the stem is not grouped."""

    def __init__(self, ins: int, outs: int, stride: int, groups: int = 3) -> None:
        super().__init__()
        made = outs - ins if stride == 2 else outs
        middle = made // 4
        first = 1 if ins == STEM else groups
        self.reduce = _convolution(ins, middle, groups=first)
        self.shuffle = nn.ChannelShuffle(first)
        self.filter = _convolution(middle, middle, 3, stride, groups=middle)
        self.expand = _convolution(middle, made, groups=groups)
        self.appends = stride == 2

    def forward(self, x: Tensor) -> Tensor:
        out = self.shuffle(F.relu(self.reduce(x)))
        out = self.expand(F.relu(self.filter(out)))
        if self.appends:
            return F.relu(torch.cat([out, F.avg_pool2d(x, 3, 2, 1)], 1))
        return F.relu(out + x)


class V2Block(nn.Module):
    """One half of the channels passes through three convolutions, the other stays; then both are shuffled. The last
    ReLU, which leaves the half that stays as it is, comes behind all that."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.expand = _convolution(half, half)
        self.filter = _convolution(half, half, 3, groups=half)
        self.project = _convolution(half, half)
        self.shuffle = nn.ChannelShuffle(2)

    def forward(self, x: Tensor) -> Tensor:
        kept, changed = x.chunk(2, 1)
        changed = self.project(self.filter(F.relu(self.expand(changed))))
        return F.relu(self.shuffle(torch.cat([kept, changed], 1)))


class V2DownBlock(nn.Module):
    """Both branches read all channels and halve the resolution."""

    def __init__(self, ins: int, outs: int) -> None:
        super().__init__()
        half = outs // 2
        self.left_filter = _convolution(ins, ins, 3, 2, groups=ins)
        self.left_project = _convolution(ins, half)
        self.expand = _convolution(ins, half)
        self.filter = _convolution(half, half, 3, 2, groups=half)
        self.project = _convolution(half, half)
        self.shuffle = nn.ChannelShuffle(2)

    def forward(self, x: Tensor) -> Tensor:
        left = self.left_project(self.left_filter(x))
        right = self.project(self.filter(F.relu(self.expand(x))))
        return F.relu(self.shuffle(torch.cat([left, right], 1)))


class _ShuffleNet(SmallImageNetwork):
    """The stem and three stages that both versions have."""

    classifier_name = "linear"

    def __init__(self, stages: list[nn.Module], in_chans: int) -> None:
        super().__init__()
        self.stem = _convolution(in_chans, STEM)
        self.stages = nn.ModuleList(stages)

    def forward_maps(self, images: Tensor) -> Iterator[Tensor]:
        x = F.relu(self.stem(images))
        yield x
        for stage in self.stages:
            x = stage(x)
            yield x


def _maps(widths: tuple[int, ...]) -> list[tuple[str, int, int]]:
    return [("stem", STEM, 1), *((f"stages.{i}", width, 2 ** (i + 1)) for i, width in enumerate(widths))]


class SmallShuffleNetV1(_ShuffleNet):
    """240, 480 and 960 channels in 3 groups."""

    def __init__(self, in_chans: int = 3, num_classes: int = 10, **head: Any) -> None:
        stages: list[nn.Module] = []
        for ins, outs, count in zip((STEM, *V1_WIDTHS), V1_WIDTHS, BLOCKS, strict=False):
            blocks = [V1Block(ins, outs, 2), *(V1Block(outs, outs, 1) for _ in range(count - 1))]
            stages.append(nn.Sequential(*blocks))
        super().__init__(stages, in_chans)
        self._add_head(_maps(V1_WIDTHS), V1_WIDTHS[-1], num_classes, **head)


class SmallShuffleNetV2(_ShuffleNet):
    """116, 232 and 464 channels, and a 1 x 1 convolution to 1,024 before pooling."""

    def __init__(self, in_chans: int = 3, num_classes: int = 10, **head: Any) -> None:
        stages: list[nn.Module] = []
        for ins, outs, count in zip((STEM, *V2_WIDTHS), V2_WIDTHS, BLOCKS, strict=False):
            stages.append(nn.Sequential(V2DownBlock(ins, outs), *(V2Block(outs) for _ in range(count - 1))))
        super().__init__(stages, in_chans)
        self.final = _convolution(V2_WIDTHS[-1], V2_HEAD)
        self._add_head(_maps(V2_WIDTHS), V2_HEAD, num_classes, **head)

    def forward_final(self, last: Tensor) -> Tensor:
        return F.relu(self.final(last))


register("cifar_shufflenetv1", SmallShuffleNetV1, first_conv="stem.0")
register("cifar_shufflenetv2", SmallShuffleNetV2, first_conv="stem.0")
