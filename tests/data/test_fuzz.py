"""Folders and Parquet files of every kind, drawn at random: read with each image's own class, or refused in one line.

A picture's grey says its class, so that a label that belongs to another, or to two of them, shows.
"""

import json
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pictures
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from benchmark.data import Images, load
from benchmark.ground.errors import UsageError

FUZZ = settings(
    max_examples=60,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
SECONDS = 20
"""Nothing here takes a tenth of that, if it ends."""

CLASSES = ("ant", "cat", "größe")


def picture(shade: int, kind: str = "PNG") -> bytes:
    """A picture of one class."""
    return pictures.encoded(Image.fromarray(np.full((4, 4, 3), 60 * shade + 40, np.uint8)), kind)


def shades(images: Images) -> list[int]:
    """The class that each picture is of."""
    return [round((float(np.mean(np.asarray(images.pixels[n]))) - 40) / 60) for n in range(len(images))]


@contextmanager
def place() -> Iterator[Path]:
    root = Path(tempfile.mkdtemp())
    try:
        (root / "data" / "birds").mkdir(parents=True)
        yield root / "data" / "birds"
    finally:
        shutil.rmtree(root)


def read(birds: Path, **fields: Any) -> tuple[list[tuple[int, int]], list[tuple[int, int]]] | str:
    """Shade and label of every training and test image, or the refusal."""

    def too_long(*_: Any) -> None:
        raise TimeoutError("hangs")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(SECONDS)
    try:
        splits = load(pictures.birds(**fields), birds.parent)
    except UsageError as error:
        return str(error)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    train, test = (list(zip(shades(i), i.labels.tolist(), strict=True)) for i in (splits.train, splits.test))
    return train, test


def check(found: tuple[list[tuple[int, int]], list[tuple[int, int]]] | str) -> None:
    """One line that names the data set or its place; or one label for each class, in both splits."""
    if isinstance(found, str):
        assert found.isprintable()
        assert "birds" in found
        return
    pairs = {*found[0], *found[1]}
    assert len(pairs) == len({shade for shade, _ in pairs}) == len({label for _, label in pairs}) > 1
    assert {label for _, label in found[0]} == set(range(len(pairs)))


SPLITS = ("train", "Train", "training", "test", "val", "valid", "validation", "dev", "extra", "birds/train", "")
SOUND = ("png", "jpg", "GIF", "webp", "none", "nested", "link")
ODD = ("text", "empty", "cut", "film", "dangling", "pipe", "zero", "folder link", "loop", "newline", "split", "nothing")
RUBBISH = (".DS_Store", "._0.png", "Thumbs.db", ".ipynb_checkpoints/0.png")
KINDS = {"jpg": "JPEG", "GIF": "GIF", "webp": "WEBP"}


def put(folder: Path, kind: str, shade: int, number: int) -> None:
    """Something in a class folder."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{number}.{kind}"
    if kind in ("none", "nested", "newline"):
        file = folder / {"none": f"{number}", "nested": f"sub/{number}.png", "newline": f"a\n{number}"}[kind]
        file.parent.mkdir(exist_ok=True)
    if kind in RUBBISH:
        (folder / kind).parent.mkdir(exist_ok=True)
        (folder / kind).write_bytes(picture(1 - shade % 2))
    elif kind == "link":
        stored = folder.parents[len(folder.parents) - 4] / f"{number}-{shade}.png"
        stored.write_bytes(picture(shade))
        file.symlink_to(stored)
    elif kind == "film":
        frames = [Image.new("L", (4, 4), grey) for grey in (0, 90, 200)]
        frames[0].save(file.with_suffix(".gif"), save_all=True, append_images=frames[1:])
    elif kind in ("dangling", "loop", "zero", "folder link"):
        target = {"dangling": "nowhere", "loop": file.name, "zero": "/dev/zero", "folder link": ".."}[kind]
        file.symlink_to(target)
    elif kind == "pipe":
        os.mkfifo(file)
    elif kind == "split":
        put(folder / "test", "png", shade, number)
    elif kind != "nothing":
        content = picture(shade, KINDS.get(kind, "PNG"))
        file.write_bytes({"text": b"a bird", "empty": b"", "cut": content[:-30]}.get(kind, content))


entries = st.tuples(st.sampled_from(range(3)), st.sampled_from(SOUND + SOUND + RUBBISH))
each = st.tuples(*(st.tuples(st.just(shade), st.sampled_from(SOUND)) for shade in (0, 1, 2, 0, 1, 2)))
contents = st.tuples(each, st.lists(entries, max_size=5)).map(lambda drawn: [*drawn[0], *drawn[1]])
layouts = st.one_of(
    st.fixed_dictionaries({"train": contents, "test": contents}),
    st.fixed_dictionaries({"train": contents}, optional=dict.fromkeys(SPLITS[1:], contents)),
    st.dictionaries(st.sampled_from(SPLITS), st.lists(entries, min_size=4, max_size=9), min_size=1, max_size=3),
)
odd_entries = st.tuples(st.sampled_from(range(3)), st.sampled_from(SOUND + ODD))


@FUZZ
@given(
    layouts,
    st.one_of(st.none(), st.none(), st.tuples(st.sampled_from(SPLITS), odd_entries)),
    st.sampled_from([None, None, 3]),
    st.sampled_from(["resident", "streamed"]),
)
@pytest.mark.usefixtures("own_cache")
def test_folders(
    layout: dict[str, list[tuple[int, str]]], odd: tuple[str, tuple[int, str]] | None, test: int | None, storage: str
) -> None:
    with place() as birds:
        for split, content in [*layout.items(), *([(odd[0], [odd[1]])] if odd else [])]:
            for number, (shade, kind) in enumerate(content):
                put(
                    birds / split / CLASSES[shade],
                    kind,
                    shade,
                    number + 100 * (odd is not None and content == [odd[1]]),
                )
        found = read(birds, test=test, storage=storage)
        check(found)
        if not isinstance(found, str) and not odd and set(layout) == {"train", "test"} and not test:
            sizes = [sum(kind not in RUBBISH for _, kind in layout[split]) for split in ("train", "test")]
            assert [len(split) for split in found] == sizes


FILES = (
    *("train", "train-0", "train-1", "train-00000-of-00002", "train-00001-of-00002", "train (1)", "data/train-0"),
    *("train/0000", "train/0001", "default/train/0000", "default/test/0000", "default/partial-train/0000"),
    *("test", "test-00000-of-00001", "test/0000", "validation", "valid-0", "data/test-0", "metadata", "x"),
)
LABELS = (*2 * ("numbers", "named", "reversed", "texts", "booleans"), "fewer", "fractions", "lists")
METADATA = ("null", "{", '{"info": null}', '{"info": {"features": {"label": {"names": null}}}}', "[[[[")
BROKEN = ("cut", "pipe", "no label", "no image", "no rows", "bad image", "paths", "huge label", "missing label")


def table(file: Path, kind: str, rows: list[int], broken: str | None, metadata: str | None) -> None:
    """A Parquet file whose rows show these classes, and call them in one of many ways."""
    file.parent.mkdir(parents=True, exist_ok=True)
    order = {"named": (0, 1, 2), "reversed": (2, 1, 0), "fewer": (1, 0)}.get(kind, (0, 1, 2))
    rows = [row % 2 if kind == "booleans" else row for row in rows if row in order]
    images: list[Any] = [{"bytes": picture(row), "path": None} for row in rows]
    labels: list[Any] = [order.index(row) for row in rows]
    if broken == "huge label" and labels:
        labels[0] = 2**40
    if broken == "missing label" and labels:
        labels[-1] = None
    if kind in ("texts", "booleans", "fractions", "lists"):
        word = {"texts": CLASSES.__getitem__, "booleans": bool, "fractions": float, "lists": lambda row: [row]}[kind]
        labels = [word(row) for row in rows]
    if broken == "bad image" and images:
        images[0] = {"bytes": b"no image", "path": None}
    if broken == "paths":
        images = [{"bytes": None, "path": "0.png"} for _ in rows]
    columns = {"image": pa.array(images), "label": pa.array(labels), "width": pa.array([4] * len(rows))}
    columns.pop({"no label": "label", "no image": "image"}.get(broken or "", ""), None)
    written = pa.table(columns)
    if kind in ("named", "reversed", "fewer"):
        feature = {"names": [CLASSES[row] for row in order], "_type": "ClassLabel"}
        metadata = metadata or json.dumps({"info": {"features": {"label": feature}}})
    pq.write_table(written.replace_schema_metadata({"huggingface": metadata} if metadata else None), file)
    if broken == "cut":
        os.truncate(file, file.stat().st_size - 9)
    if broken == "pipe":
        file.unlink()
        os.mkfifo(file)


rows = st.lists(st.sampled_from(range(3)), max_size=5).map(lambda more: [0, 1, 2, 0, 1, 2, *more])
alike = st.sampled_from(LABELS).map(lambda kind: [kind] * 5)
sets = st.sampled_from(
    [
        ("train", "test"),
        ("train-00000-of-00002", "train-00001-of-00002", "test"),
        ("train/0000", "train/0001", "test/0000"),
        ("data/train-0", "data/test-0", "metadata"),
    ]
)


@FUZZ
@given(
    st.one_of(sets, sets, st.lists(st.sampled_from(FILES), min_size=1, max_size=5, unique=True)),
    st.one_of(alike, alike, st.lists(st.sampled_from(LABELS), min_size=5)),
    st.lists(rows, min_size=5, max_size=5),
    st.one_of(st.none(), st.tuples(st.integers(0, 4), st.sampled_from(BROKEN))),
    st.one_of(st.none(), st.tuples(st.integers(0, 4), st.sampled_from(METADATA))),
    st.sampled_from([None, None, 3]),
)
@pytest.mark.usefixtures("own_cache")
def test_parquet_files(
    files: tuple[str, ...],
    kinds: list[str],
    rows: list[list[int]],
    broken: tuple[int, str] | None,
    metadata: tuple[int, str] | None,
    test: int | None,
) -> None:
    with place() as birds:
        for number, (name, kind) in enumerate(zip(files, kinds, strict=False)):
            here = [pair[1] if pair and pair[0] == number else None for pair in (broken, metadata)]
            table(birds / f"{name}.parquet", kind, rows[number], here[0], here[1])
        found = read(birds, test=test)
        if isinstance(found, str) or not (metadata or ("numbers" in kinds and {"reversed", "fewer"} & set(kinds))):
            check(found)
        if not isinstance(found, str) and set(kinds) == {"texts"} and len(files) == 2 and not test:
            assert [len(split) for split in found] == [len(rows[0]), len(rows[1])]
