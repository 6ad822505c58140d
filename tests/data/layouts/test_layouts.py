"""Which folders are splits and which are classes, in the layouts that archives and copies leave; none is guessed at."""

import shutil
from pathlib import Path

import pictures
import pytest
from pictures import labels, refused
from PIL import Image

from benchmark.data import load
from benchmark.ground.errors import UsageError

pytestmark = pytest.mark.usefixtures("own_cache")

EACH = {"ant": 2, "cat": 3}
OTHER = {"ant": 1, "cat": 1}


@pytest.mark.parametrize("train", ["train", "Train", "TRAINING"])
@pytest.mark.parametrize("held_out", ["test", "Testing", "eval", "val", "valid", "VALIDATION", "dev"])
def test_splits_by_every_usual_name(tmp_path: Path, train: str, held_out: str) -> None:
    pictures.folder(tmp_path / "birds", {train: EACH, held_out: OTHER})
    assert labels(tmp_path) == ([0, 0, 1, 1, 1], [0, 1])


@pytest.mark.parametrize("validation", ["val", "valid", "validation", "dev"])
@pytest.mark.parametrize("test", ["test", "testing"])
def test_a_test_split_comes_before_a_validation_split_and_that_is_said(
    tmp_path: Path, test: str, validation: str, caplog: pytest.LogCaptureFixture
) -> None:
    pictures.folder(tmp_path / "birds", {"train": EACH, validation: EACH, test: OTHER})
    assert labels(tmp_path)[1] == [0, 1]
    assert f"not used, a validation split is drawn from the training images: '{validation}'" in caplog.text


def test_a_test_split_without_classes_gives_way_to_a_validation_split(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As that of a competition, whose labels nobody has."""
    root = pictures.folder(tmp_path / "birds", {"train": EACH, "val": OTHER})
    (root / "test").mkdir()
    pictures.picture(90).save(root / "test" / "0.png")
    assert labels(tmp_path)[1] == [0, 1]
    assert "not used, no class folders: 'test'" in caplog.text


def test_without_a_validation_split_either_one_is_drawn_if_asked_for(tmp_path: Path) -> None:
    root = pictures.folder(tmp_path / "birds", {"train": EACH})
    (root / "test").mkdir()
    assert "no test split of its own: say how many images, test = N" in refused(tmp_path)
    assert labels(tmp_path, test=2) == ([0, 1, 1], [0, 1])


@pytest.mark.parametrize("names", [("train", "Train"), ("train", "training"), ("val", "valid"), ("test", "TEST")])
def test_two_folders_for_one_split(tmp_path: Path, names: tuple[str, str]) -> None:
    pictures.folder(tmp_path / "birds", {"train": EACH} | dict.fromkeys(names, OTHER))
    first, second = sorted(names)
    assert f"'{first}', '{second}' look like one split" in refused(tmp_path)


def test_what_an_archive_has_wrapped_is_unwrapped(tmp_path: Path) -> None:
    root = pictures.folder(tmp_path / "birds" / "birds", {"train": EACH, "test": OTHER})
    pictures.folder(tmp_path / "birds" / "__MACOSX", {"train": {"ant": 1}})
    assert labels(tmp_path, test=2) == ([0, 0, 1, 1, 1], [0, 1])
    root.rename(tmp_path / "inner")
    (tmp_path / "inner").rename(tmp_path / "birds" / "Birds 2")
    assert labels(tmp_path) == ([0, 0, 1, 1, 1], [0, 1])


def test_a_split_that_is_wrapped_in_itself(tmp_path: Path) -> None:
    pictures.folder(tmp_path / "birds", {"train/train": EACH, "test/Test": OTHER})
    assert labels(tmp_path) == ([0, 0, 1, 1, 1], [0, 1])


def test_classes_alone_may_be_wrapped(tmp_path: Path) -> None:
    pictures.folder(tmp_path / "birds" / "images", {"": EACH})
    assert labels(tmp_path, test=2) == ([0, 1, 1], [0, 1])


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ({"test": OTHER, "val": OTHER}, "has 'test', 'val', which look like splits, but no 'train'; valid: train, and"),
        ({"seg_train/seg_train": EACH, "seg_test/seg_test": EACH}, "has 'seg_test', 'seg_train', which look like spl"),
        ({"training_set": EACH, "test_set": OTHER, "x": OTHER}, "has 'test_set', 'training_set', 'x', which look like"),
        ({"ant": {"train": 2, "test": 1}, "cat": {"train": 2, "test": 1}}, "'ant' holds 'test', 'train': splits lie"),
        ({"a/train": EACH, "a/test": OTHER, "b/train": EACH}, "'a' holds 'test', 'train': .* choose it with path = "),
        ({"train/train": EACH, "train/val": OTHER}, "train/train has a split's name where classes.*; train/val has"),
        ({"train/ant": {"train": 1, "val": 1}, "train/cat": {"x": 1}}, "train/ant/train has a split's name below a cl"),
        ({"trainset": EACH, "testset": OTHER}, "'testset' and 'trainset' both hold 'ant', 'cat': if these are the cl"),
        ({"amazon/images": EACH, "dslr/images": OTHER}, "'amazon' and 'dslr' both hold 'ant', 'cat': .*several data"),
        ({"train": EACH, "holdout": OTHER}, "'holdout' holds classes of 'train', but its name is no split's: call it"),
        ({"train": EACH, "test_images/x": OTHER}, "'test_images' holds classes of 'train', but its name is no split"),
        ({"train": {"a": 2}, "test": {"a": 1}}, "1 problem: all images are of one class, 'a'"),
        ({"train/images": EACH, "test/images": OTHER}, "1 problem: all images are of one class, 'images'"),
    ],
)
def test_layouts_that_would_be_taken_for_another(
    tmp_path: Path, layout: dict[str, dict[str, int]], message: str
) -> None:
    pictures.folder(tmp_path / "birds", layout)
    with pytest.raises(UsageError, match=message):
        load(pictures.birds(test=1), tmp_path)


def test_views_of_classes_count_once_the_classes_are_told_from_splits(tmp_path: Path) -> None:
    pictures.folder(tmp_path / "birds" / "train", {name: {"front": 2, "back": 2} for name in EACH})
    assert labels(tmp_path, test=2) == ([0, 0, 0, 1, 1, 1], [0, 1])


@pytest.mark.parametrize("link", ["test", "val", "train/dog", "test/dog", "README"])
def test_no_class_or_split_is_passed_over_that_a_broken_link_stands_for(tmp_path: Path, link: str) -> None:
    root = pictures.folder(tmp_path / "birds", {"train": EACH} | ({"test": OTHER} if link != "test" else {}))
    (root / link).symlink_to("gone")
    assert f"1 problem: {link} is a link to nothing" in refused(tmp_path, test=2)


def test_classes_that_sound_like_splits(tmp_path: Path) -> None:
    pictures.folder(tmp_path / "birds", {"": {"bullet_train": 3, "test_tube": 3}})
    assert labels(tmp_path, test=2) == ([0, 0, 1, 1], [0, 1])


def test_what_was_found_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    layout = {"train": EACH, "test": OTHER, "extra": {"x": 1}, "train/cat": {"in the dark": 2}}
    root = pictures.folder(tmp_path / "birds", layout)
    for beside in ("labels.csv", "metadata.jsonl"):
        (root / "train" / beside).write_text("{}")
    load(pictures.birds(), tmp_path)
    lines = [record.getMessage() for record in caplog.records if "decoding" not in record.getMessage()]
    assert lines == [
        "birds: found 7 training + 2 test images of 2 classes: ant 2 + 1, cat 5 + 1",
        "birds: not used, neither split nor class: 'extra'",
        "birds: not used, not in a class folder: 'train/labels.csv', 'train/metadata.jsonl'",
        "birds: images of subfolders count to the class above: 'train/cat/in the dark'",
    ]
    caplog.clear()
    load(pictures.birds(), tmp_path)
    assert not caplog.records


def test_copies_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A validation split that is drawn from them is no stranger to the network."""
    root = pictures.folder(tmp_path / "birds", {"train": EACH, "test": OTHER})
    for number in range(2):
        shutil.copy(root / "train" / "cat" / "0.png", root / "train" / "cat" / f"0 ({number}).png")
    load(pictures.birds(), tmp_path)
    assert "birds: 2 training images equal another one of them, pixel by pixel" in caplog.messages


def test_of_many_classes_the_first_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pictures.folder(tmp_path / "birds", {"": {f"{number:02}": 2 for number in range(12)}})
    load(pictures.birds(test=12), tmp_path)
    shown = ", ".join(f"{number:02} 2" for number in range(10))
    assert f"birds: found 24 training images of 12 classes: {shown}, and 2 more" in caplog.messages


def test_one_name_in_two_spellings_is_one_class(tmp_path: Path) -> None:
    """As systems write an accented letter: as one, or as a letter and an accent."""
    composed, apart = "gr\u00f6\u00dfe", "gro\u0308\u00dfe"
    root = pictures.folder(tmp_path / "birds", {"train": {"a b": 1, apart: 2}, "test": {"a b": 1, composed: 1}})
    assert labels(tmp_path) == ([0, 1, 1], [0, 1])
    pictures.folder(root, {"train": {composed: 1}})
    assert "has the name of another class in another spelling" in refused(tmp_path)


def test_a_place_without_images_is_described(tmp_path: Path) -> None:
    assert f"{tmp_path / 'no'} is not there; needed is train-*.parquet" in refused(tmp_path, path="no")
    (tmp_path / "birds.zip").write_text("")
    assert f"{tmp_path / 'birds.zip'} is no folder; needed" in refused(tmp_path, path="birds.zip")
    (tmp_path / "birds").mkdir()
    for name in ("train.zip", ".DS_Store", "list.txt"):
        (tmp_path / "birds" / name).write_text("")
    assert f"{tmp_path / 'birds'} holds 'list.txt', 'train.zip', and no images with classes" in refused(tmp_path)


def test_a_training_folder_without_classes(tmp_path: Path) -> None:
    (tmp_path / "birds" / "train").mkdir(parents=True)
    assert "1 problem: train holds no class folders" in refused(tmp_path)
    for name in ("cat.0.png", "dog.0.png"):
        Image.new("L", (4, 4)).save(tmp_path / "birds" / "train" / name)
    assert "train/cat.0.png lies in no class folder; train/dog.0.png lies in no class folder" in refused(tmp_path)
