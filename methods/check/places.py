"""Where in an author's code an error comes from: the line that raised it, or the one whose gradient did."""

import re
import traceback
import warnings
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import torch

TRACED = re.compile(r'File "(.+)", line (\d+), in (\S+)')
"""A frame, as torch's anomaly mode prints it."""
HERE = Path(__file__).parents[1]
OURS = (HERE / "check", HERE / "objective.py", HERE / "composition.py", HERE.parent / "benchmark")
"""What calls methods: their authors cannot mend anything there."""

Place = tuple[str, int | str | None, str]


def raised_in(error: Exception, again: Callable[[], object] | None = None) -> str:
    """The innermost line of the author's that an error passed. One raised by a backward pass has none: what caused it
    is then tried `again` where torch remembers the forward line of every gradient."""
    passed: list[Place] = [(f.filename, f.lineno, f.name) for f in traceback.extract_tb(error.__traceback__)]
    if place := _innermost(passed):
        return _told(place)
    if again and (place := _innermost(_forward_frames(again))):
        return f"the gradient of {_told(place)}"
    outside = [place for place in passed if "torch" not in Path(place[0]).parts]
    return _told(outside[-1]) if outside else "an unknown place"


def _innermost(frames: Iterable[Place]) -> Place | None:
    """The last frame that is neither torch's nor the suite's own caller of methods."""
    own = [place for place in frames if "torch" not in (path := Path(place[0])).parts and not _is_ours(path)]
    return own[-1] if own else None


def _is_ours(path: Path) -> bool:
    return any(path == ours or ours in path.parents for ours in OURS)


def _forward_frames(again: Callable[[], object]) -> list[Place]:
    with warnings.catch_warnings(record=True) as told, suppress(Exception):
        warnings.simplefilter("always")
        with torch.autograd.set_detect_anomaly(True, check_nan=False):
            again()
    found = [TRACED.findall(str(each.message)) for each in told]
    return [(name, line, function) for frames in found for name, line, function in frames]


def _told(place: Place) -> str:
    return f"{place[0]}:{place[1]}, in {place[2]}"
