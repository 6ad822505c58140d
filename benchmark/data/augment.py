"""Random crops and flips of resident images: one gather of pixel rows for a whole batch."""

import numpy as np
import torch
from torch import Tensor

from benchmark.spec import Recipe


class Padded:
    """Images with a border, on the device, of which crops at the images' own size are taken."""

    def __init__(self, pixels: Tensor, recipe: Recipe, device: torch.device) -> None:
        """pixels: uint8 [N, H, W, C], on the CPU. The border is black, as torchvision's RandomCrop has it by default,
        or the image reflected, its outermost pixels not repeated (padding_mode = "reflect").
        """
        border = recipe.crop_padding
        mode = "constant" if recipe.padding == "zero" else "reflect"
        around = ((0, 0), (border, border), (border, border), (0, 0))
        padded = torch.from_numpy(np.pad(pixels.numpy(), around, mode=mode)).to(device)  # type: ignore[call-overload]
        _, height, width, _ = pixels.shape
        self.pixels = padded[:, border : border + height, border : border + width]
        self._rows = padded.flatten(0, 2)
        self._height, self._width = padded.shape[1:3]
        self._y = torch.arange(height, device=device)
        self._x = torch.arange(width, device=device)

    def crops(self, index: Tensor, top: Tensor, left: Tensor, flip: Tensor) -> Tensor:
        """uint8 [B, H, W, C]: images `index` from the corner (`top`, `left`) on, mirrored where `flip`; all [B]."""
        y = top[:, None] + self._y
        x = left[:, None] + torch.where(flip[:, None] > 0, self._x.flip(0), self._x)
        pixel = (index[:, None] * self._height + y)[:, :, None] * self._width + x[:, None, :]
        return self._rows.index_select(0, pixel.flatten()).view(*pixel.shape, -1)  # indexing takes three times as long
