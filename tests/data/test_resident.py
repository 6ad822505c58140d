"""Batches of resident images: cropped, flipped, padded and resized, each a function of seed, epoch and step."""

from typing import Any

import numpy as np
import pytest
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from torch import Tensor

from benchmark.data import Images, Resident, TrainingSet
from benchmark.data.resident import Padded
from benchmark.ground.errors import UsageError
from benchmark.ground.libraries import torchvision
from benchmark.spec import Recipe


def recipe(**fields: Any) -> Recipe:
    """Pixels come out as they are, 0 to 255, unless mean or std are given."""
    plain = {"epochs": 2, "batch_size": 4, "learning_rate": 0.1, "input_size": 6}
    return Recipe.model_validate({**plain, "mean": (0.0,), "std": (1 / 255,), **fields})


def made_up(count: int = 10, size: int = 6, channels: int = 1) -> Images:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (count, size, size, channels), generator=generator, dtype=torch.uint8)
    return Images(pixels, torch.arange(count) % 3)


def batches(data: TrainingSet, seed: int = 0, epoch: int = 0) -> list[tuple[Tensor, Tensor, Tensor]]:
    views = data.views(seed, epoch)
    return [data.training_batch(views, step) for step in range(data.steps)]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("padding", [0, 2])
@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("channels_last", [False, True])
def test_crop_and_flip_are_pillows(channels: int, padding: int, flip: bool, channels_last: bool) -> None:
    """Pad with black, crop, then mirror, as torchvision's RandomCrop and RandomHorizontalFlip do it."""
    images = made_up(32, channels=channels)
    mean, std = (0.2, 0.5, 0.7)[:channels], (0.3, 0.1, 0.9)[:channels]
    fields = {"crop_padding": padding, "flip": flip, "mean": mean, "std": std, "channels_last": channels_last}
    data = TrainingSet(images, recipe(batch_size=32, **fields), tiny.CPU)
    views = data.views(3, 1)
    shown, _, index = data.training_batch(views, 0)
    corners = set(zip(views.top.tolist(), views.left.tolist(), strict=True))
    assert len(corners) > 8 if padding else corners == {(0, 0)}
    assert {bool(f) for f in views.flip} == ({True, False} if flip else {False})
    assert shown.is_contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)
    if not channels_last:  # of one channel, is_contiguous says yes to both
        assert shown.stride() == (channels * 36, 36, 6, 1)
    for place, position in enumerate(index.tolist()):
        array = images.pixels[position].numpy()
        picture = ImageOps.expand(Image.fromarray(array if channels == 3 else array[..., 0]), border=padding, fill=0)
        left, top = int(views.left[place]), int(views.top[place])
        picture = picture.crop((left, top, left + 6, top + 6))
        if views.flip[place]:
            picture = ImageOps.mirror(picture)
        expected = (np.asarray(picture, dtype=np.float64).reshape(6, 6, channels) / 255 - mean) / std
        np.testing.assert_allclose(shown[place].permute(1, 2, 0).numpy(), expected, atol=1e-5)


@given(
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    channels=st.sampled_from([1, 3]),
    border=st.integers(0, 5),
    padding=st.sampled_from(["zero", "reflect"]),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=60, deadline=None)
def test_a_gather_is_torchvisions_pad_crop_and_flip(
    height: int, width: int, channels: int, border: int, padding: str, seed: int
) -> None:
    """Bit for bit at the same offsets: square or not, grey or not, black or reflected border."""
    border = min(border, height - 1, width - 1) if padding == "reflect" else border
    functional = torchvision.transforms.functional
    draw = torch.Generator().manual_seed(seed)
    pixels = torch.randint(256, (5, height, width, channels), generator=draw, dtype=torch.uint8)
    fields = {"crop_padding": border, "padding": padding if border else "zero", "input_size": 9}
    padded = Padded(pixels, recipe(**fields), tiny.CPU)
    index = torch.randint(5, (12,), generator=draw)
    top, left = torch.randint(2 * border + 1, (2, 12), generator=draw)
    flip = torch.randint(2, (12,), generator=draw)
    shown = padded.crops(index, top, left, flip)
    assert torch.equal(padded.pixels, pixels)
    mode = "constant" if padding == "zero" else "reflect"
    for place in range(12):
        image = pixels[index[place]].permute(2, 0, 1)
        expected = functional.pad(image.float(), [border], padding_mode=mode).to(torch.uint8) if border else image
        expected = functional.crop(expected, int(top[place]), int(left[place]), height, width)
        expected = functional.hflip(expected) if flip[place] else expected
        assert torch.equal(shown[place].permute(2, 0, 1), expected)


@pytest.mark.parametrize("padding", ["zero", "reflect"])
def test_the_recipe_pads_as_torchvisions_random_crop(padding: str) -> None:
    """The same crops as RandomCrop with this padding mode, given its offsets."""
    images = made_up(20, channels=3)
    colour = {"mean": (0.0,) * 3, "std": (1 / 255,) * 3}
    data = TrainingSet(images, recipe(batch_size=20, crop_padding=2, padding=padding, **colour), tiny.CPU)
    views = data.views(0, 0)
    shown, _, index = data.training_batch(views, 0)
    functional = torchvision.transforms.functional
    mode = "constant" if padding == "zero" else "reflect"
    for place in range(20):
        picture = Image.fromarray(images.pixels[index[place]].numpy())
        picture = functional.pad(picture, [2], padding_mode=mode)
        picture = functional.crop(picture, int(views.top[place]), int(views.left[place]), 6, 6)
        expected = torch.from_numpy(np.array(picture)).permute(2, 0, 1).float()
        torch.testing.assert_close(shown[place], expected, atol=1e-3, rtol=0)


def test_every_offset_is_drawn_about_equally_often() -> None:
    data = TrainingSet(made_up(3000), recipe(crop_padding=1, flip=True), tiny.CPU)
    views = data.views(0, 0)
    cells = torch.bincount(views.top * 6 + views.left * 2 + views.flip, minlength=18)
    assert len(cells) == 18
    assert (cells - 3000 / 18).abs().max() < 5 * (3000 / 18) ** 0.5


@pytest.mark.parametrize(
    ("count", "last_batch", "sizes"),
    [
        (10, "keep", [4, 4, 2]),
        (10, "drop", [4, 4]),
        (8, "keep", [4, 4]),
        (8, "drop", [4, 4]),
        (3, "keep", [3]),
        (3, "drop", [3]),
    ],
)
def test_the_last_partial_batch(count: int, last_batch: str, sizes: list[int]) -> None:
    """It is kept or dropped as the recipe says, unless it is the only one."""
    data = TrainingSet(made_up(count), recipe(last_batch=last_batch), tiny.CPU)
    shown = batches(data)
    assert [len(labels) for _, labels, _ in shown] == sizes
    assert all(len(images) == len(labels) == len(index) for images, labels, index in shown)
    seen = torch.cat([index for _, _, index in shown]).tolist()
    assert len(set(seen)) == len(seen)
    assert set(seen) <= set(range(count))


def test_batches_show_the_images_of_their_index() -> None:
    images = made_up(10)
    for shown, labels, index in batches(TrainingSet(images, recipe(), tiny.CPU)):
        torch.testing.assert_close(shown, images.pixels[index].permute(0, 3, 1, 2).float(), atol=1e-3, rtol=0)
        assert torch.equal(labels, images.labels[index])


def test_batches_are_a_pure_function_of_seed_epoch_and_step() -> None:
    data = TrainingSet(made_up(10), recipe(crop_padding=1, flip=True), tiny.CPU)
    first = batches(data, seed=1, epoch=5)
    torch.manual_seed(9)
    torch.rand(3)
    fresh = TrainingSet(made_up(10), recipe(crop_padding=1, flip=True), tiny.CPU)
    late = fresh.training_batch(fresh.views(1, 5), 2)
    assert all(map(torch.equal, late, first[2]))
    orders = {tuple(data.views(seed, epoch).index.tolist()) for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9


def test_order_and_augmentation_do_not_depend_on_each_other() -> None:
    """The same order of images with and without crops and flips: recipes stay comparable."""
    plain, augmented = (
        TrainingSet(made_up(10), recipe(crop_padding=padding, flip=bool(padding)), tiny.CPU).views(0, 0)
        for padding in (0, 2)
    )
    assert torch.equal(plain.index, augmented.index)


def test_grey_images_fill_three_channels() -> None:
    grey = made_up(4)
    shown, _ = Resident(grey, recipe(mean=(0.0,) * 3, std=(1 / 255,) * 3), tiny.CPU).batch(0, 4)
    assert shown.shape == (4, 3, 6, 6)
    for channel in range(3):
        torch.testing.assert_close(shown[:, channel], grey.pixels[..., 0].float(), atol=1e-3, rtol=0)


def test_colour_images_do_not_fit_one_channel() -> None:
    with pytest.raises(UsageError, match="images have 3 channels, the recipe's mean and std have 1"):
        Resident(made_up(4, channels=3), recipe(), tiny.CPU)


@pytest.mark.parametrize(("size", "channels"), [(12, 1), (3, 1), (12, 3), (9, 3)])
def test_images_are_resized_as_pillow_does(size: int, channels: int) -> None:
    images = made_up(4, channels=channels)
    fields = {"mean": (0.0,) * channels, "std": (1 / 255,) * channels, "input_size": size}
    data = Resident(images, recipe(**fields), tiny.CPU)
    assert data.pixels.shape == (4, size, size, channels)
    assert data.pixels.dtype == torch.uint8
    for ours, original in zip(data.pixels, images.pixels, strict=True):
        picture = Image.fromarray(original.numpy() if channels == 3 else original[..., 0].numpy())
        theirs = np.asarray(picture.resize((size, size), Image.Resampling.BILINEAR)).reshape(size, size, channels)
        assert np.abs(ours.numpy().astype(int) - theirs.astype(int)).max() <= 1


def test_evaluation_goes_through_the_images_in_order() -> None:
    images = made_up(10)
    data = Resident(images, recipe(mean=(0.5,), std=(0.25,)), tiny.CPU)
    shown, labels = data.batch(4, 8)
    expected = (images.pixels[4:8].permute(0, 3, 1, 2).double() / 255 - 0.5) / 0.25
    torch.testing.assert_close(shown.double(), expected, atol=1e-5, rtol=0)
    assert labels.tolist() == [1, 2, 0, 1]
