"""The clock of measurements."""

import math
import time
from collections.abc import Callable
from typing import TypeVar

import torch

T = TypeVar("T")

ROUND_SECONDS = 0.05
"""Work shorter than this is repeated, so that the clock resolves it."""


class Clock:
    """Seconds since some moment. With one thread on a CPU, processor time of this process: the time that the work
    takes on an idle machine, whoever else is computing now. Otherwise, or where other processes share the work, the
    wall clock, the device having finished.
    """

    def __init__(self, device: torch.device, *, alone: bool = True) -> None:
        self.device = device
        self.processor = alone and device.type == "cpu" and torch.get_num_threads() == 1

    def now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.process_time() if self.processor else time.perf_counter()

    def seconds(self, work: Callable[[], T]) -> tuple[float, T]:
        """Of one call, the mean over as many calls as take ROUND_SECONDS; and what the first one returned."""
        start = self.now()
        result = work()
        more = math.ceil(ROUND_SECONDS / max(self.now() - start, 1e-6)) - 1
        for _ in range(more):
            work()
        return (self.now() - start) / (1 + more), result
