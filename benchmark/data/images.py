"""Images in memory, in the memory-mapped cache, or in files: the same sequence of arrays to everyone else."""

import hashlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from benchmark.data.decode import DecodeError, decode
from benchmark.data.source import Item


class Packed:
    """Pixels of images, or image files, one after another in one file."""

    def __init__(self, path: Path, starts: np.ndarray, lengths: np.ndarray) -> None:
        """starts and lengths, in bytes: [N]."""
        self.path, self.starts, self.lengths = path, starts, lengths
        self.content = np.memmap(path, np.uint8, mode="c")  # copy on write: torch has no arrays that cannot be written

    def __reduce__(self) -> tuple[Any, ...]:
        """A process that does not inherit this one's memory maps the file itself."""
        return Packed, (self.path, self.starts, self.lengths)

    def __getitem__(self, position: int) -> np.ndarray:
        """uint8 [length]"""
        return self.content[self.starts[position] :][: self.lengths[position]]

    def take(self, index: np.ndarray) -> "Packed":
        return Packed(self.path, self.starts[index], self.lengths[index])


class Varied:
    """Images of several sizes or numbers of channels."""

    def __init__(self, contents: Packed | np.ndarray, shapes: np.ndarray) -> None:
        """contents: packed, or paths [N]; shapes: [N, 3], height, width, channels."""
        self.contents, self.shapes = contents, shapes

    def __len__(self) -> int:
        return len(self.shapes)

    def __getitem__(self, position: int) -> np.ndarray:
        """uint8 [H, W, C]"""
        pixels: np.ndarray = self.contents[position].reshape(self.shapes[position])
        return pixels

    def take(self, index: np.ndarray) -> Self:
        return type(self)(self.contents.take(index), self.shapes[index])


class Encoded(Varied):
    """Images that are decoded each time they are asked for, from files of their own or from packed ones."""

    def __getitem__(self, position: int) -> np.ndarray:
        """uint8 [H, W, C]. Raises DecodeError for a file that was changed while it is in use."""
        content = self.contents[position]
        if isinstance(content, Path):
            item = Item(str(content), content, None)
        else:
            item = Item(f"image {position}", content.tobytes(), None)
        pixels = decode(item)
        if isinstance(pixels, str):
            raise DecodeError(pixels)
        return pixels


@dataclass(frozen=True)
class Images:
    """pixels: uint8 [N, H, W, C], or as many arrays [H, W, C] of their own sizes; labels: int64 [N]; digests: a hash of
    each image's shape and pixels [N, 16], computed if it is not given and the pixels are one array.
    """

    pixels: Tensor | Varied
    labels: Tensor
    digests: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def shapes(self) -> np.ndarray:
        """Height, width and channels of the images, [N, 3], or [1, 3] where all have one shape."""
        return self.pixels.shapes if not isinstance(self.pixels, Tensor) else np.array([self.pixels.shape[1:]])

    def take(self, index: np.ndarray) -> "Images":
        pixels = self.pixels[index] if isinstance(self.pixels, Tensor) else self.pixels.take(index)
        digests = None if self.digests is None else self.digests[index]
        return Images(pixels, self.labels[torch.from_numpy(index)], digests)

    def without(self, classes: Collection[int]) -> "Images":
        """All images but those of some classes."""
        if not classes:
            return self
        return self.take(np.flatnonzero(~np.isin(self.labels.numpy(), list(classes))))

    def content(self) -> Iterator[memoryview]:
        """What their hash covers: pixels or, where they are not one array, a hash of each image's; and labels."""
        yield (self.pixels.numpy() if isinstance(self.pixels, Tensor) else self.digested()).data
        yield self.labels.numpy().data

    def digested(self) -> np.ndarray:
        """The digests [N, 16]."""
        if self.digests is not None:
            return self.digests
        assert isinstance(self.pixels, Tensor)
        return np.array([image_digest(image) for image in self.pixels.numpy()]).reshape(len(self), DIGEST)


DIGEST = 16


def image_digest(pixels: np.ndarray) -> np.ndarray:
    """A hash of one image [H, W, C], equal for equal shape and pixels only: uint8 [16]."""
    digest = hashlib.blake2b(repr(pixels.shape).encode(), digest_size=DIGEST)
    digest.update(np.ascontiguousarray(pixels).data)
    return np.frombuffer(digest.digest(), np.uint8)
