"""The pairs of multi-head graph distillation (Lee & Song, BMVC 2019, arXiv:1907.02226); its wide ResNets are
`cifar_wrn_10_4` and `cifar_wrn_22_4`.

ResNet-8 and -32 as in sseung0703/KD_methods_with_TF@9fb5414 (nets/ResNet.py): the layers of `cifar_resnet8x4` and
`cifar_resnet32x4`, initialised as TensorFlow does. Deviation: TensorFlow pads a convolution of stride 2 on one side
alone, PyTorch on both.

VGG-7 and -16 as drawn on the authors' slides: five groups, taps after each pooling, hidden layers of 1,024 units. Their
code is not public; that they have no batch normalisation, one hidden layer in the student, two in the teacher, and
dropout of one half is taken from the same authors' earlier sseung0703/SSKD_SVD (nets/VGG.py, nets/VGG_teacher.py).
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.models.small_images.initialisation import variance_scaling
from benchmark.models.small_images.resnet import X4_WIDTHS, SmallResNet
from benchmark.models.small_images.small_image_network import SmallImageNetwork, register
from benchmark.models.small_images.vgg import CONVOLUTIONS, WIDTHS

HIDDEN = 1024


class HiddenLayerVgg(SmallImageNetwork):
    """Five blocks of 3 x 3 convolutions and ReLU, each pooled, then hidden layers and the classifier.

    Its maps are the pooled ones: at 32 pixels, the last is 1 x 1.
    """

    def __init__(
        self,
        convolutions: Sequence[int],
        hidden: int,
        in_chans: int = 3,
        num_classes: int = 10,
        drop_rate: float = 0.5,
        **head: Any,
    ) -> None:
        super().__init__()
        for i, (count, ins, outs) in enumerate(zip(convolutions, (in_chans, *WIDTHS), WIDTHS, strict=False)):
            layers = [nn.Conv2d(outs if j else ins, outs, 3, padding=1) for j in range(count)]
            self.add_module(f"block{i}", nn.ModuleList(layers))
        self.hidden = nn.ModuleList(nn.Linear(HIDDEN if i else WIDTHS[-1], HIDDEN) for i in range(hidden))
        maps = [(f"block{i}", width, 2 ** (i + 1)) for i, width in enumerate(WIDTHS)]
        self._add_head(maps, HIDDEN, num_classes, drop_rate=drop_rate, **head)
        self.num_features = WIDTHS[-1]
        variance_scaling(self, "fan_in")

    def forward_maps(self, images: Tensor) -> Iterator[Tensor]:
        x = images
        for i in range(len(WIDTHS)):
            *convolutions, last = self.get_submodule(f"block{i}").children()
            for convolution in convolutions:
                x = F.relu(convolution(x))
            x = F.relu(F.max_pool2d(last(x), 2))  # as well pooled after it, but then the map would be no ReLU's
            yield x

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Logits [B, K], or, with pre_logits, the last hidden layer [B, 1024]."""
        x = self.global_pool(x)
        for layer in self.hidden:
            x = F.dropout(F.relu(layer(x)), self.drop_rate, self.training)
        return x if pre_logits else self.get_classifier()(x)


for depth in (8, 32):
    blocks = (depth - 2) // 6
    register(f"cifar_mhgd_resnet{depth}", SmallResNet, blocks=blocks, widths=X4_WIDTHS, initialisation="tensorflow")
register("cifar_mhgd_vgg7", HiddenLayerVgg, first_conv="block0.0", convolutions=CONVOLUTIONS[8], hidden=1)
register("cifar_mhgd_vgg16", HiddenLayerVgg, first_conv="block0.0", convolutions=CONVOLUTIONS[16], hidden=2)
