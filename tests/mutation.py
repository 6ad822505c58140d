"""Valid files changed at random: by a value, by bytes, or into something else altogether."""

import copy
import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tomli_w
from damage import DAMAGES

ODD: tuple[Any, ...] = (
    *(None, True, -1, 0, 1, 1.5, 1e308, -1e-300, 10**18, 2**63, 10**400, math.nan, math.inf, "", "0", "paired", "nan"),
    *(
        "x" * 3_000,
        "\x1b[2J\n\u202e",
        "<script>",
        "=1+1",
        "%\\input{x}",
        "../../x",
        "/dev/zero",
        "a\0b",
        "\ud800",
        "kd",
    ),
    *("kd", [], {}, [[]], [None], {"": {}}, {"name": "a"}, [0, 0], ["kd", "kd"], [[[[[[]]]]]]),
)


INSERTED = (b"\0", b"\xff", b"\n", b'"', b",", b"[" * 3_000, b"9" * 5_000, b"\x1b[2J")


def value(draw: random.Random, whole: Any) -> Any:
    """The same with an entry or two replaced, removed, added, repeated or renamed."""
    whole = copy.deepcopy(whole)
    for _ in range(draw.choice((1, 1, 1, 2))):
        places = list(_places(whole))
        if not places:
            return draw.choice(ODD)
        within, key = draw.choice(places)
        change = draw.random()
        if change < 0.6:
            within[key] = copy.deepcopy(draw.choice(ODD))
        elif change < 0.75:
            del within[key]
        elif isinstance(within, list):
            within.append(copy.deepcopy(within[key]))
        else:
            within[draw.choice((f"{key}x", "", "name", "\x1b", "x" * 3_000))] = copy.deepcopy(within[key])
    return whole


def _places(whole: Any) -> list[tuple[Any, Any]]:
    """Every entry, as its container and its key."""
    entries = (
        list(whole.items()) if isinstance(whole, dict) else list(enumerate(whole)) if isinstance(whole, list) else []
    )
    return [place for key, below in entries for place in ((whole, key), *_places(below))]


def content(draw: random.Random, data: bytes) -> bytes:
    """The same bytes with some flipped, cut, repeated or put in."""
    changed = bytearray(data)
    for _ in range(draw.choice((1, 1, 2, 8))):
        start = draw.randrange(len(changed) + 1)
        end = min(len(changed), start + draw.choice((1, 1, 2, 16, 1 << 20)))
        kind = draw.randrange(4)
        if kind == 0 and start < len(changed):
            changed[start] ^= 1 << draw.randrange(8)
        elif kind == 1:
            del changed[start:end]
        elif kind == 2:
            changed[start:start] = changed[start:end]
        else:
            changed[start:start] = draw.choice(
                (b"\0", b"\xff", b"\n", b'"', b"[" * 3_000, b"9" * 5_000, b"\x1b[2J", b",")
            )
    return bytes(changed)


def file(draw: random.Random, path: Path) -> None:
    """Another form of a file."""
    before = path.read_bytes()
    how = draw.random()
    if how < 0.2:
        DAMAGES[draw.choice(sorted(DAMAGES))](path)
    elif how < 0.5 or path.suffix not in FORMS:
        path.write_bytes(content(draw, before))
    else:
        read, written = FORMS[path.suffix]
        path.write_bytes(written(value(draw, read(before))))


def toml(whole: Any) -> bytes:
    """What of a value TOML can say."""
    return tomli_w.dumps(_sayable(whole) if isinstance(whole, dict) else {"x": _sayable(whole)}).encode(
        errors="replace"
    )


def _sayable(whole: Any) -> Any:
    if isinstance(whole, dict):
        return {key: _sayable(each) for key, each in whole.items() if each is not None}
    if isinstance(whole, list):
        return [_sayable(each) for each in whole if each is not None]
    return "none" if whole is None else whole


def _lines(data: bytes) -> list[Any]:
    return [json.loads(line) for line in data.splitlines()]


def _json(whole: Any) -> bytes:
    return json.dumps(whole).encode()


def _json_lines(whole: Any) -> bytes:
    rows = whole if isinstance(whole, list) else [whole]
    return b"".join(_json(row) + b"\n" for row in rows)


FORMS: dict[str, tuple[Callable[[bytes], Any], Callable[[Any], bytes]]] = {
    ".json": (json.loads, _json),
    ".jsonl": (_lines, _json_lines),
}
"""How files are read and written whose values may be changed."""
