"""Residual networks for small images: the CIFAR ResNets, ResNet-50 for 32 pixels, and graph distillation's wide ones.

He et al. (CVPR 2016, arXiv:1512.03385); widths, initialisation and maps as in RepDistiller@b84f547 (models/resnet.py,
models/resnetv2.py) and cadurosar/graph_kd@a8cfe5e (models/preact_resnet.py). All maps come after a ReLU.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from timm.models.resnet import BasicBlock, Bottleneck, ResNet, make_blocks
from torch import Tensor, nn

from benchmark.models.small_images.initialisation import fan_out, variance_scaling
from benchmark.models.small_images.small_image_network import SmallImageNetwork, register

STAGES = ("layer1", "layer2", "layer3")
X4_WIDTHS = (32, 64, 128, 256)
REDUCTIONS = (1, 1, 2, 4)
"""Of the stem and the stages."""


class SmallResNet(SmallImageNetwork):
    """A 3 x 3 stem and three stages of basic blocks, the shortcuts projected by a convolution where shapes change.

    blocks: of each stage; widths: of the stem and the stages; initialisation: published fan-out, PyTorch's own, or
    TensorFlow's fan-out with the classifier included.
    """

    def __init__(
        self,
        blocks: int,
        widths: Sequence[int],
        initialisation: Literal["fan_out", "torch", "tensorflow"] = "fan_out",
        in_chans: int = 3,
        num_classes: int = 10,
        drop_path_rate: float = 0.0,
        **head: Any,
    ) -> None:
        super().__init__()
        stem, *stages = widths
        self.conv1 = nn.Conv2d(in_chans, stem, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(stem)
        self.act1 = nn.ReLU()
        made, _ = make_blocks((BasicBlock,) * 3, tuple(stages), (blocks,) * 3, stem, drop_path_rate=drop_path_rate)
        for name, stage in made:
            self.add_module(name, stage)
        maps = tuple(zip(("act1", *STAGES), widths, REDUCTIONS, strict=True))
        self._add_head(maps, stages[-1], num_classes, **head)
        if initialisation == "fan_out":
            fan_out(self)
        elif initialisation == "tensorflow":
            variance_scaling(self, "fan_out")

    def forward_maps(self, images: Tensor) -> Iterator[Tensor]:
        x = self.act1(self.bn1(self.conv1(images)))
        yield x
        for name in STAGES:
            x = self.get_submodule(name)(x)
            yield x


class GraphDistillationWideResNet(SmallResNet):
    """Depth 6n + 4 with n blocks a stage, `width` x 16, 32 and 64 channels after a stem of 16.

    Its authors' class is called PreActWideResNet; its blocks are post-activation ones nevertheless.
    """

    def __init__(self, depth: int = 28, width: float = 1, **others: Any) -> None:
        if depth < 10 or depth % 6 != 4:
            raise ValueError(f"depth = {depth} is not 6n + 4, such as 10, 16, 22 or 28")
        widths = (16, *(int(channels * width) for channels in (16, 32, 64)))
        super().__init__((depth - 4) // 6, widths, initialisation="torch", **others)


class SmallResNet50(ResNet):
    """timm's ResNet-50 with a 3 x 3 stem of stride 1 and no pooling after it; no block starts as the identity."""

    def __init__(self, in_chans: int = 3, **options: Any) -> None:
        block: Any = Bottleneck
        super().__init__(block, (3, 4, 6, 3), in_chans=in_chans, zero_init_last=False, **options)
        self.conv1 = nn.Conv2d(in_chans, 64, 3, padding=1, bias=False)  # type: ignore[assignment]
        self.maxpool = nn.Identity()  # type: ignore[assignment]
        self.feature_info = [{**info, "reduction": 2 ** max(0, i - 1)} for i, info in enumerate(self.feature_info)]
        fan_out(self)


for depth in (8, 14, 20, 32, 44, 56, 110):
    register(f"cifar_resnet{depth}", SmallResNet, blocks=(depth - 2) // 6, widths=(16, 16, 32, 64))
for depth in (8, 32):
    register(f"cifar_resnet{depth}x4", SmallResNet, blocks=(depth - 2) // 6, widths=X4_WIDTHS)
register("cifar_resnet50", SmallResNet50)
register("cifar_gkd_wrn", GraphDistillationWideResNet)
for name, width in (("1", 1), ("0p5", 0.5), ("10", 10)):
    register(f"cifar_gkd_wrn_28_{name}", GraphDistillationWideResNet, depth=28, width=width)
