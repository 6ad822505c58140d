"""The cache of decoded images: built once, by whoever comes first, and never half."""

import json
import logging
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pictures
import pytest
import torch

from benchmark.data import cache, load
from benchmark.data.cache import cache_dir
from benchmark.data.source import Item
from benchmark.ground.errors import UsageError
from benchmark.spec import Dataset

BIRDS = Dataset(name="birds")
SPLITS = {"train": {"ant": 3, "cat": 2}, "val": {"ant": 1, "cat": 1}}


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with one set."""
    monkeypatch.delenv(cache.ENVIRONMENT, raising=False)
    pictures.folder(tmp_path / "data" / "birds", SPLITS)
    return tmp_path / "data"


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The images that were decoded, in order."""
    seen: list[str] = []
    whole = cache.decode_all

    def counting(items: Iterator[Item]) -> Iterator[Any]:
        for item, *found in whole(items):
            seen.append(item.origin)
            yield item, *found

    monkeypatch.setattr(cache, "decode_all", counting)
    return seen


def entries(root: Path) -> list[Path]:
    """Complete entries, and what was left of others."""
    return sorted(path for path in root.iterdir() if path.is_dir())


def test_images_are_decoded_once(data: Path, decoded: list[str], caplog: pytest.LogCaptureFixture) -> None:
    first = load(BIRDS, data)
    assert len(decoded) == 7
    (entry,) = entries(data / ".cache")
    assert f"birds: decoding the images in {data / 'birds'}, once, into {entry}" in caplog.text
    caplog.clear()
    again = load(BIRDS, data)
    assert len(decoded) == 7
    assert not caplog.text
    assert torch.equal(first.train.pixels, again.train.pixels)
    assert first.sha256 == again.sha256


def test_a_copy_of_the_same_images_is_the_same_data(data: Path, tmp_path: Path) -> None:
    pictures.folder(tmp_path / "elsewhere" / "birds", SPLITS)
    assert load(BIRDS, data).sha256 == load(BIRDS, tmp_path / "elsewhere").sha256


@pytest.mark.parametrize("change", ["rewritten", "added", "removed", "touched"])
def test_changed_files_are_decoded_again_with_a_message(
    data: Path, decoded: list[str], caplog: pytest.LogCaptureFixture, change: str
) -> None:
    before = load(BIRDS, data)
    (old,) = entries(data / ".cache")
    file = data / "birds" / "train" / "ant" / "0.png"
    if change == "rewritten":
        pictures.picture(99).save(file)
    elif change == "added":
        pictures.picture(99).save(file.with_name("9.png"))
    elif change == "removed":
        file.unlink()
    else:
        os.utime(file, (1, 1))
    after = load(BIRDS, data)
    assert len(decoded) == 7 + {"added": 8, "removed": 6}.get(change, 7)
    assert "have changed since they were decoded" in caplog.text
    assert (before.sha256 == after.sha256) == (change == "touched")
    (new,) = entries(data / ".cache")
    assert new != old


@pytest.mark.parametrize("file", ["train.images", "test.npz", "about.json"])
@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_a_damaged_entry_is_made_again(data: Path, decoded: list[str], file: str, damage: str) -> None:
    before = load(BIRDS, data).sha256
    (entry,) = entries(data / ".cache")
    if damage == "cut":
        os.truncate(entry / file, (entry / file).stat().st_size - 7)
    else:
        (entry / file).unlink()
    assert load(BIRDS, data).sha256 == before
    assert len(decoded) == 14
    assert load(BIRDS, data).sha256 == before
    assert len(decoded) == 14


def test_a_damaged_entry_of_other_files_is_left_alone(data: Path) -> None:
    load(BIRDS, data)
    (entry,) = entries(data / ".cache")
    (entry / "about.json").write_text("{")
    pictures.picture(99).save(data / "birds" / "train" / "ant" / "new.png")
    load(BIRDS, data)
    assert entry in entries(data / ".cache")


def test_a_cut_entry_of_several_sizes_is_made_again(data: Path, decoded: list[str]) -> None:
    pictures.picture(50, 9, 4).save(data / "birds" / "train" / "ant" / "0.png")
    load(BIRDS, data)
    (entry,) = entries(data / ".cache")
    os.truncate(entry / "train.images", (entry / "train.images").stat().st_size - 7)
    images = load(BIRDS, data).train
    assert len(decoded) == 14
    np.testing.assert_array_equal(images.pixels[0], pictures.pixels(50, 9, 4))
    np.testing.assert_array_equal(images.pixels[4], pictures.pixels(4))


def test_unusable_images_leave_nothing_behind(data: Path) -> None:
    (data / "birds" / "train" / "ant" / "0.png").write_bytes(b"")
    with pytest.raises(UsageError, match=r"train/ant/0.png is not an image"):
        load(BIRDS, data)
    assert entries(data / ".cache") == []


def _build(data: Path, started: Any, results: Any) -> None:
    started.wait()
    results.put(load(BIRDS, data).sha256)


def _hang(data: Path, hanging: Any) -> None:
    """Build an entry and stop in the middle of it."""
    whole = cache.decode_all

    def stuck(items: Iterator[Item]) -> Iterator[Any]:
        for number, each in enumerate(whole(items)):
            yield each
            if number == 2:
                hanging.set()
                time.sleep(1000)

    cache.decode_all = stuck
    load(BIRDS, data)


def test_builders_at_once_agree_and_one_does_the_work(data: Path) -> None:
    context = multiprocessing.get_context("fork")
    started, results = context.Event(), context.Queue()
    builders = [context.Process(target=_build, args=(data, started, results)) for _ in range(4)]
    for builder in builders:
        builder.start()
    started.set()
    hashes = {results.get(timeout=120) for _ in builders}
    for builder in builders:
        builder.join()
    assert hashes == {load(BIRDS, data).sha256}
    assert len(entries(data / ".cache")) == 1


def test_a_killed_builder_is_made_good_by_the_next(data: Path) -> None:
    context = multiprocessing.get_context("fork")
    hanging = context.Event()
    builder = context.Process(target=_hang, args=(data, hanging))
    builder.start()
    assert hanging.wait(timeout=120)
    assert builder.pid is not None
    os.kill(builder.pid, signal.SIGKILL)
    builder.join()
    (left,) = entries(data / ".cache")
    assert left.name.startswith(".birds.building-")
    assert len(load(BIRDS, data).train) == 5
    (entry,) = entries(data / ".cache")
    assert not entry.name.startswith(".")


def test_without_locks_the_first_to_end_is_kept(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(*arguments: Any) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(cache.fcntl, "flock", no_locks)
    expected = load(BIRDS, data).sha256
    (entry,) = entries(data / ".cache")
    kept = entry.stat().st_ino
    answers = iter([None, None])
    opened = cache._open
    monkeypatch.setattr(cache, "_open", lambda *arguments: next(answers, opened(*arguments)))  # a slower builder
    assert load(BIRDS, data).sha256 == expected
    assert entries(data / ".cache")[0].stat().st_ino == kept


def test_two_choices_of_columns_live_side_by_side(data: Path, decoded: list[str]) -> None:
    for split in ("train", "test"):
        pictures.parquet(data / "cubs" / f"{split}.parquet", [0, 1], columns={"other": [1, 0]})
    for label, expected in (("label", [0, 1]), ("other", [1, 0])) * 2:
        assert load(Dataset(name="cubs", label_column=label), data).train.labels.tolist() == expected
    assert len(decoded) == 8


def test_where_the_cache_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(cache.ENVIRONMENT, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "own"))
    assert cache_dir(tmp_path) == tmp_path / ".cache"
    assert cache_dir(None) == tmp_path / "own" / "relational-distillation"
    monkeypatch.setattr(os, "access", lambda *arguments: False)  # root may write anywhere
    assert cache_dir(tmp_path) == tmp_path / "own" / "relational-distillation"
    monkeypatch.setenv(cache.ENVIRONMENT, str(tmp_path / "scratch"))
    assert cache_dir(tmp_path) == tmp_path / "scratch"
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv(cache.ENVIRONMENT, "~/scratch")
    assert cache_dir(tmp_path) == tmp_path / "home" / "scratch"
    for name in (cache.ENVIRONMENT, "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, "")  # as an unset variable of a shell leaves it
    assert cache_dir(None) == tmp_path / "home" / ".cache" / "relational-distillation"


def test_a_cache_that_cannot_be_written(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (data / "file").write_text("")
    monkeypatch.setenv(cache.ENVIRONMENT, str(data / "file" / "cache"))
    with pytest.raises(UsageError, match=r"cannot keep decoded images in .*: Not a directory; another place"):
        load(BIRDS, data)


def test_the_pixels_are_mapped_not_read(data: Path) -> None:
    load(BIRDS, data)
    (entry,) = entries(data / ".cache")
    assert json.loads((entry / "about.json").read_text())["bytes"]["train"] == 5 * 6 * 6 * 3
    assert (entry / "train.images").stat().st_size == 5 * 6 * 6 * 3
    held = np.fromfile(entry / "test.images", np.uint8).reshape(2, 6, 6, 3)
    np.testing.assert_array_equal(held, np.stack([pictures.pixels(5), pictures.pixels(6)]))
    assert os.stat(entry).st_mode & 0o055 == 0o055  # others read it too


def test_messages_are_for_people(data: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        load(BIRDS, data)
    assert all("\n" not in record.getMessage() for record in caplog.records)
