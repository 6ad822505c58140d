"""Parquet files with image bytes and labels, as the Hugging Face hub keeps data sets."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmark.data.layouts import columns, shards
from benchmark.data.layouts.classes import Classes, by_name, by_number
from benchmark.data.layouts.columns import Columns
from benchmark.data.layouts.shards import Shards
from benchmark.data.naming import defect, refused
from benchmark.data.source import Item, Source, wrong
from benchmark.ground.errors import UsageError
from benchmark.spec import Dataset

ROWS = 1000
DAMAGED = (OSError, pa.ArrowException, UnicodeDecodeError)


def find(folder: Path, dataset: Dataset) -> Source | None:
    """The Parquet files in a folder or below it; None if there are none of a split.

    Raises UsageError where files, columns or splits leave a choice that the data set's entry does not make.
    """
    found = shards.find(folder, dataset.name)
    if found is None:
        return None
    chosen = columns.choose(_open(found.splits["train"][0]).schema_arrow, dataset)
    source = Source(
        location=found.place,
        files=tuple(file for files in found.splits.values() for file in files),
        splits={},
        classes=None,
        notes=found.notes,
        choice=f"{chosen.image}, {chosen.label}",
    )
    return replace(source, inspect=partial(_inspected, source, found, chosen))


def _inspected(source: Source, found: Shards, chosen: Columns) -> Source:
    """The source with its splits, classes and their names: reads every file's header and, where classes go by name, the
    labels.

    Raises UsageError that lists the files which do not fit the others.
    """
    files, notes = _tested_on(found, chosen)
    place, schemas = source.location, {file: _open(file).schema_arrow for split in files.values() for file in split}
    unfit = {file: why for file, schema in schemas.items() if (why := columns.mismatch(schema, chosen))}
    if unfit:
        raise wrong(place, [f"{file.relative_to(place)} {why}" for file, why in unfit.items()])
    if chosen.kind == "names":
        classes = by_name({name for file in schemas for name in _labels(file, chosen.label)})
    else:
        given = {str(file.relative_to(place)): columns.class_names(schema, chosen) for file, schema in schemas.items()}
        classes = by_number(place, given)
    return replace(
        source,
        splits={split: partial(_rows, place, paths, chosen, classes) for split, paths in files.items()},
        classes=classes.count,
        names=classes.names,
        notes=(*source.notes, *notes, *classes.notes),
    )


def _tested_on(found: Shards, chosen: Columns) -> tuple[dict[str, list[Path]], list[str]]:
    """The files of the training split and of the one that is tested on: a test split with labels, else the validation
    split. The hub has test splits without labels, which are those of a competition."""
    held_out = [split for split in ("test", "validation") if split in found.splits]
    files, notes = {"train": found.splits["train"]}, []
    for split in held_out:
        if "test" in files:
            notes.append(f"not used, a validation split is drawn from the training images: the {split} split")
        elif any(_is_labelled(file, chosen.label, split == held_out[-1]) for file in found.splits[split]):
            files["test"] = found.splits[split]
        else:
            notes.append(f"not used, without labels: the {split} split")
    return files, notes


def _is_labelled(file: Path, label: str, only: bool) -> bool:
    """Whether a file has labels, even in a column that cannot be read. It has none where the column is empty in
    every row, or -1, as the hub has it; or where it is missing, with none of a usual name for it, unless this is the
    only split to test on: then its name is another one."""
    schema = _open(file).schema_arrow
    if schema.names.count(label) != 1:
        return only or not {label, *columns.LABELS}.isdisjoint(schema.names)
    if columns.kind_of(schema.field(label).type) is None:
        return not pa.types.is_null(schema.field(label).type)
    found = _labels(file, label)
    return not found or not found <= {None, -1, ""}


def _labels(file: Path, label: str) -> set[Any]:
    """The values in the column of labels."""
    try:
        return set(_open(file).read(columns=[label]).column(label).to_pylist())
    except DAMAGED as error:
        raise _damaged(file, error) from None


def _rows(place: Path, files: list[Path], chosen: Columns, classes: Classes) -> Iterator[Item]:
    for file in files:
        name = str(file.relative_to(place))
        for row, (content, label) in enumerate(_pairs(file, chosen)):
            content = content["bytes"] if isinstance(content, dict) else content
            yield Item(f"{name} row {row}", content, classes.number(name, label))


def _pairs(file: Path, chosen: Columns) -> Iterator[tuple[Any, Any]]:
    """An image and its label, as they stand there, row by row."""
    batches = _open(file).iter_batches(ROWS, columns=[chosen.image, chosen.label])
    while True:
        try:
            batch = next(batches, None)
            if batch is None:
                return
            pairs = zip(batch[chosen.image].to_pylist(), batch[chosen.label].to_pylist(), strict=True)
        except DAMAGED as error:
            raise _damaged(file, error) from None
        yield from pairs


def _open(file: Path) -> pq.ParquetFile:
    if why := defect(file):
        raise refused(f"{file} {why}")
    try:
        return pq.ParquetFile(file)
    except DAMAGED as error:
        raise _damaged(file, error) from None


def _damaged(file: Path, error: Exception) -> UsageError:
    return refused(f"{file} cannot be read as Parquet: {' '.join(str(error).split())}")
