"""Folders of images: what is a split, a class, an image, and what is wrong with them, by name."""

import logging
from pathlib import Path

import numpy as np
import pictures
import pytest

from benchmark.data import load
from benchmark.errors import UsageError
from benchmark.spec import Dataset

pytestmark = pytest.mark.usefixtures("own_cache")


SPLITS = {"train": {"cat": 3, "ant": 2}, "val": {"ant": 1, "cat": 2}}


def test_a_folder_of_images(tmp_path: Path) -> None:
    pictures.folder(tmp_path / "birds", SPLITS)
    splits = load(pictures.birds(), tmp_path)
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
    assert len(load(pictures.birds(), tmp_path).test) == 4


def test_a_folder_of_classes_alone_is_a_training_split(tmp_path: Path) -> None:
    pictures.folder(tmp_path / "birds", {"": {"ant": 6, "cat": 6}})
    assert load(pictures.birds(test=4), tmp_path).test.labels.tolist() == [0, 0, 1, 1]


def test_what_is_wrong_with_a_folder_is_reported_by_file(tmp_path: Path) -> None:
    root = pictures.folder(
        tmp_path / "birds", {"train": {"ant": 2, "bee": 1, "cat": 2}, "val": {"ant": 1, "bee": 1, "dog": 1}}
    )
    (root / "train" / "bee" / "0.png").unlink()
    (root / "train" / "cat" / "1.png").write_bytes(b"")
    whole = (root / "val" / "ant" / "0.png").read_bytes()
    (root / "val" / "ant" / "0.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UsageError) as raised:
        load(pictures.birds(), tmp_path)
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
        assert len(load(pictures.birds(), tmp_path).train) == 5
    assert "passed over, no image by its suffix: notes.txt" in caplog.text


def test_tiny_imagenets_own_layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures.small(monkeypatch, "tiny_imagenet", 2, 3, 2)
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
    pictures.small(monkeypatch, "tiny_imagenet", 2, 2, 3)
    root = pictures.folder(tmp_path / "tiny_imagenet", {"train": {"a": 1, "b": 1}, "val": {"images": 3}})
    for labels in ("aab", "abb"):
        lines = [f"{number}.png\t{label}\n" for number, label in enumerate(labels)]
        (root / "val" / "val_annotations.txt").write_text("".join(lines))
        test = load(Dataset(name="tiny_imagenet"), tmp_path).test
        assert test.labels.tolist() == ["ab".index(label) for label in labels]
