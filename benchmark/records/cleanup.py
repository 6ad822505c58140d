"""What kills leave behind in a results folder, removed by the next command. No torch here.

What nobody is at goes: claims of the dead, what a finished run needs no more, and files that were being written. Where
nothing tells whether a writer lives, its file has to be an hour old.
"""

import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from benchmark.ground.files import PARTIAL, json_files, remove
from benchmark.records.claims import Claims
from benchmark.records.folder import Folder
from benchmark.records.progress import left_behind

SAFE_SECONDS = 3600.0
"""No file takes so long to write, and no two clocks should differ by so much."""

TEMPORARY = re.compile(rf"\.(?P<name>.+)\.[a-z0-9_]{{8}}{re.escape(PARTIAL)}|\..+\.([0-9a-f]{{32}}|turn)")
"""What `atomic`, claims and copies of code are called until they are whole."""

OF_RUNS = ("records", "curves", "weights", "predictions", "failures", "checkpoints")
"""Folders that are written to by the holder of a run's claim alone."""

OTHERS = ("planned", "progress", "claims", "splits", "measured", "code")


def clean_up(folder: Folder) -> None:
    """Remove what is of no use to anyone."""
    with suppress(OSError):  # another user's, in a shared folder, or a full disk: the next write says so
        _claims(folder)
        for run_id in _finished(folder):
            if not os.path.lexists(folder.claim_path(run_id)) and not folder.lacks_teacher(run_id):
                shutil.rmtree(folder.checkpoints_path(run_id), ignore_errors=True)
                folder.forget_failure(run_id)
        for path in _orphans(folder):
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() and not path.is_symlink() else remove(path)
        for path in left_behind(folder):
            remove(path)


def _claims(folder: Folder) -> None:
    """Those whose holder is known to be gone, and old ones of finished runs."""
    watcher = Claims()
    for path in json_files(folder.part("claims")):
        watcher.clear_if_dead(path)
    for run_id in _finished(folder):
        if _is_old(path := folder.claim_path(run_id)):
            remove(path)


def _finished(folder: Folder) -> Iterator[str]:
    """Runs with a record that is valid, of which something else is left."""
    of_files = {path.stem for part in ("claims", "failures") for path in json_files(folder.part(part))}
    of_checkpoints = {path.name for path in folder.part("checkpoints").glob("*")}
    for run_id in sorted(of_files | of_checkpoints):
        if folder.record_path(run_id).is_file() and folder.state(run_id) != "corrupt":
            yield run_id


def _orphans(folder: Folder) -> Iterator[Path]:
    """Files and folders that are half made, by a writer who is gone."""
    for part in OF_RUNS:
        for path in sorted(folder.part(part).glob("*/.*" if part == "checkpoints" else ".*")):
            match = TEMPORARY.fullmatch(path.name)
            if match is None or not match["name"]:
                continue
            run_id = path.parent.name if part == "checkpoints" else Path(match["name"]).stem
            if not os.path.lexists(folder.claim_path(run_id)) or _is_old(path):
                yield path
    for part in OTHERS:
        for path in sorted(folder.part(part).glob(".*")):
            if TEMPORARY.fullmatch(path.name) and _is_old(path):
                yield path
    for path in folder.path.glob(".*"):  # where users may have hidden files of their own
        match = TEMPORARY.fullmatch(path.name)
        if match and match["name"] and path.is_file() and _is_old(path):
            yield path


def _is_old(path: Path) -> bool:
    try:
        return time.time() - path.lstat().st_mtime > SAFE_SECONDS
    except FileNotFoundError:
        return False
