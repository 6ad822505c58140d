"""Work that a device is given again and again: recorded once, replayed from then on.

What Python computes while work is recorded (numbers, branches, lists) is a constant from then on; what is to differ
between replays is in tensors, which are written before. Nothing recorded may wait for the device, and nothing may put a
new tensor where the work began from another.
"""

import os
import warnings
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, ClassVar, Protocol, TypeVar

import torch

from benchmark.ground.errors import one_line

T = TypeVar("T")


class NotCapturableError(RuntimeError):
    """Why a piece of work cannot be recorded."""


class Graph(Protocol):
    """Recorded work."""

    tries: ClassVar[int]
    """How often work is done as written before it is recorded."""

    def __init__(self, beside: Any) -> None:
        """beside: recorded work with which memory is shared, as both are never under way at once."""

    @staticmethod
    def as_written(work: Callable[[], T]) -> tuple[T, str]:
        """Do work as it is done before it is recorded; what it gave, and why it cannot be recorded, if it cannot."""

    def record(self, work: Callable[[], T]) -> T:
        """Do work and note it; what it gives are tensors that every replay writes anew. Raises RuntimeError if it
        cannot be noted."""

    def replay(self) -> None:
        """Do it again."""


@cache
def aside() -> torch.cuda.Stream:
    """The stream that work is recorded on."""
    return torch.cuda.Stream()


class CudaGraph:
    """A CUDA graph. torch wants three calls beside the main stream first, which make what libraries need once."""

    tries: ClassVar[int] = 3

    def __init__(self, beside: Any) -> None:
        self._graph = torch.cuda.CUDAGraph()
        self._pool = beside._graph.pool() if beside else None

    @staticmethod
    def as_written(work: Callable[[], T]) -> tuple[T, str]:
        here = torch.cuda.current_stream()
        aside().wait_stream(here)
        with torch.cuda.stream(aside()), waits() as found:
            result = work()
        here.wait_stream(aside())
        return result, next(iter(found), "")

    def record(self, work: Callable[[], T]) -> T:
        recording = torch.cuda.graph(self._graph, self._pool, aside(), capture_error_mode="thread_local")
        with torch.cuda.stream(aside()), recording:  # the former, since the latter keeps its stream where it fails
            result = work()
        self._graph.replay()  # recording computes nothing
        return result

    def replay(self) -> None:
        self._graph.replay()


@contextmanager
def waits() -> Iterator[list[str]]:
    """What torch says of waits for the device within. An attempt to record them would leave CUDA in disorder."""
    found: list[str] = []
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        before = torch.cuda.get_sync_debug_mode()
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield found
        finally:
            torch.cuda.set_sync_debug_mode(before)
    for each in said:
        text = str(each.message)
        if "synchronizing CUDA operation" in text:
            found.append(f"it waits for the device at {each.filename}:{each.lineno}")
        elif "Synchronization debug mode" not in text:  # torch's word that it does not see all
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)


GRAPHS: dict[str, type[Graph]] = {} if os.environ.get("RELATIONAL_DISTILLATION_EAGER") else {"cuda": CudaGraph}
"""By type of device. On another, and with this variable set, all work is done as it is written."""


class Recorder:
    """Does work by its key: a few times as written, then recorded, then replayed. One piece after another, all of a
    step before the next step, so that the graphs share memory."""

    def __init__(self, graph: type[Graph]) -> None:
        self._graph = graph
        self._tries: Counter[Hashable] = Counter()
        self._refused: dict[Hashable, str] = {}
        self._recorded: dict[Hashable, tuple[Graph, Any]] = {}

    def __call__(self, key: Hashable, work: Callable[[], T]) -> T:
        """What the work gave: of recorded work always the same tensors. Raises NotCapturableError where it cannot be
        recorded; it is then not done."""
        if key in self._recorded:
            graph, result = self._recorded[key]
            graph.replay()
            return result
        self._tries[key] += 1
        if self._tries[key] <= self._graph.tries:
            result, self._refused[key] = self._graph.as_written(work)  # the last one counts: the first makes things
            return result
        if self._refused[key]:
            raise NotCapturableError(self._refused[key])
        beside = next((graph for graph, _ in self._recorded.values()), None)
        graph = self._graph(beside)
        try:
            result = graph.record(work)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            first = error.__context__ or error  # after an error torch fails to end the recording too
            raise NotCapturableError(one_line(first if isinstance(first, Exception) else error)) from error
        self._recorded[key] = graph, result
        return result

    def has(self, key: Hashable) -> bool:
        """Whether work of this key is replayed from now on."""
        return key in self._recorded
