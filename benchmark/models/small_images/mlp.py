"""The multilayer perceptrons of distillation's first experiment (Hinton, Vinyals & Dean 2014, arXiv:1503.02531,
section 3): 28 x 28 pixels, two hidden layers of rectified units.

The paper gives widths, dropout and constraints (those of Hinton et al. 2012, arXiv:1207.0580: half of the hidden units
and a fifth of the pixels dropped, the norm of each hidden unit's incoming weights bounded) and no initialisation; here
it is PyTorch's own. A dropped pixel is 0 after normalisation, the mean grey, where the paper's is black.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.models.small_images.small_image_network import SmallImageNetwork, register

SIZE = 28
WIDTHS = (30, 300, 800, 1200)


class MultilayerPerceptron(SmallImageNetwork):
    """Hidden layers on all pixels at once: each is a map of one pixel, the last one the embedding.

    hidden: units of each layer; drop_rate: dropout of hidden units, which the maps come before; input_drop_rate: of
    pixels.
    """

    def __init__(
        self,
        hidden: Sequence[int] = (800, 800),
        img_size: int = SIZE,
        in_chans: int = 1,
        num_classes: int = 10,
        input_drop_rate: float = 0.0,
        **head: Any,
    ) -> None:
        super().__init__()
        self.input_drop_rate = input_drop_rate
        widths = (in_chans * img_size**2, *hidden)
        self.hidden = nn.ModuleList(nn.Linear(ins, outs) for ins, outs in zip(widths, hidden, strict=False))
        maps = [(f"hidden.{i}", width, img_size) for i, width in enumerate(hidden)]
        self._add_head(maps, hidden[-1], num_classes, **head)

    def forward_maps(self, images: Tensor) -> Iterator[Tensor]:
        x = F.dropout(images.flatten(1), self.input_drop_rate, self.training)
        for i, layer in enumerate(self.hidden):
            x = layer(F.dropout(x, self.drop_rate, self.training) if i else x)
            hidden = F.relu(x[:, :, None, None])
            yield hidden
            x = hidden.flatten(1)


known = {"input_size": (1, SIZE, SIZE), "fixed_input_size": True, "num_classes": 10}
register("mlp", MultilayerPerceptron, first_conv="hidden.0", known=known)
for width in WIDTHS:
    register(f"mlp_{width}", MultilayerPerceptron, first_conv="hidden.0", known=known, hidden=(width, width))
