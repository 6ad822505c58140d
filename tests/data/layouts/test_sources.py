"""Where data sets are looked for: by path, in which order, and in torchvision's own layout."""

import gzip
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pictures
import pytest
import scipy.io

from benchmark.data import load
from benchmark.ground.errors import UsageError
from benchmark.ground.libraries import torchvision
from benchmark.spec import Dataset

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.mark.parametrize("absolute", [True, False])
def test_a_path_leads_anywhere(tmp_path: Path, absolute: bool) -> None:
    pictures.folder(tmp_path / "a" / "b", {"train": {"ant": 3, "cat": 3}, "test": {"ant": 1, "cat": 1}})
    path = str(tmp_path / "a" / "b") if absolute else "a/b"
    assert len(load(pictures.birds(path=path), None if absolute else tmp_path).train) == 6


@pytest.mark.parametrize("path", ["~/b", "$HOME/b", "${HOME}/b"])
def test_a_path_may_begin_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    pictures.folder(tmp_path / "b", {"train": {"ant": 3, "cat": 3}, "test": {"ant": 1, "cat": 1}})
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(load(pictures.birds(path=path)).train) == 6


def test_places_that_cannot_be_looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"'birds': .*xxx cannot be read: File name too long"):
        load(pictures.birds(path="x" * 5000), tmp_path)
    pictures.folder(tmp_path / "birds", {"train": {"ant": 3, "cat": 3}, "test": {"ant": 1, "cat": 1}})
    whole = Path.iterdir

    def forbidden(self: Path) -> Any:
        if self.name == "cat":
            raise PermissionError(13, "Permission denied", str(self))
        return whole(self)

    monkeypatch.setattr(Path, "iterdir", forbidden)  # root may read anything
    with pytest.raises(UsageError, match=r"'birds': .*train/cat cannot be read: Permission denied"):
        load(pictures.birds(), tmp_path)


@pytest.mark.parametrize("fields", [{"label_column": "coarse_label"}, {"image_column": "img"}])
def test_columns_are_chosen_of_parquet_files_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fields: dict[str, str]
) -> None:
    """Or another source of the same set would be read with other labels than those asked for."""
    pictures.small(monkeypatch, "mnist", 2, 4, 3)
    write_mnist(tmp_path / "MNIST" / "raw")
    ((field, name),) = fields.items()
    with pytest.raises(UsageError, match=f"'mnist': {field} = '{name}' chooses among the columns of Parquet files; "):
        load(Dataset(name="mnist", **fields), tmp_path)


def test_a_relative_path_needs_the_data_folder() -> None:
    with pytest.raises(UsageError, match="'birds' needs --data-dir"):
        load(pictures.birds(path="a/b"))


def test_a_published_name_stands_for_the_published_images(tmp_path: Path) -> None:
    pictures.parquet(tmp_path / "cifar10" / "train-0.parquet", [0, 1])
    pictures.parquet(tmp_path / "cifar10" / "test-0.parquet", [0, 1], first=2)
    with pytest.raises(UsageError, match="'cifar10' has 10 classes, 50000 training and 10000 test images, found"):
        load(Dataset(name="cifar10"), tmp_path)


def test_parquet_comes_before_a_folder_and_a_folder_before_torchvisions_layout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures.small(monkeypatch, "mnist", 2, 4, 3)
    write_mnist(tmp_path / "MNIST" / "raw")
    assert load(Dataset(name="mnist"), tmp_path).train.labels.tolist() == [1, 0, 1, 0]
    pictures.folder(tmp_path / "mnist", {"train": {"a": 3, "b": 1}, "test": {"a": 1, "b": 2}})
    assert load(Dataset(name="mnist"), tmp_path).train.labels.tolist() == [0, 0, 0, 1]
    pictures.parquet(tmp_path / "mnist" / "train-0.parquet", [1, 1, 1, 0])
    pictures.parquet(tmp_path / "mnist" / "test-0.parquet", [1, 0, 1], first=4)
    assert load(Dataset(name="mnist"), tmp_path).train.labels.tolist() == [1, 1, 1, 0]


def write_mnist(raw: Path, *, suffix: str = "") -> None:
    """Four training images and three test images in MNIST's format."""
    raw.mkdir(parents=True)
    for name, labels in (("train", [1, 0, 1, 0]), ("t10k", [0, 0, 1])):
        images = np.concatenate([pictures.pixels(len(labels) + n, 28, 28, 1) for n in range(len(labels))])
        for kind, header, content in (
            ("images-idx3", struct.pack(">IIII", 2051, len(labels), 28, 28), images.tobytes()),
            ("labels-idx1", struct.pack(">II", 2049, len(labels)), bytes(labels)),
        ):
            packed = gzip.compress(header + content) if suffix else header + content
            (raw / f"{name}-{kind}-ubyte{suffix}").write_bytes(packed)


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("folder", ["MNIST", "KMNIST", "FashionMNIST"])
def test_torchvisions_mnist_layout_unpacked_or_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str, suffix: str
) -> None:
    name = {"FashionMNIST": "fashion_mnist"}.get(folder, folder.lower())
    pictures.small(monkeypatch, name, 2, 4, 3)
    write_mnist(tmp_path / folder / "raw", suffix=suffix)
    splits = load(Dataset(name=name), tmp_path)
    assert splits.test.labels.tolist() == [0, 0, 1]
    expected = np.stack([pictures.pixels(3 + n, 28, 28, 1) for n in range(3)])
    np.testing.assert_array_equal(splits.test.pixels, expected)


def test_a_damaged_copy_in_torchvisions_layout(tmp_path: Path) -> None:
    (tmp_path / "cifar-10-batches-py").mkdir()
    (tmp_path / "cifar-10-batches-py" / "data_batch_1").write_bytes(b"half")
    with pytest.raises(UsageError, match=r"'cifar10' is not in .*, or is damaged: needed is what torchvision"):
        load(Dataset(name="cifar10"), tmp_path)


@pytest.mark.parametrize("damage", ["pipe", "zero", "short", "fewer", "packed"])
def test_files_in_torchvisions_layout_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    pictures.small(monkeypatch, "mnist", 2, 4, 3)
    write_mnist(tmp_path / "MNIST" / "raw", suffix=".gz" if damage == "packed" else "")
    file = next((tmp_path / "MNIST" / "raw").glob("train-labels*"))
    content = file.read_bytes()
    file.unlink()
    if damage == "pipe":
        os.mkfifo(file)
    elif damage == "zero":
        file.symlink_to("/dev/zero")
    elif damage == "fewer":
        file.write_bytes(struct.pack(">II", 2049, 3) + bytes([1, 0, 1]))
    else:
        file.write_bytes(content[:-3] if damage == "short" else content[:12] + b"\xff" * 30)
    why = {
        "pipe": "is no regular file",
        "zero": "is no regular file",
        "fewer": "the train split has 4 images and 3 labels",
    }.get(damage, "Error")
    with pytest.raises(
        UsageError, match=f"'mnist' is not in .*, or is damaged: needed is what torchvision.*{why}"
    ) as e:
        load(Dataset(name="mnist"), tmp_path)
    assert "\n" not in str(e.value)


def test_svhn_from_torchvisions_layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures.small(monkeypatch, "svhn", 10, 10, 10)
    monkeypatch.setattr(torchvision.datasets.SVHN, "_check_integrity", lambda self: True)
    digits = [*range(1, 10), 10]  # SVHN calls 0 ten
    for first, split in ((0, "train"), (10, "test")):
        images = np.stack([pictures.pixels(first + n, 32, 32) for n in range(10)], axis=3)
        scipy.io.savemat(tmp_path / f"{split}_32x32.mat", {"X": images, "y": np.array(digits)[:, None]})
    splits = load(Dataset(name="svhn"), tmp_path)
    assert splits.train.labels.tolist() == [*range(1, 10), 0]
    np.testing.assert_array_equal(splits.test.pixels, np.stack([pictures.pixels(10 + n, 32, 32) for n in range(10)]))


def test_stl10_from_torchvisions_layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures.small(monkeypatch, "stl10", 2, 2, 2)
    monkeypatch.setattr(torchvision.datasets.STL10, "_check_integrity", lambda self: True)
    raw = tmp_path / "stl10_binary"
    raw.mkdir()
    for first, split in ((0, "train"), (2, "test")):
        images = np.stack([pictures.pixels(first + n, 96, 96) for n in range(2)])
        (raw / f"{split}_X.bin").write_bytes(images.transpose(0, 3, 2, 1).tobytes())  # columns first
        (raw / f"{split}_y.bin").write_bytes(bytes([2, 1]))
    splits = load(Dataset(name="stl10"), tmp_path)
    assert splits.train.labels.tolist() == [1, 0]
    np.testing.assert_array_equal(splits.test.pixels, np.stack([pictures.pixels(2 + n, 96, 96) for n in range(2)]))


def test_a_download_happens_when_asked_for_and_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures.small(monkeypatch, "mnist", 2, 4, 3)
    asked = []

    def download(self: Any) -> None:
        asked.append(self.root)
        if not Path(self.raw_folder).exists():
            write_mnist(Path(self.raw_folder))

    monkeypatch.setattr(torchvision.datasets.MNIST, "download", download)
    with pytest.raises(UsageError, match="'mnist' is not in"):
        load(Dataset(name="mnist"), tmp_path)
    assert not asked
    assert len(load(Dataset(name="mnist"), tmp_path, download=True).train) == 4
    before = list(asked)
    assert set(asked) == {str(tmp_path)}
    assert len(load(Dataset(name="mnist"), tmp_path, download=True).train) == 4
    assert asked == before


def test_a_download_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(self: Any) -> None:
        raise RuntimeError("Error downloading train:\nTried http://mirror, got:\nno network")

    monkeypatch.setattr(torchvision.datasets.MNIST, "download", download)
    with pytest.raises(UsageError, match=r"'mnist' is not in .* cannot be downloaded there: .*no network") as raised:
        load(Dataset(name="mnist"), tmp_path, download=True)
    assert "\n" not in str(raised.value)


def test_a_path_that_holds_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"'birds': .*nowhere is not there; needed is train-"):
        load(pictures.birds(path="nowhere"), tmp_path)
    (tmp_path / "birds").mkdir()
    with pytest.raises(
        UsageError, match=r"'birds': .*birds holds nothing, and no images with classes; needed is train-"
    ):
        load(pictures.birds(), tmp_path)
