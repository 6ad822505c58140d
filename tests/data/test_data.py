"""Data sets as they are read: whole, the ones that were meant, and split once for all, stratified by class."""

import gzip
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pictures
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from benchmark.data import Images, load, record_split
from benchmark.ground.errors import UsageError
from benchmark.records import Folder
from benchmark.spec import Dataset
from benchmark.spec.datasets import KNOWN

CACHE = "RELATIONAL_DISTILLATION_CACHE"
ROOT = Path(__file__).parents[2]
ENVIRONMENT = "RELATIONAL_DISTILLATION_DATA"
"""Names a folder with data sets that tests may read; nothing is ever downloaded."""


def digits(**fields: Any) -> Dataset:
    return Dataset.model_validate({"name": "digits", "validation": 100, "test": 500, **fields})


def rows(images: Images) -> set[bytes]:
    """Images as values. Digits holds no image twice, so they say which images these are."""
    return {pixels.numpy().tobytes() for pixels in images.pixels}


def test_digits_are_scikit_learns() -> None:
    splits = load(digits())
    bundle = load_digits()
    assert splits.classes == 10
    assert [len(s) for s in (splits.train, splits.validation, splits.test)] == [1197, 100, 500]
    assert splits.train.pixels.dtype == torch.uint8
    assert splits.train.pixels.shape == (1197, 8, 8, 1)
    expected = {
        (np.rint(image * 255 / 16).astype(np.uint8).tobytes(), int(label))
        for image, label in zip(bundle.images, bundle.target, strict=True)
    }
    found = {
        (pixels.numpy().tobytes(), int(label))
        for split in (splits.train, splits.validation, splits.test)
        for pixels, label in zip(split.pixels, split.labels, strict=True)
    }
    assert found == expected


@pytest.mark.parametrize("train", [None, 200])
def test_splits_are_disjoint_and_stratified(train: int | None) -> None:
    splits = load(digits(train=train))
    parts = splits.train, splits.validation, splits.test
    sets = [rows(part) for part in parts]
    assert [len(s) for s in sets] == [len(part) for part in parts] == [train or 1197, 100, 500]
    assert len(set.union(*sets)) == sum(map(len, sets))
    share = torch.bincount(torch.from_numpy(load_digits().target)) / 1797
    for part in parts:
        counts = torch.bincount(part.labels, minlength=10)
        assert (counts - share * len(part)).abs().max() <= 1.5


def test_a_class_of_a_single_image_is_trained_on(tmp_path: Path) -> None:
    """As long-tailed data have them."""
    pictures.folder(tmp_path / "tailed", {"train": {"a": 6, "b": 4, "c": 1}, "test": {"a": 1, "b": 1, "c": 1}})
    splits = load(Dataset(name="tailed", validation=5), tmp_path)
    assert splits.validation is not None
    assert sorted(splits.validation.labels.tolist()) == [0, 0, 0, 1, 1]
    assert sorted(splits.train.labels.tolist()) == [0, 0, 0, 1, 1, 2]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"label_column": "fine"}, "is scikit-learn's, which has no columns to choose"),
        ({"storage": "streamed"}, "is scikit-learn's, of arrays: storage = 'resident'"),
        ({}, "there is a folder .*digits: if that is meant, say path = 'digits' in its entry"),
    ],
)
def test_what_scikit_learns_digits_have_not_got_is_refused(
    fields: dict[str, Any], message: str, tmp_path: Path
) -> None:
    if not fields:
        pictures.folder(tmp_path / "digits", {"train": {"a": 1, "b": 1}})
    with pytest.raises(UsageError, match=message):
        load(digits(**fields), tmp_path)


def test_splits_are_fixed_and_their_seed_changes_them() -> None:
    assert load(digits()).sha256 == load(digits()).sha256
    assert torch.equal(load(digits()).train.pixels, load(digits()).train.pixels)
    assert load(digits(split_seed=1)).sha256 != load(digits()).sha256
    assert rows(load(digits(split_seed=1)).test) != rows(load(digits()).test)


def test_a_draw_that_takes_all_images_of_a_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))
    pictures.folder(tmp_path / "birds", {"": {"a": 20, "b": 20, "c": 2}})
    assert load(Dataset(name="birds", test=5), tmp_path).train.labels.bincount().tolist() == [18, 17, 2]
    with pytest.raises(
        UsageError, match="'birds': 1 of 3 classes have none of the 4 images that are left for training"
    ):
        load(Dataset(name="birds", test=38), tmp_path)


def test_fewer_training_images_are_tested_on_the_same_ones() -> None:
    few, many = load(digits(train=100)), load(digits())
    assert rows(few.test) == rows(many.test)
    assert rows(few.validation) == rows(many.validation)
    assert rows(few.train) < rows(many.train)


def test_the_hash_covers_the_split() -> None:
    hashes = {load(digits(train=train)).sha256 for train in (None, 100, 101)}
    assert len(hashes) == 3


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "digit"}, "unknown dataset 'digit': did you mean digits"),
        ({"name": "nothing_like_it"}, "unknown dataset 'nothing_like_it': valid: cifar10, cifar100, digits"),
        ({"test": None}, "no test split of its own: say how many images, test = N"),
        ({"test": 1798}, "has 1797 images left, test = 1798 asks for more"),
        ({"validation": 1298}, "has 1297 images left, validation = 1298 asks for more"),
        ({"train": 1198}, "has 1197 images left, train = 1198 asks for more"),
        ({"train": 5}, "cannot be split with train = 5: .*number of classes = 10"),
        ({"validation": 1297}, "10 of 10 classes have none of the 0 images that are left for training: choose other"),
        ({"validation": 1290}, "cannot be split with validation = 1290: .*number of classes = 10"),
        ({"name": "cifar100"}, "'cifar100' needs --data-dir"),
    ],
)
def test_what_cannot_be_had_is_a_usage_error(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as raised:
        load(digits(**fields))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_files_that_are_not_there_are_a_usage_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=f"'{name}' is not in '{tmp_path}', or is damaged") as raised:
        load(Dataset(name=name), tmp_path)
    assert "\n" not in str(raised.value)
    assert not list(tmp_path.iterdir())


def test_fashion_mnist_from_torchvisions_layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Path(os.environ.get(ENVIRONMENT, ""))
    archives = sorted((source / "FashionMNIST" / "raw").glob("*-ubyte.gz"))
    if not os.environ.get(ENVIRONMENT) or len(archives) != 4:
        pytest.skip(f"{ENVIRONMENT} names no folder with FashionMNIST/raw/*.gz")
    monkeypatch.setenv(CACHE, str(tmp_path))
    splits = load(Dataset(name="fashion_mnist", train=1000, validation=500), source)
    assert [len(s) for s in (splits.train, splits.validation, splits.test)] == [1000, 500, 10_000]
    assert splits.classes == 10
    labels, pixels = (gzip.decompress(archives[which].read_bytes()) for which in (1, 0))
    assert splits.test.labels.tolist() == list(labels[8:])
    assert splits.test.pixels.numpy().tobytes() == pixels[16:]
    for split in (splits.train, splits.validation):
        assert torch.bincount(split.labels).tolist() == [len(split) // 10] * 10


REFERENCE = {"digits": ("digits",), "cifar100": ("cifar100_cpu", "cifar100_brief"), "fashion_mnist": ("fashion_mnist",)}


@pytest.mark.parametrize("name", REFERENCE)
@pytest.mark.usefixtures("own_cache")
def test_committed_records_saw_the_images_and_labels_that_are_read_today(name: str) -> None:
    source = Path(os.environ.get(ENVIRONMENT, ""))
    known = {"cifar100": "cifar100/*.parquet", "fashion_mnist": "FashionMNIST/raw/*.gz"}
    if name in known and (not os.environ.get(ENVIRONMENT) or not any(source.glob(known[name]))):
        pytest.skip(f"{ENVIRONMENT} names no folder with {known[name]}")
    seen = {
        (record.run.dataset, record.result.data_sha256)
        for grid in REFERENCE[name]
        for record in Folder(ROOT / "results" / "reference" / grid).records()[0]
        if record.result is not None and record.result.data_sha256 is not None  # not applicable
    }
    assert seen
    for dataset, sha256 in seen:
        assert load(dataset, source if name in known else None).sha256 == sha256


def test_the_split_is_kept_with_the_grid(tmp_path: Path) -> None:
    dataset = digits(train=200)
    splits = load(dataset)
    record_split(dataset, splits, tmp_path)
    (file,) = (tmp_path / "splits").iterdir()
    assert file.name.startswith("digits-")
    held = json.loads(file.read_text())
    assert held["dataset"] == {"name": "digits", "train": 200, "validation": 100, "test": 500}
    pixels = np.rint(load_digits().images * 255 / 16).astype(np.uint8)[..., None]
    for name in ("train", "validation", "test"):
        images = getattr(splits, name)
        assert np.array_equal(pixels[held["positions"][name]], images.pixels)
    before = file.stat().st_mtime_ns
    record_split(dataset, splits, tmp_path)
    record_split(digits(split_seed=1), load(digits(split_seed=1)), tmp_path)
    assert file.stat().st_mtime_ns == before
    assert len(list((tmp_path / "splits").iterdir())) == 2


def test_a_folder_that_was_begun_with_other_images_takes_no_more(tmp_path: Path) -> None:
    record_split(digits(), load(digits()), tmp_path)
    with pytest.raises(UsageError, match=r"'digits' is not the one that .* was begun with .* another name"):
        record_split(digits(), load(digits(split_seed=3)), tmp_path)


def test_official_splits_are_not_written_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))
    pictures.folder(tmp_path / "birds", {"train": {"a": 4, "b": 4}, "test": {"a": 1, "b": 1}})
    assert load(Dataset(name="birds"), tmp_path).drawn == {"validation": []}
    assert len(load(Dataset(name="birds", validation=2), tmp_path).drawn["validation"]) == 2


def test_test_images_that_are_training_images_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By their pixels, however they are encoded and whatever their class; each test image once."""
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))
    root = pictures.folder(tmp_path / "birds", {"train": {"a": 4, "b": 4}, "test": {"a": 2, "b": 2}})
    assert load(Dataset(name="birds"), tmp_path).test_duplicates == 0
    for file, number in (("a/9.png", 0), ("b/9.bmp", 5), ("b/8.png", 0)):
        pictures.picture(number).save(root / "test" / file)
    pictures.picture(0).transpose(Image.Transpose.TRANSPOSE).save(root / "test" / "a" / "8.png")
    (root / "train" / "a" / "again.png").write_bytes((root / "train" / "a" / "0.png").read_bytes())
    for storage in ("resident", "streamed"):
        assert load(Dataset(name="birds", storage=storage), tmp_path).test_duplicates == 3
    assert load(digits()).test_duplicates == 0
