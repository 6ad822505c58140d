"""What the names of files and folders say: which split they hold, which class, and which of them are never data."""

import re
import stat
import unicodedata
from collections.abc import Iterable
from fnmatch import translate
from pathlib import Path

from benchmark.ground.errors import UsageError, first_of
from benchmark.ground.text import visible

SPLITS = {
    "train": ("train", "training"),
    "test": ("test", "testing", "eval", "evaluation"),
    "validation": ("validation", "valid", "val", "dev"),
}
"""Names of splits, in any case: the keywords of Hugging Face's `datasets`."""

RUBBISH = (
    *(".ds_store", "._*", "__macosx", ".localized", ".fseventsd", ".spotlight-v100", ".trash*", "icon\r"),
    *("thumbs.db", "ehthumbs.db", "desktop.ini", "*:zone.identifier", ".directory", ".thumbnails", ".nomedia"),
    *("@eadir", ".nfs*", "lost+found", ".cache", ".git", ".gitkeep", ".gitignore", ".gitattributes"),
    *(".ipynb_checkpoints", "__pycache__"),
)
"""What file browsers, archivers, file systems, git, notebooks and this suite leave beside data, in any case."""

SUFFIXES = """
    .apng .arw .avif .bmp .cr2 .dcm .dds .dib .dng .exr .gif .heic .heif .ico .j2k .jfif .jp2 .jpe .jpeg .jpg .jxl .nef
    .npy .pbm .pcx .pgm .png .pnm .ppm .psd .qoi .svg .tga .tif .tiff .webp
""".split()  # noqa: SIM905
"""Of images, also of kinds that are not read. They tell whether a folder holds images, not whether a file is one."""

_RUBBISH = re.compile("|".join(map(translate, RUBBISH)))


def is_rubbish(name: str) -> bool:
    """Whether a name is one of RUBBISH."""
    return _RUBBISH.match(name.lower()) is not None


def split_of(name: str) -> str | None:
    """The split that a whole name stands for."""
    return next((split for split, names in SPLITS.items() if name.lower() in names), None)


def words(name: str) -> list[str]:
    """The runs of letters in a name, in lower case."""
    return re.findall(r"[^\W\d_]+", name.lower())


def class_name(text: str) -> str:
    """One spelling for the two ways in which systems write an accented letter."""
    return unicodedata.normalize("NFC", text)


def printable(text: str) -> str:
    """A name for a message of one line: line breaks, escapes and undecodable bytes are spelt out."""
    return visible(text, kept="")


def refused(text: str) -> UsageError:
    """The error for data that cannot be used; whatever their files are called, it is one line."""
    return UsageError(printable(text))


def enumerated(names: Iterable[str], shown: int = 10) -> str:
    """The first names in quotes, and how many others there are."""
    return first_of([f"'{name}'" for name in names], shown)


def defect(file: Path) -> str | None:
    """Why a file cannot be data, None if it is a regular file or a link to one: a pipe would wait for ever, a device
    never end."""
    try:
        mode = file.stat().st_mode
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        if file.is_symlink():
            return "is a link to nothing" if missing else f"is a link that leads nowhere: {error.strerror}"
        return "is not there" if missing else f"cannot be read: {error.strerror}"
    if stat.S_ISDIR(mode):
        return "is a folder, not a file"
    return None if stat.S_ISREG(mode) else "is no regular file"
