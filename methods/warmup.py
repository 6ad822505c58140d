"""A weight that rises over the first epochs."""

SCHEDULE = 240
"""Epochs of the published protocol, in which warm-ups are given."""


def ramp(epoch: int, warmup: float, epochs: int) -> float:
    """From 1 / n in epoch 0 to 1 in epoch n - 1, and so on to the end; n is as large a share of `epochs` as `warmup` is
    of the published schedule's, so that it ends in short schedules too. 1 without a warm-up."""
    return min((epoch + 1) * SCHEDULE / (warmup * epochs), 1.0) if warmup else 1.0
