"""Relations within one image's map: between its channels, and where its positions are active.

Maps are [B, C, H, W]; everything is at least float32. Zero channels and zero maps give finite values and no gradient.
"""

from torch import Tensor

from methods.relations import maps_as_columns, normalize


def channel_products(one: Tensor, other: Tensor) -> Tensor:
    """[B, C, C'], inner products over positions of the channels of two maps of one size."""
    return maps_as_columns(one) @ maps_as_columns(other).mT


def attention(maps: Tensor, power: float = 2.0) -> Tensor:
    """[B, P], of unit length: the mean over channels of |F|^power at every position."""
    columns = maps_as_columns(maps)
    return normalize((columns.square() if power == 2 else columns.abs().pow(power)).mean(1))
