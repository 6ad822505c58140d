"""The published data sets that the suite knows by name, and what they must be like."""

from dataclasses import dataclass


@dataclass(frozen=True)
class DatasetInfo:
    """classes, and images of the official training and test splits; `folders`: what it is called below the data folder,
    for Parquet files or an image folder; `torchvision`: the class that reads, and can download, its original files,
    which `files` match below the data folder.
    """

    classes: int
    train: int
    test: int
    folders: tuple[str, ...]
    torchvision: str | None = None
    files: str | None = None


KNOWN = {
    "cifar10": DatasetInfo(10, 50_000, 10_000, ("cifar10",), "CIFAR10", "cifar-10-batches-py/*"),
    "cifar100": DatasetInfo(100, 50_000, 10_000, ("cifar100",), "CIFAR100", "cifar-100-python/*"),
    "svhn": DatasetInfo(10, 73_257, 26_032, ("svhn",), "SVHN", "t*_32x32.mat"),
    "mnist": DatasetInfo(10, 60_000, 10_000, ("mnist",), "MNIST", "MNIST/raw/*-ubyte*"),
    "fashion_mnist": DatasetInfo(10, 60_000, 10_000, ("fashion_mnist",), "FashionMNIST", "FashionMNIST/raw/*-ubyte*"),
    "kmnist": DatasetInfo(10, 60_000, 10_000, ("kmnist",), "KMNIST", "KMNIST/raw/*-ubyte*"),
    "stl10": DatasetInfo(10, 5_000, 8_000, ("stl10",), "STL10", "stl10_binary/*.bin"),
    "tiny_imagenet": DatasetInfo(200, 100_000, 10_000, ("tiny_imagenet", "tiny-imagenet-200")),
}

DIGITS_IMAGES, DIGITS_CLASSES = 1797, 10
"""Of scikit-learn's handwritten digits, which have no splits of their own."""
