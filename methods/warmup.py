"""A weight that rises over the first epochs."""

import torch
from torch import Tensor

from methods.relations import wide

SCHEDULE = 240
"""Epochs of the published protocol, in which warm-ups are given."""


def ramp(epoch: Tensor, warmup: float, epochs: int) -> Tensor:
    """[], in float64: from 1 / n in epoch 0 to 1 in epoch n - 1, and so on to the end; n is as large a share of
    `epochs` as `warmup` is of the published schedule's, so that it ends in short schedules too. 1 without a warm-up."""
    wide_epoch = wide(epoch)
    return ((wide_epoch + 1) * SCHEDULE / (warmup * epochs)).clamp(max=1) if warmup else torch.ones_like(wide_epoch)
