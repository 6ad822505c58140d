"""Relations within one image's map: between its channels, and where its positions are active.

Maps are [B, C, H, W]; everything is at least float32. Zero channels and zero maps give finite values and no gradient.
"""

from collections.abc import Iterable

from torch import Tensor

from methods.base import Task
from methods.relations import maps_as_columns, normalize


def channel_products(one: Tensor, other: Tensor) -> Tensor:
    """[B, C, C'], inner products over positions of the channels of two maps of one size."""
    return maps_as_columns(one) @ maps_as_columns(other).mT


def attention(maps: Tensor, power: float = 2.0) -> Tensor:
    """[B, P], of unit length: the mean over channels of |F|^power at every position."""
    columns = maps_as_columns(maps)
    return normalize((columns.square() if power == 2 else columns.abs().pow(power)).mean(1))


def lacks_positions(task: Task, pairs: Iterable[tuple[int, int]] | None = None) -> str | None:
    """A reason for `Method.unsupported` where each of the pairs (map of the student, map of the teacher), by default
    `Task.map_pairs()`, has one of 1 x 1: a relation between positions is constant there, whatever was learnt."""
    if task.teacher is None:
        return None
    sizes = {min(task.student.maps[i][1:], task.teacher.maps[j][1:]) for i, j in pairs or task.map_pairs()}
    return "maps of 1x1 have no relation between positions" if sizes == {(1, 1)} else None
