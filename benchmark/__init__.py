"""Run relational knowledge-distillation methods on a grid of pairs, data sets and seeds."""

import os
import signal
import sys
from types import FrameType


def end_quietly(number: int, frame: FrameType | None) -> None:
    """Handle an interrupt before a command has begun: one line instead of a traceback of imports."""
    os.write(2, b"stopped\n")
    os._exit(130)


if sys.argv[:1] == ["-m"] and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, end_quietly)  # python -m is still looking for the command
