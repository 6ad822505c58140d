"""Parquet files: which are found, which columns are read, and what is wrong with them, by row."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pictures
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from benchmark.data import load
from benchmark.ground.errors import UsageError
from benchmark.spec import Dataset

ENVIRONMENT = "RELATIONAL_DISTILLATION_DATA"

pytestmark = pytest.mark.usefixtures("own_cache")


def two_shards(folder: Path) -> None:
    pictures.parquet(folder / "train-00000-of-00002.parquet", [0, 1, 2])
    pictures.parquet(folder / "train-00001-of-00002.parquet", [2, 1, 0], first=3)
    pictures.parquet(folder / "test-00000-of-00001.parquet", [2, 0, 1], first=6)


@pytest.mark.parametrize("below", [".", "data", "plain_text"])
def test_parquet_shards_in_order(tmp_path: Path, below: str) -> None:
    two_shards(tmp_path / "birds" / below)
    splits = load(pictures.birds(), tmp_path)
    assert splits.classes == 3
    assert splits.train.labels.tolist() == [0, 1, 2, 2, 1, 0]
    assert splits.test.labels.tolist() == [2, 0, 1]
    for images, first in ((splits.train, 0), (splits.test, 6)):
        expected = np.stack([pictures.pixels(first + row) for row in range(len(images))])
        np.testing.assert_array_equal(images.pixels, expected)


@pytest.mark.parametrize("name", ["validation", "valid", "val"])
def test_a_validation_split_is_the_test_split_where_there_is_no_other(tmp_path: Path, name: str) -> None:
    pictures.parquet(tmp_path / "birds" / "train-0.parquet", [0, 1])
    pictures.parquet(tmp_path / "birds" / f"{name}-0.parquet", [1, 0, 0], first=2)
    assert load(pictures.birds(), tmp_path).test.labels.tolist() == [1, 0, 0]
    pictures.parquet(tmp_path / "birds" / "test-0.parquet", [1, 0], first=5)
    assert load(pictures.birds(), tmp_path).test.labels.tolist() == [1, 0]


def test_a_set_without_a_test_split_has_one_drawn(tmp_path: Path) -> None:
    pictures.parquet(tmp_path / "birds" / "train.parquet", [0, 1] * 6)
    with pytest.raises(UsageError, match="'birds' has no test split of its own: say how many images, test = N"):
        load(pictures.birds(), tmp_path)
    splits = load(pictures.birds(test=4), tmp_path)
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
    splits = load(pictures.birds(**fields), tmp_path)
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
        ({}, {"image_column": "label"}, "column 'label' is int64, but images are encoded images, as binary"),
    ],
)
def test_columns_that_leave_a_choice(
    tmp_path: Path, written: dict[str, Any], fields: dict[str, Any], message: str
) -> None:
    pictures.parquet(tmp_path / "birds" / "train-0.parquet", [0, 1], **written)
    with pytest.raises(UsageError, match=f"dataset 'birds': .*{message}") as raised:
        load(pictures.birds(**fields), tmp_path)
    assert "\n" not in str(raised.value)


def test_parquet_files_without_images_or_training_split(tmp_path: Path) -> None:
    pictures.parquet(tmp_path / "birds" / "test-0.parquet", [0, 1])
    with pytest.raises(UsageError, match=r"no Parquet file in .*birds has a name that begins with train-"):
        load(pictures.birds(), tmp_path)
    pq.write_table(pa.table({"label": [0, 1]}), tmp_path / "birds" / "train-0.parquet")
    with pytest.raises(UsageError, match=r"no column holds images: .* columns: label \(int64\)"):
        load(pictures.birds(), tmp_path)


def test_several_folders_of_parquet_files(tmp_path: Path) -> None:
    for name in ("large", "small"):
        two_shards(tmp_path / "birds" / name)
    with pytest.raises(UsageError, match=r"several folders below .* \(large, small\): choose one with path"):
        load(pictures.birds(), tmp_path)
    assert len(load(pictures.birds(path="birds/small"), tmp_path).train) == 6


def test_a_damaged_parquet_file_is_named(tmp_path: Path) -> None:
    two_shards(tmp_path / "birds")
    shard = tmp_path / "birds" / "train-00001-of-00002.parquet"
    shard.write_bytes(shard.read_bytes()[:-20])
    with pytest.raises(UsageError, match=r"train-00001-of-00002.parquet cannot be read as Parquet"):
        load(pictures.birds(), tmp_path)


def test_every_wrong_row_is_reported(tmp_path: Path) -> None:
    good = pictures.encoded(pictures.picture(0))
    images = [good, b"nonsense", good[:-30], None, good, good]
    pictures.parquet(tmp_path / "birds" / "train-a.parquet", [0, 1, 2, 0, 3, -1], images=images, names="abc")
    pictures.parquet(tmp_path / "birds" / "test-a.parquet", [0, 1, None], names="abc", first=9)
    with pytest.raises(UsageError) as raised:
        load(pictures.birds(), tmp_path)
    message = str(raised.value)
    assert "\n" not in message
    assert "7 problems" in message
    for problem in (
        "train-a.parquet row 1 is not an image that Pillow knows",
        "train-a.parquet row 2 cannot be decoded",
        "train-a.parquet row 3 has no image bytes",
        "train-a.parquet row 4 has label 3, valid are whole numbers 0 to 2",
        "train-a.parquet row 5 has label -1, valid are whole numbers 0 to 2",
        "test-a.parquet row 2 has no label",
        "class 2 has no test image",
    ):
        assert problem in message


def test_of_many_problems_the_first_are_shown_and_all_counted(tmp_path: Path) -> None:
    pictures.parquet(tmp_path / "birds" / "train-a.parquet", [0] * 25, images=[b"x"] * 25)
    with pytest.raises(UsageError, match=r"25 problems: train-a.parquet row 0 .*row 9 [^;]*; and 15 more$"):
        load(pictures.birds(), tmp_path)


def test_classes_that_a_split_lacks(tmp_path: Path) -> None:
    pictures.parquet(tmp_path / "birds" / "train-0.parquet", [0, 2])
    pictures.parquet(tmp_path / "birds" / "test-0.parquet", [0, 1, 2], first=2)
    with pytest.raises(UsageError, match="1 problem: class 1 has no training image"):
        load(pictures.birds(), tmp_path)


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
