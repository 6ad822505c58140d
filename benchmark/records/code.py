"""What code runs: its version, and a copy of it that stays as it was when jobs were submitted. No torch here."""

import filecmp
import hashlib
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from benchmark.ground.errors import UsageError
from benchmark.ground.files import REFERENCE, write_bytes

ROOT = Path(__file__).parents[2]
PACKAGES = ("benchmark", "methods")
"""What a worker imports of this suite."""

VERSION = "version.txt"
"""In a snapshot: the version of the code that it is a copy of. git knows nothing of a copy."""


@cache
def code_version() -> str:
    """Commit, whether the tree has changes, and a hash of the source that runs, which alone is there for a wheel."""
    if (ROOT / VERSION).exists():
        return (ROOT / VERSION).read_text(encoding="utf-8")
    commit = _git("rev-parse", "--short=12", "HEAD")
    changes = "+changes" if commit and _git("status", "--porcelain", "--", *PACKAGES) else ""
    return f"{commit or 'no commit'}{changes}, source {source_hash(ROOT)}"


def snapshot(folder: Path) -> Path:
    """A copy of the code, with the published weights, in `folder/<hash>`, made unless it is there; what is submitted
    from it does not change when the working tree does. Raises UsageError for a copy that is no longer what its name
    says.
    """
    name = source_hash(ROOT)
    copy = folder / name
    if not copy.exists():
        unfinished = folder / f".{name}.{uuid.uuid4().hex}"
        try:
            for package in PACKAGES:
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(ROOT / package, unfinished / package, ignore=ignored)
            (unfinished / VERSION).write_text(code_version(), encoding="utf-8")
            unfinished.rename(copy)
        except OSError as error:
            if not copy.exists():  # else another command was faster
                raise UsageError(f"cannot copy the code to {folder}: {error}") from None
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    if source_hash(copy) != name:
        raise UsageError(f"the code in {copy} was changed after jobs were submitted from it; move it away")
    _lend_weights(copy)
    return copy


def _lend_weights(copy: Path) -> None:
    """Published weights lie where the code looks for them; that they are the planned ones, their hash says."""
    for source in filter(Path.is_file, REFERENCE.glob("*.safetensors")):
        target = copy / "results" / "reference" / source.name
        if not target.exists() or not filecmp.cmp(source, target, shallow=False):
            write_bytes(target, source.read_bytes())


def source_hash(root: Path) -> str:
    """Hash of names and contents of the files of the packages below `root`."""
    digest = hashlib.blake2b(digest_size=5)
    for path in _files(root):
        digest.update(f"{path.relative_to(root)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _files(root: Path) -> Iterator[Path]:
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path


def _git(*arguments: str) -> str:
    try:
        command = ["git", "-C", str(ROOT), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
