"""The columns of Parquet files: which hold images and labels, and what the hub's metadata call the classes."""

import json
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import pyarrow as pa

from benchmark.data.naming import class_name, refused
from benchmark.ground.errors import unknown
from benchmark.spec import Dataset

LABELS = ("label", "fine_label", "labels")
"""Usual names of the column of labels."""

Kind = Literal["numbers", "names"]
"""What labels are: whole numbers (yes and no count as 1 and 0), or the names of classes."""


class Columns(NamedTuple):
    """The columns that are read, and what the labels are."""

    image: str
    label: str
    kind: Kind


def choose(schema: pa.Schema, dataset: Dataset) -> Columns:
    """What the data set's entry names, else the only column of images, and the labels: a column with a usual name, else
    the only class label, else the only whole numbers in a file without texts, which might be the classes as well.

    Raises UsageError where that leaves a choice, or a column that holds something else.
    """
    images = [field.name for field in schema if _holds_images(field.type)]
    valid = [field.name for field in schema if kind_of(field.type)]
    usual = [name for name in dict.fromkeys(schema.names) if name in LABELS]
    named = [name for name in valid if _feature(schema, name).get("_type") == "ClassLabel"]
    texts = any(kind_of(field.type) == "names" for field in schema)
    likely = usual or named or ([] if texts else valid)
    image = _chosen(schema, dataset, "image", dataset.image_column, images, images)
    label = _chosen(schema, dataset, "label", dataset.label_column, likely, valid)
    kind = kind_of(schema.field(label).type)
    assert kind is not None
    return Columns(image, label, kind)


def mismatch(schema: pa.Schema, columns: Columns) -> str | None:
    """Why another file of the data set cannot be read by the same columns."""
    for name in (columns.image, columns.label):
        if schema.names.count(name) != 1:
            return f"has {schema.names.count(name)} columns {name!r}; columns: {_listed(schema)}"
    image, label = schema.field(columns.image).type, schema.field(columns.label).type
    if not _holds_images(image):
        return f"has {image} in column {columns.image!r}, no images"
    if kind_of(label) != columns.kind:
        return f"has {label} in column {columns.label!r}, where other files have {columns.kind}"
    return None


def class_names(schema: pa.Schema, columns: Columns) -> tuple[str, ...] | int | None:
    """The names that the file's numbers stand for, else how many there are, else None. Metadata that are damaged count
    as absent."""
    if columns.kind == "names":
        return None
    if pa.types.is_boolean(_values(schema.field(columns.label).type)):
        return "False", "True"
    feature = _feature(schema, columns.label)
    names, count = feature.get("names"), feature.get("num_classes")
    if isinstance(names, list) and names and all(isinstance(name, str) for name in names):
        return tuple(map(class_name, names))
    return count if type(count) is int and count > 0 else None


def kind_of(column: pa.DataType) -> Kind | None:
    """What labels a column can hold; None for any other type."""
    values = _values(column)
    if pa.types.is_integer(values) or pa.types.is_boolean(values):
        return "numbers"
    texts = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return "names" if any(is_text(values) for is_text in texts) else None


def _holds_images(column: pa.DataType) -> bool:
    """Bytes, or the hub's pairs of bytes and a path."""
    if pa.types.is_struct(column):
        return any(field.name == "bytes" and _holds_images(field.type) for field in column)
    values = _values(column)
    return any(holds(values) for holds in (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view))


def _values(column: pa.DataType) -> pa.DataType:
    return column.value_type if pa.types.is_dictionary(column) else column


def _feature(schema: pa.Schema, column: str) -> dict[str, Any]:
    """What the hub's own metadata say of a column, if there are any that can be read."""
    try:
        found = json.loads((schema.metadata or {}).get(b"huggingface", b""))["info"]["features"][column]
    except (ValueError, LookupError, TypeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _chosen(
    schema: pa.Schema, dataset: Dataset, kind: str, wanted: str | None, likely: Sequence[str], valid: Sequence[str]
) -> str:
    """Raises UsageError unless the entry's column, or the only likely one, can be read."""
    start, end = f"dataset {dataset.name!r}:", f"; columns: {_listed(schema)}"
    if wanted is not None and wanted not in schema.names:
        raise refused(f"{start} {unknown(f'{kind} column', wanted, valid)}{end}")
    if wanted is None and not valid and not likely:
        raise refused(f"{start} no column holds {kind}s: they are {KINDS[kind]}{end}")
    if wanted is None and len(likely) != 1:
        options = [*likely] or [*valid]
        found = f"{'several columns' if len(options) > 1 else 'a column of texts'} may be the {kind}s"
        advice = f"choose one with {kind}_column = ... in its entry"
        raise refused(f"{start} {found} ({', '.join(options)}): {advice}{end}")
    name = likely[0] if wanted is None else wanted
    if name not in valid or schema.names.count(name) != 1:
        why = f"is {schema.field(name).type}" if schema.names.count(name) == 1 else "is there more than once"
        raise refused(f"{start} column {name!r} {why}, but {kind}s are {KINDS[kind]}{end}")
    return name


KINDS = {
    "image": "encoded images, as binary or as a struct with bytes",
    "label": "whole numbers, true or false, or the classes' names",
}


def _listed(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name} ({field.type})" for field in schema)
