"""Pictures of every kind: converted knowingly, or refused by name."""

import io
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pictures
import pytest
import torch
from PIL import Image

from benchmark.data import Images, Resident, load
from benchmark.data import decode as decode_module
from benchmark.data.cache import ENVIRONMENT
from benchmark.data.decode import decode, decode_all
from benchmark.data.images import Packed, Varied
from benchmark.data.resize import resized
from benchmark.data.source import Item
from benchmark.ground.errors import UsageError
from benchmark.ground.processors import cores
from benchmark.spec import Dataset, Recipe

CPU = torch.device("cpu")


def recipe(size: int, channels: int = 3, **fields: object) -> Recipe:
    """Pixels come out as they are, 0 to 255."""
    plain = {"epochs": 1, "batch_size": 4, "learning_rate": 0.1, "input_size": size}
    scale = {"mean": (0.0,) * channels, "std": (1 / 255,) * channels}
    return Recipe.model_validate({**plain, **scale, **fields})


def read(image: Image.Image, kind: str = "PNG") -> np.ndarray | str:
    return decode(Item("x", pictures.encoded(image, kind), 0))


COLOUR, GREY = pictures.picture(1), pictures.picture(2, 6, 6, 1)


@pytest.mark.parametrize(
    "image",
    [COLOUR, COLOUR.convert("RGBA"), COLOUR.convert("P", palette=Image.Palette.ADAPTIVE, colors=256)],
    ids=lambda image: image.mode,
)
def test_colour_in_every_mode(image: Image.Image) -> None:
    found = read(image)
    np.testing.assert_array_equal(found, np.asarray(COLOUR if image.mode == "RGBA" else image.convert("RGB")))


@pytest.mark.parametrize("mode", ["L", "LA", "1"])
def test_grey_in_every_mode(mode: str) -> None:
    found = read(GREY.convert(mode))
    assert isinstance(found, np.ndarray)
    assert found.shape == (6, 6, 1)
    np.testing.assert_array_equal(found[..., 0], np.asarray(GREY.convert(mode).convert("L")))


def test_cmyk_is_converted_to_colour() -> None:
    image = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    found = read(image, "JPEG")
    assert isinstance(found, np.ndarray)
    assert np.abs(found.astype(int) - (255, 0, 0)).max() < 8


def test_a_palette_with_transparency() -> None:
    image = COLOUR.convert("P")
    file = io.BytesIO()
    image.save(file, "PNG", transparency=bytes(range(256)))
    found = decode(Item("x", file.getvalue(), 0))
    np.testing.assert_array_equal(found, np.asarray(image.convert("RGB")))


def colour_of_16_bits() -> bytes:
    """A PNG of 16 bits a channel, which Pillow reads but does not write."""
    import zlib

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = b"".join(b"\0" + bytes(2 * 3 * 2) for _ in range(2))
    header = struct.pack(">IIBBBBB", 2, 2, 16, 2, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


DEEP = {
    "16-bit grey": pictures.encoded(Image.fromarray(np.full((4, 4), 40_000, np.uint16))),
    "16-bit colour": colour_of_16_bits(),
    "32-bit whole numbers": pictures.encoded(Image.fromarray(np.full((4, 4), 70_000, np.int32)), "TIFF"),
    "floats": pictures.encoded(Image.fromarray(np.full((4, 4), 0.5, np.float32)), "TIFF"),
}


@pytest.mark.parametrize("kind", DEEP)
def test_more_than_8_bits_are_refused(kind: str) -> None:
    found = decode(Item("deep.png", DEEP[kind], 0))
    assert isinstance(found, str)
    assert found.startswith("deep.png has more than 8 bits a channel")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "TIFF", "WEBP"])
def test_every_cut_is_noticed(kind: str) -> None:
    whole = pictures.encoded(pictures.picture(0, 40, 40), kind)
    for length in range(0, len(whole) - 12, max(1, len(whole) // 20)):
        found = decode(Item("cut", whole[:length], 0))
        assert isinstance(found, str), f"{length} of {len(whole)} bytes were taken for an image"
        assert found.startswith("cut ")
        assert "\n" not in found


def save(root: Path, images: list[Image.Image]) -> None:
    """Each image in either split, the first two in one class and the others in another."""
    for split in ("train", "val"):
        for number, image in enumerate(images):
            place = root / split / "aabb"[number]
            place.mkdir(parents=True, exist_ok=True)
            image.save(place / f"{number}.png")


MIXED = [
    pictures.picture(1, 9, 6),
    pictures.picture(2, 6, 12, 1),
    pictures.picture(3, 6, 6),
    pictures.picture(4, 20, 7),
]


def test_large_images_are_not_all_decoded_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are, about as many as the memory for them holds; in order all the same."""
    monkeypatch.setattr(decode_module, "MEMORY", 10 * 40 * 40 * 3)
    content = pictures.encoded(pictures.picture(0, 40, 40), "PNG")
    asked = 0

    def items() -> Iterator[Item]:
        nonlocal asked
        for number in range(100):
            asked += 1
            yield Item(str(number), content, 0)

    for handed, (item, pixels, _) in enumerate(decode_all(items())):
        assert asked - handed <= max(decode_module.TASKS, 10, cores())
        assert item.origin == str(handed)
        assert isinstance(pixels, np.ndarray)
    assert handed == 99


def test_images_of_many_sizes_and_colours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path / "cache"))
    save(tmp_path / "mixed", MIXED)
    images = load(Dataset(name="mixed"), tmp_path).train
    assert isinstance(images.pixels, Varied)
    for number, image in enumerate(MIXED):
        np.testing.assert_array_equal(images.pixels[number].squeeze(), np.asarray(image))
    taken = images.take(np.array([3, 1]))
    np.testing.assert_array_equal(taken.pixels[0], np.asarray(MIXED[3]))
    shown, _ = Resident(images, recipe(8), CPU).batch(0, 4)
    assert shown.shape == (4, 3, 8, 8)
    for place, image in enumerate(MIXED):
        expected = np.asarray(image.convert("RGB").resize((8, 8), Image.Resampling.BILINEAR), dtype=float)
        assert np.abs(shown[place].permute(1, 2, 0).numpy() - expected).max() < 1.01


def test_colour_in_a_grey_recipe_is_refused_even_among_grey(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path / "cache"))
    save(tmp_path / "mixed", MIXED)
    with pytest.raises(UsageError, match="images have 3 channels, the recipe's mean and std have 1"):
        Resident(load(Dataset(name="mixed"), tmp_path).train, recipe(8, 1), CPU)


@pytest.mark.parametrize("shape", [(40, 60), (60, 40), (50, 50), (200, 30), (20, 30), (28, 28)])
@pytest.mark.parametrize("crop_pct", [0.875, 1.0])
def test_the_centre_is_cropped_as_pillow_and_torchvision_do(shape: tuple[int, int], crop_pct: float) -> None:
    """Shorter side to input_size / crop_pct, then the centre."""
    original = pictures.pixels(5, *shape)
    (found,) = resized(torch.from_numpy(original)[None], recipe(28, crop_pct=crop_pct))
    height, width = shape
    scale = round(28 / crop_pct) / min(shape)
    size = (round(width * scale), round(height * scale))
    picture = Image.fromarray(original).resize(size, Image.Resampling.BILINEAR)
    left, top = round((size[0] - 28) / 2), round((size[1] - 28) / 2)
    expected = np.asarray(picture.crop((left, top, left + 28, top + 28)), dtype=int)
    assert found.shape == (28, 28, 3)
    assert np.abs(found.numpy().astype(int) - expected).max() <= 1


def test_one_array_and_single_images_are_fitted_alike(tmp_path: Path) -> None:
    pixels = torch.from_numpy(np.stack([pictures.pixels(n, 10, 14) for n in range(5)]))
    (tmp_path / "images").write_bytes(pixels.numpy().tobytes())
    varied = Varied(Packed(tmp_path / "images", np.arange(5) * 420, np.full(5, 420)), np.array([[10, 14, 3]] * 5))
    for fields in ({}, {"crop_pct": 0.8}):
        assert torch.equal(resized(pixels, recipe(8, **fields)), resized(varied, recipe(8, **fields)))


def test_images_that_do_not_fit_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    images = Images(torch.zeros(100, 8, 8, 1, dtype=torch.uint8), torch.zeros(100, dtype=torch.int64))
    monkeypatch.setattr("benchmark.data.resize.free_memory", lambda device: 2**30)
    with pytest.raises(UsageError, match=r"100 images .* need 1.5 GiB on cpu, where 1.0 are free:.*streamed"):
        Resident(images, recipe(4000, 1), CPU)
    Resident(images, recipe(8, 1), CPU)


FRAMES = [pictures.picture(number) for number in range(3)]


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_several_frames_are_refused_and_one_is_read(kind: str) -> None:
    file = io.BytesIO()
    FRAMES[0].save(file, kind, save_all=True, append_images=FRAMES[1:])
    assert decode(Item("film", file.getvalue(), 0)) == "film has 3 frames: keep one of them, as an image of its own"
    palette = FRAMES[0].convert("P", palette=Image.Palette.ADAPTIVE, colors=64)
    np.testing.assert_array_equal(read(palette, "GIF"), np.asarray(palette.convert("RGB")))
    np.testing.assert_array_equal(read(GREY, "GIF"), np.asarray(GREY.convert("RGB")))  # it has palettes only


def test_second_views_of_a_photograph_are_no_frames() -> None:
    """Telephones write them behind the photograph itself."""
    file = io.BytesIO()
    FRAMES[0].save(file, "MPO", save_all=True, append_images=FRAMES[1:])
    np.testing.assert_array_equal(decode(Item("x", file.getvalue(), 0)), read(FRAMES[0], "JPEG"))


@pytest.mark.parametrize(
    ("content", "deep"),
    [
        (b"P6 2 2 65535\n" + bytes(24), True),
        (b"P5 2 2 1023\n" + bytes(8), True),
        (b"P3 1 1 300\n1 2 3\n", True),
        (b"P5 2 2 15\n" + bytes(4), False),
        (b"P6 2 2 255\n" + bytes(12), False),
    ],
)
def test_the_depth_of_netpbms_formats(content: bytes, deep: bool) -> None:
    found = decode(Item("x", content, 0))
    assert (isinstance(found, str) and found.startswith("x has more than 8 bits a channel")) == deep


def bitmap(masks: tuple[int, int, int]) -> bytes:
    """A BMP of 16 bits a pixel, one pixel."""
    header = struct.pack("<IiiHHIIiiII", 40, 1, 1, 1, 16, 3, 4, 0, 0, 0, 0) + struct.pack("<III", *masks)
    return b"BM" + struct.pack("<IHHI", 14 + len(header) + 4, 0, 0, 14 + len(header)) + header + b"\xff\xff\0\0"


def test_the_depth_of_jpeg_2000_in_colour() -> None:
    """Which Pillow opens as 8 bits a channel, however many there are."""
    whole = pictures.encoded(pictures.picture(0, 16, 16), "JPEG2000")
    assert isinstance(decode(Item("plain", whole, 0)), np.ndarray)
    depths = whole.index(b"\xff\x4f\xff\x51") + 42
    assert whole[depths : depths + 9 : 3] == bytes([7, 7, 7])
    for component in range(3):
        changed = bytearray(whole)
        changed[depths + 3 * component] = 15
        assert "more than 8 bits a channel" in str(decode(Item("deep", bytes(changed), 0)))


def test_sixteen_bits_a_pixel_are_no_sixteen_bits_a_channel() -> None:
    assert decode(Item("x", bitmap((0xF800, 0x7E0, 0x1F)), 0)).tolist() == [[[255, 255, 255]]]


def turned(kind: str, orientation: int) -> bytes:
    """A picture of 6 x 8 pixels, to be shown otherwise."""
    tags, file = Image.Exif(), io.BytesIO()
    tags[0x0112] = orientation
    pictures.picture(3, 6, 8).save(file, kind, exif=tags)
    return file.getvalue()


def test_a_tag_that_asks_for_turning_is_counted_and_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As torchvision's ImageFolder reads images."""
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path / "cache"))
    root = pictures.folder(tmp_path / "birds", {"train": {"a": 1, "b": 1}, "test": {"a": 1, "b": 1}}, 6, 8)
    for number, (kind, orientation) in enumerate((("JPEG", 6), ("PNG", 3), ("WEBP", 8), ("JPEG", 1), ("JPEG", 0))):
        (root / "train" / "a" / f"9{number}").write_bytes(turned(kind, orientation))
    (root / "test" / "a" / "9").write_bytes(turned("JPEG", 2))
    for storage in ("resident", "streamed"):
        caplog.clear()
        images = load(Dataset(name="birds", storage=storage), tmp_path).train
        assert "birds: 4 images have an EXIF orientation; they are read as stored, not turned by it" in caplog.messages
        np.testing.assert_array_equal(images.pixels[2], pictures.pixels(3, 6, 8))
        assert images.shapes.tolist() in ([[6, 8, 3]], [[6, 8, 3]] * 7)


def test_damaged_metadata_do_not_spoil_an_image() -> None:
    whole = turned("JPEG", 6)
    place = whole.index(b"Exif\0\0") + 6
    found = decode(Item("x", whole[:place] + b"\xff" * 20 + whole[place + 20 :], 0))
    assert isinstance(found, np.ndarray)
    assert found.shape == (6, 8, 3)


def test_nothing_starts_a_program() -> None:
    """Pillow hands PostScript to Ghostscript."""
    content = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n"
    assert decode(Item("x.eps", content, 0)) == "x.eps is not an image that Pillow knows"
