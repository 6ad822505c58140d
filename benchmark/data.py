"""Data sets, resident on the device as uint8, and batches that are a pure function of (seed, epoch, step)."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor

from benchmark.errors import UsageError, unknown
from benchmark.models import torchvision
from benchmark.spec import Dataset, Recipe, derive_seed


@dataclass(frozen=True)
class Images:
    """pixels: uint8 [N, H, W, C]; labels: int64 [N]."""

    pixels: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: np.ndarray) -> "Images":
        return Images(self.pixels[index], self.labels[index])


@dataclass(frozen=True)
class Splits:
    """The images of one data set; `sha256` covers pixels, labels and which image is in which split."""

    train: Images
    validation: Images
    test: Images
    classes: int
    sha256: str


def dataset_names() -> list[str]:
    return sorted(SOURCES)


def load(dataset: Dataset, data_dir: Path | None = None) -> Splits:
    """Read a data set and split it, stratified by class.

    Raises UsageError for a name that is not known, files that are not there, or more images asked for than there are.
    """
    if dataset.name not in SOURCES:
        raise unknown("dataset", dataset.name, SOURCES)
    train, test = SOURCES[dataset.name](data_dir)
    if test is None:
        if dataset.test is None:
            raise UsageError(f"dataset {dataset.name!r} has no test split of its own: say how many images, test = N")
        train, test = _split(train, dataset.test, dataset, "test")
    elif dataset.test is not None:
        _, test = _split(test, dataset.test, dataset, "test")
    train, validation = _split(train, dataset.validation, dataset, "validation")
    if dataset.train is not None:
        _, train = _split(train, dataset.train, dataset, "train")
    splits = (train, validation, test)
    return Splits(*splits, classes=int(test.labels.max()) + 1, sha256=_sha256(splits))


def _split(images: Images, count: int, dataset: Dataset, what: str) -> tuple[Images, Images]:
    """The rest and `count` images drawn stratified; split_seed and the split's name decide which."""
    if count > len(images):
        raise UsageError(f"dataset {dataset.name!r} has {len(images)} images left, {what} = {count} asks for more")
    if count == len(images):
        return images.take(np.arange(0)), images
    if count == 0:
        return images, images.take(np.arange(0))
    try:
        rest, drawn = train_test_split(
            np.arange(len(images)),
            test_size=count,
            stratify=images.labels.numpy(),
            random_state=derive_seed("split", what, dataset.split_seed) % 2**32,
        )
    except ValueError as error:  # fewer images than classes, on either side
        raise UsageError(f"dataset {dataset.name!r} cannot be split with {what} = {count}: {error}") from None
    return images.take(np.sort(rest)), images.take(np.sort(drawn))


def _sha256(splits: tuple[Images, ...]) -> str:
    digest = hashlib.sha256()
    for images in splits:
        digest.update(images.pixels.numpy().tobytes())
        digest.update(images.labels.numpy().tobytes())
    return digest.hexdigest()


def _digits(data_dir: Path | None) -> tuple[Images, None]:
    """scikit-learn's 1,797 handwritten digits, 8 x 8, sixteen grey levels."""
    bundle = load_digits()
    pixels = np.rint(bundle.images * (255 / 16)).astype(np.uint8)[..., None]
    return Images(torch.from_numpy(pixels), torch.from_numpy(bundle.target.astype(np.int64))), None


def _from_torchvision(name: str, class_name: str) -> Callable[[Path | None], tuple[Images, Images]]:
    """A data set in torchvision's own layout below the data folder."""

    def read(data_dir: Path | None) -> tuple[Images, Images]:
        if data_dir is None:
            raise UsageError(f"dataset {name!r} needs --data-dir, the folder that holds torchvision's copy of it")
        kind = getattr(torchvision().datasets, class_name)
        try:
            train, test = (kind(root=str(data_dir), train=is_train, download=False) for is_train in (True, False))
        except RuntimeError:
            wanted = f"what torchvision.datasets.{class_name}({str(data_dir)!r}, download=True) leaves there"
            raise UsageError(f"dataset {name!r} is not in {data_dir}, or is damaged: needed is {wanted}") from None
        return _images(train), _images(test)

    return read


def _images(source: "torch.utils.data.Dataset[object]") -> Images:
    pixels = torch.as_tensor(np.asarray(source.data))  # type: ignore[attr-defined]
    labels = torch.as_tensor(np.asarray(source.targets), dtype=torch.int64)  # type: ignore[attr-defined]
    return Images(pixels if pixels.dim() == 4 else pixels[..., None], labels)


SOURCES: dict[str, Callable[[Path | None], tuple[Images, Images | None]]] = {
    "digits": _digits,
    "cifar10": _from_torchvision("cifar10", "CIFAR10"),
    "cifar100": _from_torchvision("cifar100", "CIFAR100"),
    "fashion_mnist": _from_torchvision("fashion_mnist", "FashionMNIST"),
    "mnist": _from_torchvision("mnist", "MNIST"),
}


class Resident:
    """Images on the device, at the recipe's input size and number of channels."""

    def __init__(self, images: Images, recipe: Recipe, device: torch.device) -> None:
        self.recipe = recipe
        self.device = device
        self.pixels = _fit(images.pixels, recipe).to(device)
        self.labels = images.labels.to(device)
        self._scale = 1 / (255 * torch.tensor(recipe.std, device=device))
        self._shift = torch.tensor(recipe.mean, device=device) / torch.tensor(recipe.std, device=device)

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Images [B, C, H, W], normalised and as they are, and labels [B], in order: for evaluation."""
        return self.normalise(self.pixels[start:stop]), self.labels[start:stop]

    def normalise(self, pixels: Tensor) -> Tensor:
        """uint8 [B, H, W, C] to float32 [B, C, H, W], in the recipe's layout.

        A permuted grey image counts as contiguous in both layouts, and convolutions would take it for channels-last:
        only a copy has the strides of the other.
        """
        images = (pixels * self._scale - self._shift).permute(0, 3, 1, 2)
        if self.recipe.channels_last:
            return images.contiguous(memory_format=torch.channels_last)
        return images.clone(memory_format=torch.contiguous_format)


@dataclass(frozen=True)
class Views:
    """One epoch's order and augmentation, for every position in it: index [N], rows and columns of the crop's corner
    [N], flip [N]."""

    index: Tensor
    top: Tensor
    left: Tensor
    flip: Tensor


class TrainingSet(Resident):
    """Training images with room for crops, and the batches of an epoch."""

    def __init__(self, images: Images, recipe: Recipe, device: torch.device) -> None:
        super().__init__(images, recipe, device)
        padding = recipe.crop_padding
        height, width = self.pixels.shape[1:3]
        padded = F.pad(self.pixels, (0, 0, padding, padding, padding, padding))
        self._rows = padded.flatten(0, 2)
        self._padded_size = padded.shape[1:3]
        self._y = torch.arange(height, device=device)
        self._x = torch.arange(width, device=device)
        whole, rest = divmod(len(self), recipe.batch_size)
        self.steps = whole + (rest > 0 and (recipe.last_batch == "keep" or whole == 0))

    def views(self, seed: int, epoch: int) -> Views:
        """What the batches of an epoch show, drawn on the CPU and therefore the same on every device."""
        generator = torch.Generator().manual_seed(derive_seed("views", seed, epoch))
        count, shifts = len(self), 2 * self.recipe.crop_padding + 1
        index = torch.randperm(count, generator=generator)
        top, left = torch.randint(shifts, (2, count), generator=generator)
        flip = torch.randint(2, (count,), generator=generator) * self.recipe.flip
        return Views(*(drawn.to(self.device) for drawn in (index, top, left, flip)))

    def training_batch(self, views: Views, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """Images [B, C, H, W], labels [B] and positions in the training set [B].

        Crop and flip are one gather of pixel rows; zero padding before normalisation, as torchvision's RandomCrop.
        """
        part = slice(step * self.recipe.batch_size, (step + 1) * self.recipe.batch_size)
        index, flip = views.index[part], views.flip[part, None]
        height, width = self._padded_size
        y = views.top[part, None] + self._y
        x = views.left[part, None] + torch.where(flip > 0, self._x.flip(0), self._x)
        pixel = (index[:, None] * height + y)[:, :, None] * width + x[:, None, :]
        return self.normalise(self._rows[pixel]), self.labels[index], index


def _fit(pixels: Tensor, recipe: Recipe) -> Tensor:
    """uint8 [N, H, W, C] at the recipe's size (bilinear, antialiased) and channels (grey repeated)."""
    _, height, width, channels = pixels.shape
    size = recipe.input_size
    if (height, width) != (size, size):
        planes = pixels.permute(0, 3, 1, 2).float()
        planes = F.interpolate(planes, (size, size), mode="bilinear", antialias=True, align_corners=False)
        pixels = planes.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()
    if channels == recipe.channels:
        return pixels
    if channels != 1:
        raise UsageError(f"images have {channels} channels, the recipe's mean and std have {recipe.channels}")
    return pixels.expand(-1, -1, -1, recipe.channels).contiguous()
