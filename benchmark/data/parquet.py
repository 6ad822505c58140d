"""Parquet files with image bytes and labels, as the Hugging Face hub keeps data sets."""

import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmark.data.source import Item, Source
from benchmark.errors import UsageError, unknown
from benchmark.spec import Dataset

SPLITS = {"train": ("train",), "test": ("test", "validation", "valid", "val")}
"""Beginnings of file names, the first that is there: a hub's test split without labels is not there."""

LABELS = ("label", "fine_label", "labels")
ROWS = 1000


def find(folder: Path, dataset: Dataset) -> Source | None:
    """The Parquet files in a folder, its `data`, or its only subfolder with some; None if there are none.

    Raises UsageError where files, columns or splits leave a choice that the data set's entry does not make.
    """
    holding = [place for place in (folder, folder / "data") if any(place.glob("*.parquet"))][:1]
    holding = holding or sorted({path.parent for path in folder.glob("*/*.parquet")})
    if not holding:
        return None
    if len(holding) > 1:
        names = ", ".join(place.name for place in holding)
        raise UsageError(
            f"dataset {dataset.name!r}: several folders below {folder} hold Parquet files ({names}): "
            "choose one with path = ... in its entry"
        )
    shards = {split: _shards(holding[0], prefixes) for split, prefixes in SPLITS.items()}
    if not shards["train"]:
        raise UsageError(
            f"dataset {dataset.name!r}: no Parquet file in {holding[0]} has a name that begins with train-"
        )
    schema = _open(shards["train"][0]).schema_arrow
    image, label = _image_column(schema, dataset), _label_column(schema, dataset)
    return Source(
        location=holding[0],
        files=tuple(file for files in shards.values() for file in files),
        splits={split: partial(_rows, files, image, label) for split, files in shards.items() if files},
        classes=_class_count(schema, label),
        choice=f"{image}, {label}",
    )


def _shards(folder: Path, prefixes: tuple[str, ...]) -> list[Path]:
    for prefix in prefixes:
        if found := [
            file for file in sorted(folder.glob("*.parquet")) if re.match(rf"{prefix}(?![A-Za-z])", file.name)
        ]:
            return found
    return []


def _open(file: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(file)
    except (OSError, pa.ArrowException) as error:
        raise UsageError(f"{file} cannot be read as Parquet: {' '.join(str(error).split())}") from None


def _image_column(schema: pa.Schema, dataset: Dataset) -> str:
    candidates = [field.name for field in schema if _holds_images(field.type)]
    return _choose(dataset, "image", dataset.image_column, candidates, candidates, schema)


def _label_column(schema: pa.Schema, dataset: Dataset) -> str:
    """A usual name if one is there, else the only class label, else the only integer."""
    integers = [field.name for field in schema if pa.types.is_integer(field.type)]
    usual = [name for name in integers if name in LABELS]
    named = [name for name in integers if _feature(schema, name).get("_type") == "ClassLabel"]
    return _choose(dataset, "label", dataset.label_column, usual or named or integers, integers, schema)


def _choose(
    dataset: Dataset, kind: str, wanted: str | None, likely: list[str], valid: list[str], schema: pa.Schema
) -> str:
    if wanted is not None:
        if wanted not in valid:
            raise UsageError(f"dataset {dataset.name!r}: {unknown(f'{kind} column', wanted, valid)}")
        return wanted
    if len(likely) != 1:
        columns = ", ".join(f"{field.name} ({field.type})" for field in schema)
        found = f"several columns may be the {kind}s ({', '.join(likely)})" if likely else f"no column holds {kind}s"
        raise UsageError(
            f"dataset {dataset.name!r}: {found}: choose one with {kind}_column = ... in its entry; columns: {columns}"
        )
    return likely[0]


def _holds_images(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return "bytes" in [field.name for field in kind]
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _feature(schema: pa.Schema, column: str) -> dict[str, Any]:
    """What the hub's own metadata say of a column, if there are any."""
    metadata = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    found: dict[str, Any] = metadata.get("info", {}).get("features", {}).get(column, {})
    return found


def _class_count(schema: pa.Schema, label: str) -> int | None:
    feature = _feature(schema, label)
    return len(feature["names"]) if "names" in feature else feature.get("num_classes")


def _rows(files: list[Path], image: str, label: str) -> Iterator[Item]:
    for file in files:
        table = _open(file)
        row = 0
        try:
            for batch in table.iter_batches(ROWS, columns=[image, label]):
                for content, number in zip(batch[image].to_pylist(), batch[label].to_pylist(), strict=True):
                    content = content["bytes"] if isinstance(content, dict) else content
                    yield Item(f"{file.name} row {row}", content, number)
                    row += 1
        except (OSError, pa.ArrowException) as error:
            raise UsageError(f"{file} is damaged after row {row}: {' '.join(str(error).split())}") from None
