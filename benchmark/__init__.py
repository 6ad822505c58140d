"""Run relational knowledge-distillation methods on a grid of pairs, data sets and seeds."""

import os
import signal
import sys
from importlib.util import find_spec
from pathlib import Path
from types import FrameType


def end_quietly(number: int, frame: FrameType | None) -> None:
    """Handle an interrupt before a command has begun: one line instead of a traceback of imports."""
    os.write(2, b"stopped\n")
    os._exit(130)


def begin() -> None:
    """Have an interrupt end a command quietly until it handles interrupts itself, unless they are ignored."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, end_quietly)


if sys.argv[:1] == ["-m"]:  # python -m is still looking for the command
    begin()


def _is_beside(package: str) -> None:
    """Raise ImportError where another package of so common a name is imported instead of the suite's own."""
    spec, home = find_spec(package), Path(__file__).resolve().parent.parent
    places = [Path(place).resolve() for place in (spec and spec.submodule_search_locations) or ()]
    if home / package not in places:
        found = (spec and (spec.origin or spec.submodule_search_locations)) or "nothing"
        raise ImportError(
            f"the suite's package {package!r} lies in {home}, but Python finds {found} by that name; "
            "work in another folder, or rename or uninstall what shadows it"
        )


_is_beside("methods")
