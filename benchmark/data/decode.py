"""From encoded images to arrays, or to the reason why not."""

import io
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from os import cpu_count
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from benchmark.data.source import Item

GREY = ("1", "L", "LA", "La")
DEEP = ("I", "F")
TASK_IMAGES, TASKS = 32, 16
"""Images that a thread decodes at a time, and how many times as many are in memory while a data set is decoded."""


class DecodeError(ValueError):
    """An image that cannot be used, and why."""


def open_image(content: bytes | Path) -> Image.Image:
    """The image in mode L, if it is grey, or RGB: transparency is dropped, palettes and CMYK are converted.

    Raises DecodeError for what is no image, is cut off, or has more than 8 bits a channel, of which a silent conversion
    would keep an arbitrary part.
    """
    try:
        with Image.open(io.BytesIO(content) if isinstance(content, bytes) else content) as image:
            if image.mode.startswith(DEEP) or any(";16" in str(tile.args) for tile in image.tile):
                raise DecodeError(f"has more than 8 bits a channel (mode {image.mode}): convert it first")
            if image.mode in GREY:
                return image.convert("L")
            if "transparency" in image.info:  # a palette's needs the way round by RGBA
                return image.convert("RGBA").convert("RGB")
            return image.convert("RGB")
    except UnidentifiedImageError:
        raise DecodeError("is not an image that Pillow knows") from None
    except DecodeError:
        raise
    except Exception as error:  # each of Pillow's readers fails in its own way
        raise DecodeError(f"cannot be decoded: {' '.join(str(error).split()) or type(error).__name__}") from None


def decode(item: Item) -> np.ndarray | str:
    """uint8 [H, W, C], C = 1 or 3, or what is wrong with the image."""
    if item.content is None:
        return f"{item.origin} has no image bytes"
    if isinstance(item.content, np.ndarray):
        return item.content
    try:
        pixels = np.array(open_image(item.content))
    except DecodeError as error:
        return f"{item.origin} {error}"
    return pixels if pixels.ndim == 3 else pixels[..., None]


def decode_all(items: Iterable[Item]) -> Iterator[tuple[Item, np.ndarray | str]]:
    """Every item and what `decode` says of it, in order. Pillow decodes outside the interpreter's lock: threads pay."""
    remaining = iter(items)
    with ThreadPoolExecutor(cpu_count()) as pool:
        while tasks := [task for _ in range(TASKS) if (task := list(islice(remaining, TASK_IMAGES)))]:
            for task, decoded in zip(tasks, pool.map(_decode_each, tasks), strict=True):
                yield from zip(task, decoded, strict=True)


def _decode_each(items: list[Item]) -> list[np.ndarray | str]:
    return [decode(item) for item in items]
