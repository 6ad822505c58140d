"""Images that are read and decoded for every batch, where they do not fit on the device: ImageNet's protocol.

timm's transforms and collation, torch's loader, and batches that are a pure function of (seed, epoch, step) all the
same: each image's crop and flip are drawn from a state of its own.
"""

import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
import torch.utils.data
from PIL import Image
from torch import Tensor

from benchmark.data.images import Encoded, Images
from benchmark.data.resident import Normalised, steps
from benchmark.data.resize import resized
from benchmark.ground.libraries import timm
from benchmark.spec import Recipe, derive_seed


class Streamed(Normalised):
    """Encoded images, brought to the recipe's size when they are asked for."""

    def __init__(self, images: Images, recipe: Recipe, device: torch.device) -> None:
        super().__init__(images, recipe, device)
        assert isinstance(images.pixels, Encoded)
        self.encoded = images.pixels

    def batch(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Images [B, C, H, W], normalised, resized and cropped at the centre, and labels [B], in order."""
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            positions = np.arange(len(self))[start:stop]
            shown = list(
                pool.map(lambda position: resized(self.encoded.take(np.array([position])), self.recipe), positions)
            )
        return self.normalise(torch.cat(shown).to(self.device)), self.labels[start:stop]


@dataclass(frozen=True, eq=False)
class StreamedViews:
    """One epoch's order, and what each place's crop and flip are drawn from, in the first view and in the second; all
    [N], on the CPU."""

    index: Tensor
    seeds: tuple[Tensor, Tensor]


class StreamedTrainingSet(Streamed):
    """The batches of an epoch: RandomResizedCrop and flip.

    Worker processes, one fewer than there are threads, are some batches ahead; without any, batches are decoded when
    they are asked for. Batches are asked for in order; one out of order is made as well, without the lead.
    """

    def __init__(self, images: Images, recipe: Recipe, device: torch.device) -> None:
        super().__init__(images, recipe, device)
        self.steps = steps(len(self), recipe)
        self._augmented = _Augmented(self.encoded, recipe)
        self._ahead: list[Iterator[Tensor]] = [iter(()), iter(())]
        self._next: list[tuple[StreamedViews | None, int]] = [(None, 0)] * 2

    def views(self, seed: int, epoch: int) -> StreamedViews:
        """What the batches of an epoch show."""
        generator = torch.Generator().manual_seed(derive_seed("views", seed, epoch))
        index = torch.randperm(len(self), generator=generator)
        others = torch.Generator().manual_seed(derive_seed("second views", seed, epoch))
        first, second = (torch.randint(2**63 - 1, (len(self),), generator=each) for each in (generator, others))
        return StreamedViews(index, (first, second))

    def training_batch(self, views: StreamedViews, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """Images [B, C, H, W], labels [B] and positions in the training set [B]."""
        index = views.index[self._part(step)].to(self.device)
        return self._view(0, views, step), self.labels[index], index

    def second_view(self, views: StreamedViews, step: int) -> Tensor:
        """The images of a batch, [B, C, H, W], cropped and flipped once more."""
        return self._view(1, views, step)

    def _view(self, which: int, views: StreamedViews, step: int) -> Tensor:
        if self._next[which] != (views, step):
            self._ahead[which] = self._from(views.index, views.seeds[which], step)
        shown = next(self._ahead[which]).to(self.device, non_blocking=True)
        self._next[which] = views, step + 1
        return self.normalise(shown.permute(0, 2, 3, 1))

    def _from(self, index: Tensor, seeds: Tensor, first: int) -> Iterator[Tensor]:
        """uint8 [B, C, H, W] of a step and those after it."""
        parts = (self._part(step) for step in range(first, self.steps))
        loader = torch.utils.data.DataLoader(
            self._augmented,
            batch_sampler=(list(zip(index[p].tolist(), seeds[p].tolist(), strict=True)) for p in parts),
            num_workers=torch.get_num_threads() - 1,
            collate_fn=_collate,
            pin_memory=self.device.type == "cuda",
            generator=torch.Generator(),  # or it would draw from the state that dropout is drawn from
        )
        return (images for images, _ in loader)


def _collate(images: list[tuple[np.ndarray, int]]) -> tuple[Tensor, Tensor]:
    stacked: tuple[Tensor, Tensor] = timm.data.loader.fast_collate(images)
    return stacked


class _Augmented(torch.utils.data.Dataset[Any]):
    """Training images by (position, seed), cropped and flipped from that seed: uint8 [C, S, S]."""

    def __init__(self, encoded: Encoded, recipe: Recipe) -> None:
        self.encoded, self.recipe = encoded, recipe
        self.mode = "L" if recipe.channels == 1 else "RGB"

    @cached_property
    def augment(self) -> Callable[[Image.Image], np.ndarray]:
        """Made where it is used: a process that starts afresh could not unpickle timm's before it has imported timm."""
        recipe = self.recipe
        transform: Callable[[Image.Image], np.ndarray] = timm.data.create_transform(
            (recipe.channels, recipe.input_size, recipe.input_size),
            is_training=True,
            scale=recipe.crop_scale,
            hflip=0.5 if recipe.flip else 0.0,
            color_jitter=None,
            interpolation="bilinear",
            use_prefetcher=True,  # leaves pixels as they are
        )
        return transform

    def __getitem__(self, key: tuple[int, int]) -> tuple[np.ndarray, int]:
        position, seed = key
        pixels = self.encoded[position]
        image = Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[..., 0]).convert(self.mode)
        with _random_state(seed):
            return self.augment(image), 0


@contextmanager
def _random_state(seed: int) -> Iterator[None]:
    """timm draws from Python's generator, torchvision from torch's; both are as they were afterwards."""
    before = random.getstate()
    random.seed(seed)
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        yield
    random.setstate(before)
