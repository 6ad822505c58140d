"""Streamed images: ImageNet's crops, the same batches whoever asks, the same records as any other run."""

import multiprocessing
import pickle
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pictures
import pytest
import tiny
import torch
from torch import Tensor

from benchmark import data
from benchmark.data import Images, load
from benchmark.data.cache import ENVIRONMENT, decoded
from benchmark.data.images import Encoded
from benchmark.data.source import Item, Source
from benchmark.ground.errors import UsageError
from benchmark.spec import Dataset, Recipe

STREAMED = Dataset(name="birds", storage="streamed")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path / "cache"))


def test_a_second_view_is_of_the_same_images_and_moves_no_first_view(birds: Path) -> None:
    first = epoch(training(birds), seed=1, number=3)
    batches = training(birds)
    views = batches.views(1, 3)
    for step in (0, 1, 2):
        second = batches.second_view(views, step)
        assert same([batches.training_batch(views, step)], [first[step]])
        assert second.shape == first[step][0].shape
        assert not torch.equal(second, first[step][0])
        assert torch.equal(training(birds).second_view(batches.views(1, 3), step), second)


@pytest.fixture
def birds(tmp_path: Path) -> Path:
    """A data folder with a set of ten training and four test images, of 20 x 30 pixels and one of 18 x 18."""
    root = pictures.folder(tmp_path / "birds", {"train": {"ant": 5, "cat": 4}, "val": {"ant": 2, "cat": 2}}, 20, 30)
    pictures.picture(77, 18, 18, 1).save(root / "train" / "cat" / "grey.png")
    return tmp_path


def recipe(**fields: Any) -> Recipe:
    """Pixels come out as they are, 0 to 255."""
    plain = {"epochs": 2, "batch_size": 4, "learning_rate": 0.1, "input_size": 8, "flip": True}
    return Recipe.model_validate({**plain, "mean": (0.0,) * 3, "std": (1 / 255,) * 3, **fields})


def training(birds: Path, **fields: Any) -> data.TrainingData:
    return data.training_data(load(STREAMED, birds).train, recipe(**fields), tiny.CPU)


def epoch(batches: data.TrainingData, seed: int = 0, number: int = 0, first: int = 0) -> list[tuple[Tensor, ...]]:
    views = batches.views(seed, number)
    return [batches.training_batch(views, step) for step in range(first, batches.steps)]


def same(ours: list[tuple[Tensor, ...]], theirs: list[tuple[Tensor, ...]]) -> bool:
    return all(all(map(torch.equal, a, b)) for a, b in zip(ours, theirs, strict=True))


def test_an_epoch_shows_every_image_once(birds: Path) -> None:
    splits = load(STREAMED, birds)
    shown = epoch(training(birds))
    assert [tuple(images.shape) for images, _, _ in shown] == [(4, 3, 8, 8), (4, 3, 8, 8), (2, 3, 8, 8)]
    assert sorted(torch.cat([index for _, _, index in shown]).tolist()) == list(range(10))
    for _, labels, index in shown:
        assert torch.equal(labels, splits.train.labels[index])
    assert epoch(training(birds, last_batch="drop"))[-1][0].shape[0] == 4


def test_batches_are_a_pure_function_of_seed_epoch_and_step(birds: Path) -> None:
    first = epoch(training(birds), seed=1, number=3)
    torch.manual_seed(9)
    random.seed(9)
    assert same(epoch(training(birds), seed=1, number=3), first)
    batches = training(birds)
    assert same(epoch(batches, seed=1, number=3, first=2), first[2:])
    assert same(epoch(batches, seed=1, number=3), first)
    views = batches.views(1, 3)
    for step in (2, 0, 0, 1):
        assert same([batches.training_batch(views, step)], [first[step]])
    assert not same(epoch(batches, seed=1, number=4), first)
    assert not same(epoch(batches, seed=2, number=3), first)


@pytest.fixture
def started(request: pytest.FixtureRequest) -> Iterator[None]:
    """Processes start in this way."""
    before = multiprocessing.get_start_method(allow_none=True)
    multiprocessing.set_start_method(request.param, force=True)
    yield
    multiprocessing.set_start_method(before, force=True)


@pytest.mark.parametrize("started", ["fork", "spawn"], indirect=True)
@pytest.mark.usefixtures("started")
def test_worker_processes_change_nothing(tmp_path: Path) -> None:
    """Nor the way in which they start, which depends on the system and on Python's version."""
    pictures.parquet(tmp_path / "birds" / "train.parquet", [0] * 6 + [1] * 4)
    pictures.parquet(tmp_path / "birds" / "test.parquet", [0, 1], first=10)
    alone = epoch(training(tmp_path))
    torch.set_num_threads(3)
    try:
        helped = epoch(training(tmp_path))
    finally:
        torch.set_num_threads(1)
    assert same(alone, helped)


def test_worker_processes_are_not_sent_the_images(tmp_path: Path) -> None:
    pictures.parquet(tmp_path / "birds" / "train.parquet", [0] * 150 + [1] * 150)
    pictures.parquet(tmp_path / "birds" / "test.parquet", [0, 1], first=300)
    images = load(STREAMED, tmp_path).train.pixels
    assert isinstance(images, Encoded)
    sent = pickle.dumps(images)
    assert len(sent) < sum(len(images.contents[i]) for i in range(300)) / 2
    assert np.array_equal(pickle.loads(sent)[299], images[299])


def test_streaming_leaves_the_random_states_alone(birds: Path) -> None:
    batches = training(birds)
    before = torch.get_rng_state(), random.getstate()
    epoch(batches)
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == random.getstate()


def ramp(folder: Path) -> Images:
    """One image whose red says the column and green the row."""
    array = np.zeros((60, 90, 3), np.uint8)
    array[..., 0], array[..., 1] = np.arange(90)[None], np.arange(60)[:, None]
    pictures.Image.fromarray(array).save(folder / "ramp.png")
    files = np.array([folder / "ramp.png"] * 200, dtype=object)
    return Images(Encoded(files, np.array([[60, 90, 3]] * 200)), torch.zeros(200).long())


@pytest.mark.parametrize(("low", "high"), [(0.08, 1.0), (0.25, 0.5)])
def test_crops_are_random_resized_crops(tmp_path: Path, low: float, high: float) -> None:
    """Area and aspect ratio as the recipe and the protocol say; half of them mirrored."""
    batches = data.training_data(ramp(tmp_path), recipe(batch_size=200, crop_scale=(low, high)), tiny.CPU)
    ((images, _, _),) = epoch(batches)
    across = (images[:, 0, :, -1] - images[:, 0, :, 0]).mean(1) * 8 / 7
    down = (images[:, 1, -1] - images[:, 1, 0]).mean(1) * 8 / 7
    areas, ratios = (across.abs() * down / 5400), (across.abs() / down)
    assert low * 0.8 < areas.min() < low * 1.6 + 0.05
    assert high * 0.75 < areas.max() < high * 1.2
    assert ratios.min() > 0.75 * 0.8
    assert ratios.max() < 1.34 * 1.2
    assert 60 < (across < 0).sum() < 140
    assert len({tuple(image.flatten().tolist()) for image in images}) == 200


def test_without_flip_nothing_is_mirrored(tmp_path: Path) -> None:
    ((images, _, _),) = epoch(data.training_data(ramp(tmp_path), recipe(batch_size=200, flip=False), tiny.CPU))
    assert (images[:, 0, :, -1] > images[:, 0, :, 0]).all()


@pytest.mark.parametrize("crop_pct", [None, 0.8])
def test_evaluation_shows_what_resident_images_show(birds: Path, crop_pct: float | None) -> None:
    streamed, resident = (
        data.evaluation_data(load(dataset, birds).train, recipe(crop_pct=crop_pct), tiny.CPU)
        for dataset in (STREAMED, Dataset(name="birds"))
    )
    assert len(streamed) == 10
    for start, stop in ((0, 4), (4, 14), (2, 3)):
        assert all(map(torch.equal, streamed.batch(start, stop), resident.batch(start, stop)))


@pytest.mark.parametrize("storage", ["resident", "streamed"])
def test_a_split_may_be_empty(birds: Path, storage: str) -> None:
    """Images of several sizes, none of them held out for validation."""
    empty = load(Dataset(name="birds", storage=storage), birds).validation
    assert len(data.evaluation_data(empty, recipe(), tiny.CPU)) == 0


def test_a_grey_recipe_reads_grey_images(tmp_path: Path) -> None:
    pictures.folder(tmp_path / "birds", {"train": {"a": 1, "b": 1}, "val": {"a": 1, "b": 1}}, 20, 20, 1)
    grey = {"mean": (0.0,), "std": (1 / 255,)}
    assert epoch(training(tmp_path, **grey))[0][0].shape == (2, 1, 8, 8)


def test_what_streaming_cannot_do_is_said(birds: Path) -> None:
    with pytest.raises(UsageError, match="crop_padding = 4 is for resident images; streamed ones"):
        training(birds, crop_padding=4)


def test_arrays_are_not_streamed(tmp_path: Path) -> None:
    pixels = np.zeros((8, 28, 28), np.uint8)
    source = Source(tmp_path, (), {"train": lambda: [Item("image 0", pixels[0, ..., None], 0)]}, classes=1)
    with pytest.raises(UsageError, match="storage = 'streamed' reads image files or Parquet; image 0 was never enc"):
        decoded("ones", source, tmp_path, keep_pixels=False)


def test_parquet_is_streamed_like_the_same_images_in_files(tmp_path: Path) -> None:
    """Their bytes are kept as they were: the same batches, in training and in evaluation."""
    pictures.folder(tmp_path / "files", {"train": {"a": 4, "b": 3}, "val": {"a": 1, "b": 1}})
    pictures.parquet(tmp_path / "rows" / "train.parquet", [0] * 4 + [1] * 3)
    pictures.parquet(tmp_path / "rows" / "test.parquet", [0, 1], first=7)
    files, rows = (load(Dataset(name=name, storage="streamed"), tmp_path) for name in ("files", "rows"))
    assert same(*(epoch(data.training_data(splits.train, recipe(), tiny.CPU)) for splits in (files, rows)))
    assert same(*([data.evaluation_data(splits.test, recipe(), tiny.CPU).batch(0, 2)] for splits in (files, rows)))
    some = rows.train.take(np.array([5, 2]))
    assert torch.equal(
        data.evaluation_data(some, recipe(), tiny.CPU).batch(1, 2)[0],
        data.evaluation_data(rows.train, recipe(), tiny.CPU).batch(2, 3)[0],
    )


def test_streamed_images_keep_no_pixels_and_are_checked_all_the_same(birds: Path, tmp_path: Path) -> None:
    streamed, resident = load(STREAMED, birds), load(Dataset(name="birds"), birds)
    assert np.array_equal(streamed.train.digests, resident.train.digests)
    assert sorted(file.stat().st_size for file in (tmp_path / "cache").glob("*/train.images")) == [0, 9 * 1800 + 324]
    (birds / "birds" / "val" / "ant" / "0.png").write_bytes(b"x")
    with pytest.raises(UsageError, match=r"val/ant/0.png is not an image"):
        load(STREAMED, birds)


def test_the_hash_tells_streamed_images_and_their_split_apart(birds: Path) -> None:
    whole = load(STREAMED, birds).sha256
    assert load(STREAMED, birds).sha256 == whole
    parts = {load(STREAMED.model_copy(update={"validation": 4, "split_seed": seed}), birds).sha256 for seed in range(3)}
    assert len({whole, *parts}) == 4
    pictures.picture(5, 20, 30).save(birds / "birds" / "val" / "ant" / "0.png")
    assert load(STREAMED, birds).sha256 != whole
