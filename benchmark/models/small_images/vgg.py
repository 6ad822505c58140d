"""VGG (Simonyan & Zisserman, ICLR 2015, arXiv:1409.1556) for 32 pixels, with batch normalisation and one linear layer.

Convolutions per block, initialisation and maps as in RepDistiller@b84f547 (models/vgg.py). Maps come after the last
ReLU of a block, before its pooling; the first block counts as the stem, as in the published tables' methods.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.models.small_images.initialisation import fan_out
from benchmark.models.small_images.small_image_network import SmallImageNetwork, register

WIDTHS = (64, 128, 256, 512, 512)
CONVOLUTIONS = {
    8: (1, 1, 1, 1, 1),
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}
"""Of each block, by the number of layers that the networks are called after; VGG-8 has 6 of them."""

SMALLEST = 4
"""The last pooling is left out where the map has no more than this many pixels a side: at 32 pixels, as published."""


class SmallVgg(SmallImageNetwork):
    """Five blocks of 3 x 3 convolutions (with bias), batch normalisation and ReLU; max-pooling before each but the
    first. Published for 32 and 64 pixels."""

    classifier_name = "classifier"

    def __init__(self, convolutions: Sequence[int], in_chans: int = 3, num_classes: int = 10, **head: Any) -> None:
        super().__init__()
        for i, (count, ins, outs) in enumerate(zip(convolutions, (in_chans, *WIDTHS), WIDTHS, strict=False)):
            self.add_module(f"block{i}", _block(count, ins, outs))
        names = ("stem", "block1", "block2", "block3", "block4")
        self._add_head(tuple(zip(names, WIDTHS, (1, 2, 4, 8, 8), strict=True)), WIDTHS[-1], num_classes, **head)
        fan_out(self, linear_std=0.01)

    def forward_maps(self, images: Tensor) -> Iterator[Tensor]:
        x = images
        for i in range(len(WIDTHS)):
            last_of_small = i == len(WIDTHS) - 1 and x.shape[-1] <= SMALLEST
            if i > 0 and not last_of_small:
                x = F.max_pool2d(x, 2)
            x = self.get_submodule(f"block{i}")(x)
            yield x


def _block(count: int, ins: int, outs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for i in range(count):
        layers += [nn.Conv2d(outs if i else ins, outs, 3, padding=1), nn.BatchNorm2d(outs), nn.ReLU()]
    return nn.Sequential(*layers)


for layers, convolutions in CONVOLUTIONS.items():
    register(f"cifar_vgg{layers}", SmallVgg, first_conv="block0.0", convolutions=convolutions)
