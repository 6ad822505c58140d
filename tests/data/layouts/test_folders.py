"""Folders of images: what is a split, a class, an image, and what is wrong with them, by name."""

import os
import shutil
from pathlib import Path

import numpy as np
import pictures
import pytest
import torch
from PIL import Image

from benchmark.data import load
from benchmark.ground.errors import UsageError
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
    for name in ("n01", "n02"):
        (root / "train" / name / f"{name}_boxes.txt").write_text(f"{name}_0.JPEG\t0\t10\t63\t58\n")
    (root / "val" / "val_annotations.txt").write_text("val_0.JPEG\tn02\t0\t0\t62\t62\nval_1.JPEG\tn01\t0\t0\t62\t62\n")
    splits = load(Dataset(name="tiny_imagenet"), tmp_path)
    assert splits.train.labels.tolist() == [0, 0, 1]
    assert splits.test.labels.tolist() == [0, 1]
    (root / "val" / "images" / "val_0.JPEG").unlink()
    with pytest.raises(UsageError, match=r"1 problem: val/images/val_0.JPEG is not there"):
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


RUBBISH = (".DS_Store", "._0.png", "Thumbs.db", "thumbs.DB", "desktop.ini", "0.png:Zone.Identifier", ".gitkeep")


@pytest.mark.parametrize("place", ["train/cat", "train", "."])
def test_rubbish_is_passed_over(tmp_path: Path, place: str, caplog: pytest.LogCaptureFixture) -> None:
    root = pictures.folder(tmp_path / "birds", SPLITS)
    for name in RUBBISH:
        (root / place / name).write_text("rubbish")
    for folder in (".ipynb_checkpoints", "__MACOSX", "@eaDir"):
        shutil.copytree(root / "train" / "ant", root / place / folder)
    assert load(pictures.birds(), tmp_path).train.labels.tolist() == [0, 0, 1, 1, 1]
    assert "not used" not in caplog.text


def test_everything_else_in_a_class_folder_is_an_image_or_an_error(tmp_path: Path) -> None:
    root = pictures.folder(tmp_path / "birds", SPLITS)
    place = root / "train" / "cat"
    (place / "notes.txt").write_text("a cat")
    (place / "0.heic").write_bytes(b"\0\0\0\x18ftypheic")
    (place / "gone.png").symlink_to("nowhere.png")
    (place / "circle.png").symlink_to("circle.png")
    (place / "zero.png").symlink_to("/dev/zero")
    os.mkfifo(place / "pipe.png")
    with pytest.raises(UsageError) as raised:
        load(pictures.birds(), tmp_path)
    for problem in (
        "6 problems",
        "train/cat/notes.txt is not an image that Pillow knows",
        "train/cat/0.heic is not an image that Pillow knows",
        "train/cat/gone.png is a link to nothing",
        "train/cat/circle.png is a link that leads nowhere: Too many levels of symbolic links",
        "train/cat/zero.png is no regular file",
        "train/cat/pipe.png is no regular file",
    ):
        assert problem in str(raised.value)


@pytest.mark.parametrize("name", ["gone.png", "more"])
def test_a_defect_that_comes_later_is_noticed(tmp_path: Path, name: str) -> None:
    root = pictures.folder(tmp_path / "birds", SPLITS)
    load(pictures.birds(), tmp_path)
    (root / "train" / "cat" / name).symlink_to("nowhere" if name == "gone.png" else "../ant")
    with pytest.raises(UsageError, match="1 problem: train/cat/"):
        load(pictures.birds(), tmp_path)


KINDS = (("gif", "GIF"), ("avif", "AVIF"), ("jp2", "JPEG2000"), ("jfif", "JPEG"), ("JPG", "JPEG"), ("x", "WEBP"))


def test_images_are_known_by_their_content(tmp_path: Path) -> None:
    """Whatever their suffix, or with none, or with a dot before their name."""
    names = [(f"0.{suffix}", kind) for suffix, kind in KINDS if kind in features()] + [("1", "PNG"), (".2.png", "PNG")]
    for label in ("a", "b"):
        (tmp_path / "birds" / label).mkdir(parents=True)
        for number, (name, kind) in enumerate(names):
            pictures.picture(number).save(tmp_path / "birds" / label / name, kind)
    splits = load(pictures.birds(test=2), tmp_path)
    assert torch.bincount(splits.train.labels).tolist() == [len(names) - 1] * 2


def features() -> set[str]:
    """What this build of Pillow writes."""
    Image.init()
    return set(Image.SAVE)


@pytest.mark.parametrize("suffix", ["gif", "avif", "jp2", "jfif", ""])
def test_a_folder_of_one_kind_is_there(tmp_path: Path, suffix: str) -> None:
    kinds = {"": "PNG", **dict(KINDS)}
    if kinds[suffix] not in features():
        pytest.skip(f"this Pillow writes no {kinds[suffix]}")
    for number, label in enumerate("abab"):
        (tmp_path / "birds" / label).mkdir(parents=True, exist_ok=True)
        pictures.picture(number).save(tmp_path / "birds" / label / f"{number}.{suffix}".rstrip("."), kinds[suffix])
    assert load(pictures.birds(test=2), tmp_path).test.labels.tolist() == [0, 1]


def test_links_are_followed(tmp_path: Path) -> None:
    """To images, to class folders, to folders below them and to splits."""
    pictures.folder(tmp_path / "store", {"ants": {"a": 2}, "cats": {"a": 1, "b": 2}, "test": {"ant": 1, "cat": 1}})
    root = tmp_path / "birds"
    (root / "train" / "cat").mkdir(parents=True)
    (root / "train" / "ant").symlink_to(tmp_path / "store" / "ants" / "a")
    (root / "train" / "cat" / "0.png").symlink_to(tmp_path / "store" / "cats" / "a" / "0.png")
    (root / "train" / "cat" / "more").symlink_to(tmp_path / "store" / "cats" / "b")
    (root / "test").symlink_to(tmp_path / "store" / "test")
    splits = load(pictures.birds(), tmp_path)
    assert splits.train.labels.tolist() == [0, 0, 1, 1, 1]
    np.testing.assert_array_equal(splits.train.pixels, np.stack([pictures.pixels(n) for n in range(5)]))
    assert splits.test.labels.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("link", "target", "message"),
    [
        ("train/cat/again", "../ant", "train/cat/again is the same folder as train/ant"),
        ("train/cat/up", "..", "train/cat/up/cat is the same folder as train/cat"),
        ("train/dog", "cat", "train/dog is the same folder as train/cat"),
        ("test", "train", "test/ant is the same folder as train/ant"),
    ],
)
def test_no_folder_is_read_twice(tmp_path: Path, link: str, target: str, message: str) -> None:
    root = pictures.folder(tmp_path / "birds", {"train": SPLITS["train"]})
    (root / link).symlink_to(target)
    with pytest.raises(UsageError, match=message):
        load(pictures.birds(test=1 if link != "test" else None), tmp_path)


def test_images_beside_the_classes_are_an_error(tmp_path: Path) -> None:
    root = pictures.folder(tmp_path / "birds", SPLITS)
    pictures.picture(70).save(root / "train" / "stray.JPEG")
    with pytest.raises(UsageError, match=r"1 problem: train/stray.JPEG lies in no class folder"):
        load(pictures.birds(), tmp_path)


def test_an_empty_class_is_an_error(tmp_path: Path) -> None:
    root = pictures.folder(tmp_path / "birds", SPLITS)
    for split in ("train", "val"):
        (root / split / "bee").mkdir()
    with pytest.raises(UsageError, match="2 problems: train class bee has no images; test class bee has no images"):
        load(pictures.birds(), tmp_path)


def test_names_of_files_do_not_break_lines(tmp_path: Path) -> None:
    root = pictures.folder(tmp_path / "birds", SPLITS)
    (root / "train" / "cat" / "a\nb\x1b[31m.png").write_text("")
    with pytest.raises(UsageError, match=r"train/cat/a\\nb\\x1b\[31m.png is not an image"):
        load(pictures.birds(), tmp_path)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("0.png\ta\n1.png\n", r"val_annotations.txt line 2 is no image's name, a tab and its class: '1.png'"),
        ("0.png\ta\n\n1.png\tb\n", "val_annotations.txt line 2 is no image's name"),
        ("0.png\ta\n../../x.png\tb\n", "line 2 is no image's name"),
        ("0.png\ta\n1.png\tb\n0.png\tb\n", "line 3 names an image again: '0.png"),
        ("0.png\ta\n1.png\tb\n", "1 problem: val/images/2.png is not in val_annotations.txt"),
        (b"0.png\t\xff\n", "val_annotations.txt cannot be read: 'utf-8' codec can't decode"),
        (None, "val_annotations.txt is no regular file"),
    ],
)
def test_annotations_that_leave_images_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: str | bytes | None, message: str
) -> None:
    pictures.small(monkeypatch, "tiny_imagenet", 2, 2, 3)
    root = pictures.folder(tmp_path / "tiny_imagenet", {"train": {"a": 1, "b": 1}, "val": {"images": 3}})
    file = root / "val" / "val_annotations.txt"
    if table is None:
        os.mkfifo(file)
    else:
        file.write_bytes(table if isinstance(table, bytes) else table.encode())
    with pytest.raises(UsageError, match=message):
        load(Dataset(name="tiny_imagenet"), tmp_path)
