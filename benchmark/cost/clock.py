"""The clock of measurements, and how pieces of work are timed beside each other."""

import math
import time
from collections.abc import Callable, Hashable, Mapping
from statistics import median
from typing import TypeVar

import torch

Name = TypeVar("Name", bound=Hashable)

ROUND_SECONDS = 0.05
"""Work shorter than this is repeated, so that the clock resolves it."""


class Clock:
    """Seconds since some moment. With one thread on a CPU, processor time of this process: the time that the work
    takes on an idle machine, whatever else is computing now. Otherwise, or where other processes share the work, the
    wall clock, the device having finished.
    """

    def __init__(self, device: torch.device, *, alone: bool = True) -> None:
        self.device = device
        self.processor = alone and device.type == "cpu" and torch.get_num_threads() == 1

    def now(self) -> float:
        """Seconds; waits for a GPU."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.process_time() if self.processor else time.perf_counter()

    def seconds(self, work: Callable[[], object]) -> float:
        """Of one call, the mean over as many calls as take ROUND_SECONDS."""
        start = self.now()
        work()
        more = math.ceil(ROUND_SECONDS / max(self.now() - start, 1e-6)) - 1
        for _ in range(more):
            work()
        return (self.now() - start) / (1 + more)


def interleaved(works: Mapping[Name, Callable[[], object]], rounds: int, clock: Clock) -> dict[Name, float]:
    """Median seconds of each piece of work, after one call that does not count; every round times each in turn, so that
    a slow moment of the machine meets all alike."""
    for work in works.values():
        work()
    seconds: dict[Name, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            seconds[name].append(clock.seconds(work))
    return {name: median(values) for name, values in seconds.items()}
