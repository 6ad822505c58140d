"""Tiny data sets on disk: image folders and Parquet files, of pictures that say which they are."""

import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from benchmark.data import load
from benchmark.ground.errors import UsageError
from benchmark.spec import Dataset, datasets
from benchmark.spec.datasets import KNOWN


def pixels(number: int, height: int = 6, width: int = 6, channels: int = 3) -> np.ndarray:
    """uint8 [H, W, C], another one for every number."""
    return np.random.default_rng(number).integers(0, 256, (height, width, channels), dtype=np.uint8)


def picture(number: int, *shape: int) -> Image.Image:
    array = pixels(number, *shape)
    return Image.fromarray(array if array.shape[2] == 3 else array[..., 0])


def encoded(image: Image.Image, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


def parquet(
    file: Path,
    labels: Sequence[int | None],
    *,
    first: int = 0,
    images: Iterable[bytes | None] | None = None,
    image: str = "img",
    columns: dict[str, Any] = {},
    label: str = "label",
    names: Sequence[str] | None = None,
) -> None:
    """A shard as the hub writes it: pictures `first`, `first` + 1 ... with these labels."""
    contents = images or [encoded(picture(first + row)) for row in range(len(labels))]
    table = pa.table(
        {
            image: pa.array([{"bytes": content, "path": None} for content in contents]),
            label: pa.array(labels, pa.int64()),
            **columns,
        }
    )
    if names is not None:
        features = {"info": {"features": {label: {"names": list(names), "_type": "ClassLabel"}}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(features)})
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, file)


def folder(root: Path, splits: dict[str, dict[str, int]], *shape: int) -> Path:
    """Image folders: {'train': {'cat': 3}} is train/cat/0.png, 1.png, 2.png. No picture is there twice."""
    number = 0
    for split, classes in splits.items():
        for name, count in classes.items():
            place = root / split / name
            place.mkdir(parents=True)
            for file in range(count):
                picture(number, *shape).save(place / f"{file}.png")
                number += 1
    return root


def birds(**fields: Any) -> Dataset:
    return Dataset.model_validate({"name": "birds", **fields})


def labels(root: Path, **fields: Any) -> tuple[list[int], list[int]]:
    """Of the birds below a folder, training and test."""
    splits = load(birds(**fields), root)
    return splits.train.labels.tolist(), splits.test.labels.tolist()


def refused(root: Path, **fields: Any) -> str:
    """The one line that birds below a folder are refused with."""
    with pytest.raises(UsageError) as raised:
        load(birds(**fields), root)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def small(monkeypatch: pytest.MonkeyPatch, name: str, classes: int, train: int, test: int) -> None:
    """Let a published set be of another size."""
    values = {**vars(KNOWN[name]), "classes": classes, "train": train, "test": test}
    monkeypatch.setitem(KNOWN, name, datasets.DatasetInfo(**values))
