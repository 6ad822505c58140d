"""Data sets on disk: which files are found, which columns are read, and what is wrong with them, by name."""

import gzip
import logging
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pictures
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.io
import torch

from benchmark import known
from benchmark.data import load
from benchmark.errors import UsageError
from benchmark.known import KNOWN
from benchmark.models import torchvision
from benchmark.spec import Dataset

ENVIRONMENT = "RELATIONAL_DISTILLATION_DATA"


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELATIONAL_DISTILLATION_CACHE", str(tmp_path_factory.mktemp("cache")))


def birds(**fields: Any) -> Dataset:
    return Dataset.model_validate({"name": "birds", **fields})


def small(monkeypatch: pytest.MonkeyPatch, name: str, classes: int, train: int, test: int) -> None:
    """Let a published set be of another size."""
    values = {**vars(KNOWN[name]), "classes": classes, "train": train, "test": test}
    monkeypatch.setitem(KNOWN, name, known.Known(**values))


def two_shards(folder: Path) -> None:
    pictures.parquet(folder / "train-00000-of-00002.parquet", [0, 1, 2])
    pictures.parquet(folder / "train-00001-of-00002.parquet", [2, 1, 0], first=3)
    pictures.parquet(folder / "test-00000-of-00001.parquet", [2, 0, 1], first=6)


@pytest.mark.parametrize("below", [".", "data", "plain_text"])
def test_parquet_shards_in_order(tmp_path: Path, below: str) -> None:
    two_shards(tmp_path / "birds" / below)
    splits = load(birds(), tmp_path)
    assert splits.classes == 3
    assert splits.train.labels.tolist() == [0, 1, 2, 2, 1, 0]
    assert splits.test.labels.tolist() == [2, 0, 1]
    for images, first in ((splits.train, 0), (splits.test, 6)):
        expected = np.stack([pictures.pixels(first + row) for row in range(len(images))])
        np.testing.assert_array_equal(images.pixels, expected)


@pytest.mark.parametrize("absolute", [True, False])
def test_a_path_leads_anywhere(tmp_path: Path, absolute: bool) -> None:
    two_shards(tmp_path / "a" / "b")
    path = str(tmp_path / "a" / "b") if absolute else "a/b"
    assert len(load(birds(path=path), None if absolute else tmp_path).train) == 6


def test_a_relative_path_needs_the_data_folder() -> None:
    with pytest.raises(UsageError, match="'birds' needs --data-dir"):
        load(birds(path="a/b"))


@pytest.mark.parametrize("name", ["validation", "valid", "val"])
def test_a_validation_split_is_the_test_split_where_there_is_no_other(tmp_path: Path, name: str) -> None:
    pictures.parquet(tmp_path / "birds" / "train-0.parquet", [0, 1])
    pictures.parquet(tmp_path / "birds" / f"{name}-0.parquet", [1, 0, 0], first=2)
    assert load(birds(), tmp_path).test.labels.tolist() == [1, 0, 0]
    pictures.parquet(tmp_path / "birds" / "test-0.parquet", [1, 0], first=5)
    assert load(birds(), tmp_path).test.labels.tolist() == [1, 0]


def test_a_set_without_a_test_split_has_one_drawn(tmp_path: Path) -> None:
    pictures.parquet(tmp_path / "birds" / "train.parquet", [0, 1] * 6)
    with pytest.raises(UsageError, match="'birds' has no test split of its own: say how many images, test = N"):
        load(birds(), tmp_path)
    splits = load(birds(test=4), tmp_path)
    assert splits.test.labels.bincount().tolist() == [2, 2]
    assert splits.train.labels.bincount().tolist() == [4, 4]


COARSE = {"coarse_label": [0, 0, 1]}


@pytest.mark.parametrize(
    ("written", "fields", "expected"),
    [
        ({"label": "label", "image": "image", "columns": COARSE}, {}, [2, 0, 1]),
        ({"label": "fine_label", "columns": COARSE}, {}, [2, 0, 1]),
        ({"label": "labels", "image": "picture"}, {}, [2, 0, 1]),
        ({"label": "species"}, {}, [2, 0, 1]),
        ({"label": "species", "names": "abc", "columns": {"width": [6, 6, 6]}}, {}, [2, 0, 1]),
        ({"label": "fine_label", "columns": COARSE}, {"label_column": "coarse_label"}, [0, 0, 1]),
        (
            {"columns": {"thumbnail": [pictures.encoded(pictures.picture(row)) for row in range(3)]}},
            {"image_column": "thumbnail"},
            [2, 0, 1],
        ),
    ],
)
def test_the_columns_of_images_and_labels(
    tmp_path: Path, written: dict[str, Any], fields: dict[str, Any], expected: list[int]
) -> None:
    for split in ("train", "test"):
        pictures.parquet(tmp_path / "birds" / f"{split}-0.parquet", [2, 0, 1], **written)
    splits = load(birds(**fields), tmp_path)
    assert splits.train.labels.tolist() == expected
    np.testing.assert_array_equal(splits.train.pixels, np.stack([pictures.pixels(row) for row in range(3)]))


@pytest.mark.parametrize(
    ("written", "fields", "message"),
    [
        (
            {"columns": {"labels": [0, 1]}},
            {},
            r"several columns may be the labels \(label, labels\): choose one with label_column = .* in its entry; "
            r"columns: img \(struct<bytes: binary, path: null>\), label \(int64\), labels \(int64\)",
        ),
        ({"label": "age", "columns": {"weight": [0, 1]}}, {}, r"may be the labels \(age, weight\)"),
        ({"columns": {"face": [b"", b""]}}, {}, r"may be the images \(img, face\): choose one with image_column"),
        ({}, {"label_column": "lable"}, "unknown label column 'lable': did you mean label.* valid: label"),
        ({}, {"image_column": "label"}, "unknown image column 'label': valid: img"),
    ],
)
def test_columns_that_leave_a_choice(
    tmp_path: Path, written: dict[str, Any], fields: dict[str, Any], message: str
) -> None:
    pictures.parquet(tmp_path / "birds" / "train-0.parquet", [0, 1], **written)
    with pytest.raises(UsageError, match=f"dataset 'birds': .*{message}") as raised:
        load(birds(**fields), tmp_path)
    assert "\n" not in str(raised.value)


def test_parquet_files_without_images_or_training_split(tmp_path: Path) -> None:
    pictures.parquet(tmp_path / "birds" / "test-0.parquet", [0, 1])
    with pytest.raises(UsageError, match=r"no Parquet file in .*birds has a name that begins with train-"):
        load(birds(), tmp_path)
    pq.write_table(pa.table({"label": [0, 1]}), tmp_path / "birds" / "train-0.parquet")
    with pytest.raises(UsageError, match=r"no column holds images: .* columns: label \(int64\)"):
        load(birds(), tmp_path)


def test_several_folders_of_parquet_files(tmp_path: Path) -> None:
    for name in ("large", "small"):
        two_shards(tmp_path / "birds" / name)
    with pytest.raises(UsageError, match=r"several folders below .* \(large, small\): choose one with path"):
        load(birds(), tmp_path)
    assert len(load(birds(path="birds/small"), tmp_path).train) == 6


def test_a_damaged_parquet_file_is_named(tmp_path: Path) -> None:
    two_shards(tmp_path / "birds")
    shard = tmp_path / "birds" / "train-00001-of-00002.parquet"
    shard.write_bytes(shard.read_bytes()[:-20])
    with pytest.raises(UsageError, match=r"train-00001-of-00002.parquet cannot be read as Parquet"):
        load(birds(), tmp_path)


def test_every_wrong_row_is_reported(tmp_path: Path) -> None:
    good = pictures.encoded(pictures.picture(0))
    images = [good, b"nonsense", good[:-30], None, good, good]
    pictures.parquet(tmp_path / "birds" / "train-a.parquet", [0, 1, 2, 0, 3, -1], images=images, names="abc")
    pictures.parquet(tmp_path / "birds" / "test-a.parquet", [0, 1, None], names="abc", first=9)
    with pytest.raises(UsageError) as raised:
        load(birds(), tmp_path)
    message = str(raised.value)
    assert "\n" not in message
    assert "7 problems" in message
    for problem in (
        "train-a.parquet row 1 is not an image that Pillow knows",
        "train-a.parquet row 2 cannot be decoded",
        "train-a.parquet row 3 has no image bytes",
        "train-a.parquet row 4 has label 3, valid are whole numbers 0 to 2",
        "train-a.parquet row 5 has label -1, valid are whole numbers 0 to 2",
        "test-a.parquet row 2 has label None, valid are whole numbers 0 to 2",
        "class 2 has no test image",
    ):
        assert problem in message


def test_of_many_problems_the_first_are_shown_and_all_counted(tmp_path: Path) -> None:
    pictures.parquet(tmp_path / "birds" / "train-a.parquet", [0] * 25, images=[b"x"] * 25)
    with pytest.raises(UsageError, match=r"25 problems: train-a.parquet row 0 .*row 9 [^;]*; and 15 more$"):
        load(birds(), tmp_path)


def test_classes_that_a_split_lacks(tmp_path: Path) -> None:
    pictures.parquet(tmp_path / "birds" / "train-0.parquet", [0, 2])
    pictures.parquet(tmp_path / "birds" / "test-0.parquet", [0, 1, 2], first=2)
    with pytest.raises(UsageError, match="1 problem: class 1 has no training image"):
        load(birds(), tmp_path)


SPLITS = {"train": {"cat": 3, "ant": 2}, "val": {"ant": 1, "cat": 2}}


def test_a_folder_of_images(tmp_path: Path) -> None:
    pictures.folder(tmp_path / "birds", SPLITS)
    splits = load(birds(), tmp_path)
    assert splits.classes == 2
    assert splits.train.labels.tolist() == [0, 0, 1, 1, 1]
    assert splits.test.labels.tolist() == [0, 1, 1]
    np.testing.assert_array_equal(splits.train.pixels, np.stack([pictures.pixels(n) for n in (3, 4, 0, 1, 2)]))


@pytest.mark.parametrize("name", ["Train", "training"])
def test_a_split_of_another_name_is_no_class(tmp_path: Path, name: str) -> None:
    (pictures.folder(tmp_path / "birds", SPLITS) / "train").rename(tmp_path / "birds" / name)
    with pytest.raises(UsageError, match=f"has '{name}', 'val', which look like splits, but no 'train'; valid: train"):
        load(Dataset(name="birds"), tmp_path)


def test_the_test_folder_is_preferred_to_the_validation_folder(tmp_path: Path) -> None:
    pictures.folder(tmp_path / "birds", {**SPLITS, "test": {"ant": 2, "cat": 2}})
    assert len(load(birds(), tmp_path).test) == 4


def test_a_folder_of_classes_alone_is_a_training_split(tmp_path: Path) -> None:
    pictures.folder(tmp_path / "birds", {"": {"ant": 6, "cat": 6}})
    assert load(birds(test=4), tmp_path).test.labels.tolist() == [0, 0, 1, 1]


def test_what_is_wrong_with_a_folder_is_reported_by_file(tmp_path: Path) -> None:
    root = pictures.folder(
        tmp_path / "birds", {"train": {"ant": 2, "bee": 1, "cat": 2}, "val": {"ant": 1, "bee": 1, "dog": 1}}
    )
    (root / "train" / "bee" / "0.png").unlink()
    (root / "train" / "cat" / "1.png").write_bytes(b"")
    whole = (root / "val" / "ant" / "0.png").read_bytes()
    (root / "val" / "ant" / "0.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UsageError) as raised:
        load(birds(), tmp_path)
    message = str(raised.value)
    assert "5 problems" in message
    for problem in (
        "train class bee has no images",
        "class cat is in the training split only",
        "class dog is in the test split only",
        "train/cat/1.png is not an image that Pillow knows",
        "val/ant/0.png cannot be decoded",
    ):
        assert problem in message


def test_files_that_are_no_images_are_passed_over_with_a_word(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = pictures.folder(tmp_path / "birds", SPLITS)
    (root / "train" / "cat" / "notes.txt").write_text("a cat")
    (root / "train" / "cat" / ".DS_Store").write_text("")
    with caplog.at_level(logging.WARNING):
        assert len(load(birds(), tmp_path).train) == 5
    assert "passed over, no image by its suffix: notes.txt" in caplog.text


def test_tiny_imagenets_own_layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small(monkeypatch, "tiny_imagenet", 2, 3, 2)
    root = tmp_path / "tiny-imagenet-200"
    for number, place in enumerate(
        [
            "train/n02/images/n02_0.JPEG",
            "train/n01/images/n01_0.JPEG",
            "train/n01/images/n01_1.JPEG",
            "val/images/val_0.JPEG",
            "val/images/val_1.JPEG",
            "test/images/test_0.JPEG",
        ]
    ):
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        pictures.picture(number, 64, 64, 1 if number == 1 else 3).save(root / place)
    (root / "val" / "val_annotations.txt").write_text("val_0.JPEG\tn02\t0\t0\t62\t62\nval_1.JPEG\tn01\t0\t0\t62\t62\n")
    splits = load(Dataset(name="tiny_imagenet"), tmp_path)
    assert splits.train.labels.tolist() == [0, 0, 1]
    assert splits.test.labels.tolist() == [0, 1]
    (root / "val" / "images" / "val_0.JPEG").unlink()
    with pytest.raises(UsageError, match=r"1 problem: val/images/val_0.JPEG cannot be decoded: .*No such file"):
        load(Dataset(name="tiny_imagenet"), tmp_path)


def test_a_corrected_annotation_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though no image has changed, nor their order by class."""
    small(monkeypatch, "tiny_imagenet", 2, 2, 3)
    root = pictures.folder(tmp_path / "tiny_imagenet", {"train": {"a": 1, "b": 1}, "val": {"images": 3}})
    for labels in ("aab", "abb"):
        lines = [f"{number}.png\t{label}\n" for number, label in enumerate(labels)]
        (root / "val" / "val_annotations.txt").write_text("".join(lines))
        test = load(Dataset(name="tiny_imagenet"), tmp_path).test
        assert test.labels.tolist() == ["ab".index(label) for label in labels]


def test_a_published_name_stands_for_the_published_images(tmp_path: Path) -> None:
    pictures.parquet(tmp_path / "cifar10" / "train-0.parquet", [0, 1])
    pictures.parquet(tmp_path / "cifar10" / "test-0.parquet", [0, 1], first=2)
    with pytest.raises(UsageError, match="'cifar10' has 10 classes, 50000 training and 10000 test images, found"):
        load(Dataset(name="cifar10"), tmp_path)


def test_parquet_comes_before_a_folder_and_a_folder_before_torchvisions_layout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small(monkeypatch, "mnist", 2, 4, 3)
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
    small(monkeypatch, name, 2, 4, 3)
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


def test_svhn_from_torchvisions_layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small(monkeypatch, "svhn", 10, 10, 10)
    monkeypatch.setattr(torchvision().datasets.SVHN, "_check_integrity", lambda self: True)
    digits = [*range(1, 10), 10]  # SVHN calls 0 ten
    for first, split in ((0, "train"), (10, "test")):
        images = np.stack([pictures.pixels(first + n, 32, 32) for n in range(10)], axis=3)
        scipy.io.savemat(tmp_path / f"{split}_32x32.mat", {"X": images, "y": np.array(digits)[:, None]})
    splits = load(Dataset(name="svhn"), tmp_path)
    assert splits.train.labels.tolist() == [*range(1, 10), 0]
    np.testing.assert_array_equal(splits.test.pixels, np.stack([pictures.pixels(10 + n, 32, 32) for n in range(10)]))


def test_stl10_from_torchvisions_layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small(monkeypatch, "stl10", 2, 2, 2)
    monkeypatch.setattr(torchvision().datasets.STL10, "_check_integrity", lambda self: True)
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
    small(monkeypatch, "mnist", 2, 4, 3)
    asked = []

    def download(self: Any) -> None:
        asked.append(self.root)
        if not Path(self.raw_folder).exists():
            write_mnist(Path(self.raw_folder))

    monkeypatch.setattr(torchvision().datasets.MNIST, "download", download)
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

    monkeypatch.setattr(torchvision().datasets.MNIST, "download", download)
    with pytest.raises(UsageError, match=r"'mnist' is not in .* cannot be downloaded there: .*no network") as raised:
        load(Dataset(name="mnist"), tmp_path, download=True)
    assert "\n" not in str(raised.value)


def test_a_path_that_holds_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"'birds': .*nowhere is not there or holds none of: train-"):
        load(birds(path="nowhere"), tmp_path)
    (tmp_path / "birds").mkdir()
    with pytest.raises(UsageError, match=r"'birds': .*birds is not there or holds none of: train-"):
        load(birds(), tmp_path)


def test_cifar100_from_the_hubs_files() -> None:
    source = Path(os.environ.get(ENVIRONMENT, ""))
    if not os.environ.get(ENVIRONMENT) or not any(source.glob("cifar100/*.parquet")):
        pytest.skip(f"{ENVIRONMENT} names no folder with cifar100/*.parquet")
    splits = load(Dataset(name="cifar100", validation=5000), source)
    assert [len(s) for s in (splits.train, splits.validation, splits.test)] == [45_000, 5_000, 10_000]
    assert splits.classes == 100
    for images in (splits.train, splits.validation, splits.test):
        assert images.pixels.shape[1:] == (32, 32, 3)
        assert torch.bincount(images.labels).tolist() == [len(images) // 100] * 100
    mean = torch.stack(
        [images.pixels.double().mean((0, 1, 2)) * len(images) for images in (splits.train, splits.validation)]
    )
    published = torch.tensor([0.5071, 0.4867, 0.4408], dtype=torch.float64)
    torch.testing.assert_close(mean.sum(0) / 50_000 / 255, published, atol=1e-3, rtol=0)
    assert splits.test_duplicates > 0
