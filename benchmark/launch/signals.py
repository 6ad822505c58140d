"""Being asked to stop by a signal, and stopping at a step boundary. No torch here."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stop:
    """Whether to stop at the next step boundary: asked by a signal, or because time is up. `asked` is the signal's
    number, 0 if there was none.
    """

    def __init__(self) -> None:
        self.asked = 0

    def now(self, deadline: float | None) -> bool:
        return bool(self.asked) or (deadline is not None and time.time() >= deadline)


class Evicted(BaseException):
    """No step boundary came in time after a stop was asked for. Not an error of the run that is under way."""


@contextmanager
def stop_signals(*numbers: signal.Signals, patience: float | None = None) -> Iterator[Stop]:
    """These signals ask for a stop at the next step boundary, where a checkpoint is written.

    With `patience` in seconds, `Evicted` is raised in the block if it has not ended by then: a kill follows the
    signal soon, and the newest checkpoint is gone on from.
    """
    stop = Stop()

    def ask(signum: int, frame: FrameType | None) -> None:
        stop.asked = signum
        if patience is not None:
            signal.setitimer(signal.ITIMER_REAL, patience)

    def evict(signum: int, frame: FrameType | None) -> None:
        raise Evicted

    handlers = {number: ask for number in numbers} | ({signal.SIGALRM: evict} if patience is not None else {})
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield stop
    finally:
        if patience is not None:
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, former in before.items():
            signal.signal(number, former)


def not_ignored(*numbers: signal.Signals) -> list[signal.Signals]:
    """Those that this process was not started to ignore, as nohup has it ignore the end of its terminal."""
    return [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]


@contextmanager
def held_back(*numbers: signal.Signals) -> Iterator[None]:
    """These signals wait until the block has ended, and then do what they would have done."""
    with stop_signals(*not_ignored(*numbers)) as stop:
        yield
    if stop.asked:
        signal.raise_signal(signal.Signals(stop.asked))
