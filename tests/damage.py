"""What may have become of a file: every way in which state on disk is damaged in tests."""

import os
from collections.abc import Callable
from pathlib import Path


def fifo(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.mkdir()


def link_to(target: str) -> Callable[[Path], None]:
    def put(path: Path) -> None:
        path.unlink(missing_ok=True)
        path.symlink_to(target)

    return put


def content(data: bytes) -> Callable[[Path], None]:
    return lambda path: void(path.write_bytes(data))


def void(_: object) -> None:
    return None


def half(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


DAMAGES: dict[str, Callable[[Path], None]] = {
    "empty": content(b""),
    "half": half,
    "a list": content(b"[]"),
    "an empty table": content(b"{}"),
    "null": content(b"null"),
    "a text": content(b'"text"'),
    "numbers for everything": content(b'{"run_ids": 1, "shares": 2, "epoch": "3", "error": 4, "teacher_id": [5]}'),
    "too deep": content(b"[" * 100_000),
    "a table too deep": content(b'{"run_ids":' * 50_000),
    "a number too long": content(b'{"schema_version": ' + b"1" * 10_000 + b"}"),
    "not UTF-8": content(b"\xff\xfe{\x00}\x00"),
    "zeros": content(b"\0" * 4096),
    "a folder": folder,
    "a pipe": fifo,
    "a device": link_to("/dev/zero"),
    "a loop": link_to("loop"),
}
