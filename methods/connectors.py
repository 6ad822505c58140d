"""What bridges two networks' maps: averages of another size or width, and layers that take maps and batches of one."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def pooled(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """[B, C, H, W] averaged to [B, C, *size], as adaptive average pooling does it; by matrix products, whose gradient
    is the same in every run on a GPU too."""
    height, width = maps.shape[2:]
    if height != size[0]:
        maps = shares(height, size[0], maps) @ maps
    return maps if width == size[1] else maps @ shares(width, size[1], maps).T


def of_one_size(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Both maps, the higher one averaged to the other's size."""
    if one.shape[2] > other.shape[2]:
        return pooled(one, (other.shape[2], other.shape[3])), other
    return one, pooled(other, (one.shape[2], one.shape[3]))


def channels_pooled(maps: Tensor, channels: int) -> Tensor:
    """[B, C, H, W] with neighbouring channels averaged to `channels`, if there are more."""
    if maps.shape[1] <= channels:
        return maps
    return (shares(maps.shape[1], channels, maps) @ maps.flatten(2)).unflatten(2, maps.shape[2:])


def shares(inputs: int, outputs: int, like: Tensor) -> Tensor:
    """[outputs, inputs]: how much of each input is in each mean, i n / m to (i + 1) n / m, rounded outwards."""
    return _shares(inputs, outputs, like.dtype, like.device)


@cache
def _shares(inputs: int, outputs: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Kept, since to make it takes as many kernels as a small method."""
    i, position = (torch.arange(n, device=device) for n in (outputs, inputs))
    first, behind = i * inputs // outputs, ((i + 1) * inputs + outputs - 1) // outputs
    taken = (position >= first[:, None]) & (position < behind[:, None])
    return taken.to(dtype) / taken.sum(1, keepdim=True)


class Conv2d(nn.Conv2d):
    """torch's, but a map of one position meets its middle weights alone, as a matrix: a CPU's convolution takes 5 to 20
    times as long for the same product."""

    def forward(self, x: Tensor) -> Tensor:
        middles = [size // 2 for size in self.kernel_size]
        if x.shape[2:] != (1, 1) or list(self.padding) != middles or self.groups > 1:
            return super().forward(x)
        weight = self.weight[:, :, middles[0], middles[1]]
        return F.linear(x.flatten(1), weight, self.bias)[:, :, None, None]


class BatchNorm(nn.BatchNorm2d):
    """torch's, but for a batch of a single value a channel: it has no statistics, and the running ones serve."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training and x.numel() == x.shape[1]:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return super().forward(x)


@contextmanager
def statistics_kept(module: nn.Module) -> Iterator[None]:
    """Within, running statistics of batch normalisation do not move: for the second pass of the same batch."""
    norms = [each for each in module.modules() if isinstance(each, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    yield
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
