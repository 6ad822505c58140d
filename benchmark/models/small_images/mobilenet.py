"""MobileNetV2 (Sandler et al., CVPR 2018, arXiv:1801.04381) for 32 pixels, half width and expansion 6.

Strides, initialisation and maps as in RepDistiller@b84f547 (models/mobilenetv2.py). Maps are outputs of linear
bottlenecks, without a ReLU, and so may be negative. Unlike timm's, the first bottleneck has its 1 x 1 expansion
convolution though it expands by 1, and channels are not rounded to multiples of 8.
"""

from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn

from benchmark.models.small_images.initialisation import fan_out
from benchmark.models.small_images.small_image_network import SmallImageNetwork, register

# channels at width 1, blocks, stride of the first one
GROUPS = ((16, 1, 1), (24, 2, 1), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1))
TAPPED = (1, 2, 4, 6)
"""The groups whose outputs are maps: the last of each resolution."""
HEAD = 1280


def _convolution(ins: int, outs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(ins, outs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(outs), nn.ReLU()]


class LinearBottleneck(nn.Module):
    """Expand, filter each channel by itself, project; the input is added where shapes agree."""

    def __init__(self, ins: int, outs: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = ins * expansion
        expand, depthwise = _convolution(ins, wide), _convolution(wide, wide, 3, stride, groups=wide)
        project = _convolution(wide, outs)[:-1]
        self.conv = nn.Sequential(*expand, *depthwise, *project)
        self.adds = stride == 1 and ins == outs

    def forward(self, x: Tensor) -> Tensor:
        projected: Tensor = self.conv(x)
        return x + projected if self.adds else projected


class SmallMobileNetV2(SmallImageNetwork):
    """A stem of stride 2, seven groups of linear bottlenecks, a 1 x 1 convolution to 1,280 channels before pooling."""

    classifier_name = "classifier"

    def __init__(
        self,
        width: float = 0.5,
        expansion: int = 6,
        in_chans: int = 3,
        num_classes: int = 10,
        **head: Any,
    ) -> None:
        super().__init__()
        widths = [int(32 * width), *(int(channels * width) for channels, _, _ in GROUPS)]
        self.conv1 = nn.Sequential(*_convolution(in_chans, widths[0], 3, stride=2))
        self.blocks = nn.ModuleList()
        for i, (_, count, stride) in enumerate(GROUPS):
            ins, outs, factor = widths[i], widths[i + 1], expansion if i else 1
            group = [LinearBottleneck(ins, outs, stride, factor)]
            group += [LinearBottleneck(outs, outs, 1, factor) for _ in range(count - 1)]
            self.blocks.append(nn.Sequential(*group))
        pooled = int(HEAD * max(1, width))
        self.conv2 = nn.Sequential(*_convolution(widths[-1], pooled))
        tapped = zip(TAPPED, (2, 4, 8, 16), strict=True)
        maps = [("conv1", widths[0], 2), *((f"blocks.{i}", widths[i + 1], reduction) for i, reduction in tapped)]
        self._add_head(maps, pooled, num_classes, **head)
        fan_out(self, linear_std=0.01)

    def forward_maps(self, images: Tensor) -> Iterator[Tensor]:
        x = self.conv1(images)
        yield x
        for i, group in enumerate(self.blocks):
            x = group(x)
            if i in TAPPED:
                yield x

    def forward_final(self, last: Tensor) -> Tensor:
        pooled: Tensor = self.conv2(last)
        return pooled


register("cifar_mobilenetv2", SmallMobileNetV2, first_conv="conv1.0")
