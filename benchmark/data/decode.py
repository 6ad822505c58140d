"""From encoded images to arrays, or to the reason why not."""

import io
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import islice
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from benchmark.data.naming import defect
from benchmark.data.source import Item
from benchmark.ground.processors import cores

GREY = ("1", "L", "LA", "La")
DEEP = ("I", "F")
FORMATS = ("AVIF", "BMP", "DIB", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
"""What is read, where Pillow was built with it. Some others would start a program."""

ORIENTATION, TURNED = 0x0112, range(2, 9)
"""The EXIF tag, and its values that stand for an image to be turned or mirrored."""

CODESTREAM = b"\xff\x4f\xff\x51"
"""How JPEG 2000's begins, in a file of its own or in boxes: SOC, then the SIZ marker."""

TASKS, MOST, MEMORY = 16, 512, 2**28
"""In how many tasks images are handed to threads; how many, and about how many bytes of pixels, are decoded at once."""


class DecodeError(ValueError):
    """An image that cannot be used, and why."""


def open_image(content: bytes | Path) -> Image.Image:
    """The image in mode L, if it is grey, or RGB: transparency is dropped, palettes and CMYK are converted. Pixels are
    as they were stored; `info["turned"]` says whether an EXIF tag asks for showing them otherwise.

    Raises DecodeError for what is no regular file or image, is cut off, has several frames (but not for the thumbnails
    and second views of a photograph), or more than 8 bits a channel, of which a silent conversion would keep an
    arbitrary part.
    """
    if isinstance(content, Path) and (why := defect(content)):
        raise DecodeError(why)
    try:
        with _open(content) as image:
            deep = image.mode.startswith(DEEP) or any(map(_is_deep, getattr(image, "tile", ())))
            if deep or (image.format == "JPEG2000" and _is_deep_codestream(content)):
                raise DecodeError(f"has more than 8 bits a channel (mode {image.mode}): convert it first")
            if image.format != "MPO" and (frames := getattr(image, "n_frames", 1)) != 1:
                raise DecodeError(f"has {frames} frames: keep one of them, as an image of its own")
            converted = _converted(image)
            converted.info["turned"] = _is_turned(image)
            return converted
    except UnidentifiedImageError:
        raise DecodeError("is not an image that Pillow knows") from None
    except DecodeError:
        raise
    except Exception as error:  # each of Pillow's readers fails in its own way
        raise DecodeError(f"cannot be decoded: {' '.join(str(error).split()) or type(error).__name__}") from None


def is_image(file: Path) -> bool:
    """Whether a file begins as an image does."""
    try:
        with _open(file):
            return True
    except Exception:
        return False


def _open(content: bytes | Path) -> Image.Image:
    return Image.open(io.BytesIO(content) if isinstance(content, bytes) else content, formats=_formats())


@cache
def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _is_deep(tile: Any) -> bool:
    """Whether Pillow reads more than 8 bits a channel from a file and hands on 8. BGR;16 is 5, 6 and 5 bits; netpbm's
    formats say the largest value."""
    codec, args = tile[0], tile[3] if isinstance(tile[3], tuple) else (tile[3],)
    if codec.startswith("ppm"):
        return any(isinstance(value, int) and value > 255 for value in args)
    return any(isinstance(value, str) and ";16" in value and value != "BGR;16" for value in args)


def _is_deep_codestream(content: bytes | Path) -> bool:
    """The same of JPEG 2000, whose SIZ marker (ISO/IEC 15444-1, A.5.1) has a byte for each component: the sign above
    the number of bits less one."""
    data = content if isinstance(content, bytes) else content.read_bytes()
    siz = data.find(CODESTREAM) + 2
    components = int.from_bytes(data[siz + 38 : siz + 40])
    return any(bits & 0x7F > 7 for bits in data[siz + 40 : siz + 40 + 3 * components : 3])


def _converted(image: Image.Image) -> Image.Image:
    if image.mode in GREY:
        return image.convert("L")
    if "transparency" in image.info:  # a palette's needs the way round by RGBA
        return image.convert("RGBA").convert("RGB")
    return image.convert("RGB")


def _is_turned(image: Image.Image) -> bool:
    try:
        return image.getexif().get(ORIENTATION) in TURNED
    except Exception:  # damaged metadata of a sound image
        return False


def decode(item: Item) -> np.ndarray | str:
    """uint8 [H, W, C], C = 1 or 3, or what is wrong with the image."""
    return decode_with_turn(item)[0]


def decode_with_turn(item: Item) -> tuple[np.ndarray | str, bool]:
    """What `decode` says, and whether the image's metadata ask for turning it."""
    if item.content is None:
        return f"{item.origin} has no image bytes", False
    if isinstance(item.content, np.ndarray):
        return item.content, False
    try:
        image = open_image(item.content)
    except DecodeError as error:
        return f"{item.origin} {error}", False
    pixels = np.array(image)
    return pixels if pixels.ndim == 3 else pixels[..., None], image.info["turned"]


def decode_all(items: Iterable[Item]) -> Iterator[tuple[Item, np.ndarray | str, bool]]:
    """Every item and what `decode_with_turn` says of it, in order. Pillow decodes outside the interpreter's lock:
    threads pay. As many are under way as MEMORY holds of the largest image so far, beginning with a few."""
    remaining, threads, largest = iter(items), cores(), 1
    at_once = TASKS
    with ThreadPoolExecutor(threads) as pool:
        while members := list(islice(remaining, at_once)):
            share = ceil(len(members) / TASKS)
            tasks = [members[start : start + share] for start in range(0, len(members), share)]
            for task, decoded in zip(tasks, pool.map(lambda task: [*map(decode_with_turn, task)], tasks), strict=True):
                largest = max([largest, *(pixels.nbytes for pixels, _ in decoded if isinstance(pixels, np.ndarray))])
                yield from ((item, *found) for item, found in zip(task, decoded, strict=True))
            at_once = max(threads, min(MOST, MEMORY // largest))
