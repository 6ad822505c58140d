"""Tasks to build methods for."""

import torch

from methods.base import Shapes, Task

OWN = ["fitnet", "fitnet_two_stage", "gkd", "kd", "mhgd", "rkd_a", "rkd_d", "rkd_da", "sp", "student"]
STAGES = ((4, 8, 8), (6, 4, 4), (8, 2, 2))
SHAPES = Shapes(10, 8, STAGES, STAGES[-1])


def task(student: Shapes = SHAPES, teacher: Shapes | None = SHAPES) -> Task:
    return Task(student, teacher, torch.arange(6) % 3, epochs=1)


def shapes(*sizes: int, classes: int = 10) -> Shapes:
    maps = tuple((4, size, size) for size in sizes)
    return Shapes(classes, 4, maps, maps[-1])
