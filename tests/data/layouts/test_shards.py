"""Which Parquet files are a split, in every layout that the hub has; whole series of them, and none twice."""

import os
from pathlib import Path

import numpy as np
import pictures
import pytest
from pictures import refused

from benchmark.data import load
from benchmark.ground.errors import UsageError

pytestmark = pytest.mark.usefixtures("own_cache")

HASHES = ("0123456789abcdef", "fedcba9876543210")


def write(root: Path, *names: str) -> None:
    """A file of two images each, pictures 0 and 1 in the first."""
    for number, name in enumerate(names):
        pictures.parquet(root / "birds" / f"{name}.parquet", [0, 1], first=2 * number)


@pytest.mark.parametrize(
    "names",
    [
        ("train", "test"),
        ("Train", "TEST"),
        ("training", "testing"),
        ("train-0", "train-1", "test-0"),
        ("train1", "train2", "test"),
        ("train-00000-of-00002", "train-00001-of-00002", "test-00000-of-00001"),
        ("train-00001-of-00002", "train-00002-of-00002", "test-00001-of-00001"),
        (f"train-00000-of-00002-{HASHES[1]}", f"train-00001-of-00002-{HASHES[0]}", f"test-00000-of-00001-{HASHES[0]}"),
        ("data/train-00000-of-00001", "data/test-00000-of-00001"),
        ("plain_text/train-00000-of-00001", "plain_text/test-00000-of-00001"),
        ("train/0000", "train/0001", "test/0000"),
        ("default/train/0000", "default/train/0001", "default/test/0000"),
        ("default/birds-train", "default/birds-test"),
        ("birds-train-00000-of-00002", "birds-train-00001-of-00002", "birds-test"),
        ("train/train-0", "train/train-1", "test/test-0"),
        ("train/part-00000", "train/part-00001", "test/part-00000"),
        ("train-0", "validation-0"),
        ("train-0", "dev-0"),
        ("default/train/0000", "default/validation/0000"),
        ("train-0", "test-0", "metadata"),
        ("data/train-0", "data/test-0", "metadata"),
        ("train/0000", "test/0000", "train/metadata"),
    ],
)
def test_layouts_that_are_read(tmp_path: Path, names: tuple[str, ...]) -> None:
    write(tmp_path, *names)
    splits = load(pictures.birds(), tmp_path)
    count = 2 * sum("train" in name.lower() and "metadata" not in name for name in names)
    np.testing.assert_array_equal(splits.train.pixels, np.stack([pictures.pixels(n) for n in range(count)]))
    np.testing.assert_array_equal(splits.test.pixels, np.stack([pictures.pixels(count + n) for n in range(2)]))
    assert splits.train.labels.tolist() == [0, 1] * (count // 2)


def test_ten_shards_are_read_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    write(tmp_path, *(f"train-{number}" for number in range(11)), "test")
    expected = np.stack([pictures.pixels(n) for n in range(22)])
    np.testing.assert_array_equal(load(pictures.birds(), tmp_path).train.pixels, expected)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("train-00000-of-00003", "train-00002-of-00003"), "the train split lacks 'train-00001-of-00003.parquet'"),
        (("train", "test-00001-of-00002"), "the test split lacks 'test-00000-of-00002.parquet'"),
        (("train", "val-00000-of-00002"), "the validation split lacks 'val-00001-of-00002.parquet'"),
        ((f"train-00000-of-00002-{HASHES[0]}",), "the train split lacks 'train-00001-of-00002.parquet'"),
        (("train-0", "train-2"), "the train split lacks 'train-1.parquet'"),
        (("train-3",), "lacks 'train-0.parquet', 'train-1.parquet', 'train-2.parquet': fetch the whole"),
        (
            ("train_224",),
            "221 more: fetch the whole data set, or, if 'train_224.parquet' is all of it, call that train.p",
        ),
        (("default/train/0000", "default/train/0002"), "the train split lacks '0001.parquet'"),
        (("train/0001", "train/0002"), "the train split lacks '0000.parquet'"),
        (
            ("train-0-of-99999999999",),
            "'train-3-of-99999999999.parquet' and 99999999995 more: fetch the whole data set",
        ),
        (("train-00000-of-00001", "train-00001-of-00001"), "has more shards than its names say: 'train-00001-of-0000"),
        (("train-00000-of-00000",), "has more shards than its names say: 'train-00000-of-00000.parquet'"),
        (
            ("train-00000-of-00001", "train-00000-of-00002", "train-00001-of-00002"),
            "the train split is there 2 times, .*: 'train-00000-of-00001.parquet', 'train-00000-of-00002.parquet'; k",
        ),
        (("train", "train (1)"), r"there 2 times, .*: 'train \(1\).parquet', 'train.parquet'; keep one"),
        (("train", "train-0"), "the train split has one shard twice: 'train-0.parquet', 'train.parquet'; keep one"),
        (tuple(f"train-00000-of-00001-{digits}" for digits in HASHES), "the train split has one shard twice: 'train-0"),
        (("train-a", "train-b"), "not numbered alike as train-00000-of-00002 is: 'train-a.parquet', 'train-b.parquet'"),
        (("train", "val", "valid"), "the validation split is there 2 times, .*: 'val.parquet', 'valid.parquet'"),
        (("train/0000", "train-0"), "the train split is there 2 times, .*'train-0.parquet', 'train/0000.parquet'"),
        (("default/partial-train/0000",), "default/partial-train holds only a part of the split: fetch the whole"),
        (("train/test-0",), "train/test-0.parquet is named for the test split in a folder for the train split"),
        (("a/train/0000", "b/train/0000"), r"several folders below .* \(a, b\): choose one with path = "),
        (("data/train-0", "default/train/0000"), r"several folders below .* \(data, default\): choose one with path"),
        (("trainer", "test"), "has a name that begins with train- or lies in a folder 'train'; found: 'test.parquet'"),
        (("metadata",), "birds holds 'metadata.parquet', and no images with classes; needed is train-"),
    ],
)
def test_what_is_missing_or_there_twice_is_named(tmp_path: Path, names: tuple[str, ...], message: str) -> None:
    write(tmp_path, *names)
    with pytest.raises(UsageError, match=message):
        load(pictures.birds(test=1), tmp_path)


def test_one_of_several_folders_is_chosen_by_its_path(tmp_path: Path) -> None:
    write(tmp_path, "a/train/0000", "a/test/0000", "b/train/0000", "b/train/0001", "b/test/0000")
    assert len(load(pictures.birds(path="birds/b"), tmp_path).train) == 4


def test_files_that_are_not_used_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path, "train-0", "test-0", "validation-0", "extra-0", "old/train-0")
    assert len(load(pictures.birds(), tmp_path).train) == 2
    assert "birds: not used: 'extra-0.parquet', 'old/train-0.parquet'" in caplog.messages
    why = "a validation split is drawn from the training images"
    assert f"birds: not used, {why}: the validation split" in caplog.messages


def test_a_stray_parquet_file_does_not_hide_a_folder_of_images(tmp_path: Path) -> None:
    root = pictures.folder(tmp_path / "birds", {"train": {"ant": 2, "cat": 1}, "test": {"ant": 1, "cat": 1}})
    for place in (root, root / "train"):
        pictures.parquet(place / "metadata.parquet", [0])
    assert load(pictures.birds(), tmp_path).train.labels.tolist() == [0, 0, 1]


def test_images_beside_parquet_files_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pictures.folder(tmp_path / "birds", {"train": {"ant": 2, "cat": 1}, "test": {"ant": 1, "cat": 1}})
    write(tmp_path, "data/train", "data/test")
    assert len(load(pictures.birds(), tmp_path).train) == 2
    assert "birds: not used: 'test', 'train'" in caplog.messages


@pytest.mark.parametrize("broken", ["train", "test"])
def test_what_is_no_regular_file_is_not_opened(tmp_path: Path, broken: str) -> None:
    write(tmp_path, "train", "test")
    file = tmp_path / "birds" / f"{broken}.parquet"
    file.unlink()
    os.mkfifo(file)
    assert f"{broken}.parquet is no regular file" in refused(tmp_path)
    file.unlink()
    file.symlink_to("/dev/zero")
    assert f"{broken}.parquet is no regular file" in refused(tmp_path)
    file.unlink()
    file.symlink_to("blob")
    assert f"{broken}.parquet is a link to nothing" in refused(tmp_path)
    file.unlink()
    file.mkdir()
    assert f"{broken}.parquet is a folder, not a file" in refused(tmp_path)
