"""Images that stay on the device as uint8, and training batches that are a pure function of (seed, epoch, step)."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import torch
from torch import Tensor

from benchmark.data.images import Images
from benchmark.data.resize import check, check_memory, resized
from benchmark.spec import Recipe, derive_seed


class Normalised:
    """Labels on the device, and images made what a network reads."""

    def __init__(self, images: Images, recipe: Recipe, device: torch.device) -> None:
        check(images, recipe)
        self.recipe = recipe
        self.device = device
        self.labels = images.labels.to(device)
        std = torch.tensor(recipe.std, device=device)[:, None, None]
        self._scale = 1 / (255 * std)
        self._shift = torch.tensor(recipe.mean, device=device)[:, None, None] / std

    def __len__(self) -> int:
        return len(self.labels)

    def _part(self, step: int) -> slice:
        """Where a batch lies in its epoch."""
        return slice(step * self.recipe.batch_size, (step + 1) * self.recipe.batch_size)

    def normalise(self, pixels: Tensor) -> Tensor:
        """uint8 [B, H, W, C] to float32 [B, C, H, W], in the recipe's layout.

        A permuted grey image counts as contiguous in both layouts, and convolutions would take it for channels-last:
        only a copy, which the conversion is, has the strides of the other.
        """
        layout = torch.channels_last if self.recipe.channels_last else torch.contiguous_format
        images = pixels.permute(0, 3, 1, 2).to(torch.float32, memory_format=layout)
        return images.mul_(self._scale).sub_(self._shift)


class Padded:
    """Images with a border, on the device, of which crops at the images' own size are taken: one gather of pixel rows
    for a whole batch."""

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


class Resident(Normalised):
    """Images on the device, at the recipe's input size and number of channels."""

    def __init__(self, images: Images, recipe: Recipe, device: torch.device) -> None:
        super().__init__(images, recipe, device)
        check_memory(len(images), recipe, device)
        self.pixels = self._place(resized(images.pixels, recipe))

    def _place(self, pixels: Tensor) -> Tensor:
        return pixels.to(self.device)

    def batch(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Images [B, C, H, W], normalised and as they are, and labels [B], in order: for evaluation."""
        return self.normalise(self.pixels[start:stop]), self.labels[start:stop]


@dataclass(frozen=True)
class Views:
    """One epoch's order and augmentation, for every position in it: index [N], rows and columns of the crop's corner
    [N], flip [N]; second: makes the augmentation of a second view of the same images."""

    index: Tensor
    top: Tensor
    left: Tensor
    flip: Tensor
    second: Callable[[], tuple[Tensor, Tensor, Tensor]]


class TrainingSet(Resident):
    """Training images with room for crops, and the batches of an epoch."""

    def __init__(self, images: Images, recipe: Recipe, device: torch.device) -> None:
        super().__init__(images, recipe, device)
        self.steps = steps(len(self), recipe)

    def _place(self, pixels: Tensor) -> Tensor:
        self._padded = Padded(pixels, self.recipe, self.device)
        return self._padded.pixels

    def views(self, seed: int, epoch: int) -> Views:
        """What the batches of an epoch show, drawn on the CPU and therefore the same on every device."""
        generator = torch.Generator().manual_seed(derive_seed("views", seed, epoch))
        index = self._sent(torch.randperm(len(self), generator=generator))
        others = torch.Generator().manual_seed(derive_seed("second views", seed, epoch))
        return Views(index, *self._crops(generator), second=cache(partial(self._crops, others)))

    def _crops(self, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Rows and columns of the crops' corners, and flips, [N] each."""
        count, shifts = len(self), 2 * self.recipe.crop_padding + 1
        top, left = torch.randint(shifts, (2, count), generator=generator)
        flip = torch.randint(2, (count,), generator=generator) * self.recipe.flip
        return self._sent(top), self._sent(left), self._sent(flip)

    def _sent(self, drawn: Tensor) -> Tensor:
        """On the device; a GPU is not waited for."""
        return (
            drawn.pin_memory().to(self.device, non_blocking=True)
            if self.device.type == "cuda"
            else drawn.to(self.device)
        )

    def training_batch(self, views: Views, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """Images [B, C, H, W], labels [B] and positions in the training set [B]. Padded before they are normalised."""
        part = self._part(step)
        index = views.index[part]
        shown = self._padded.crops(index, views.top[part], views.left[part], views.flip[part])
        return self.normalise(shown), self.labels[index], index

    def second_view(self, views: Views, step: int) -> Tensor:
        """The images of a batch, [B, C, H, W], cropped and flipped once more."""
        part = self._part(step)
        top, left, flip = (drawn[part] for drawn in views.second())
        return self.normalise(self._padded.crops(views.index[part], top, left, flip))


def steps(images: int, recipe: Recipe) -> int:
    """Batches of an epoch; the last partial one counts if the recipe keeps it, or if it is the only one."""
    whole, rest = divmod(images, recipe.batch_size)
    return whole + (rest > 0 and (recipe.last_batch == "keep" or whole == 0))
