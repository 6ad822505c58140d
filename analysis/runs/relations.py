"""That no column holds two versions of relation measures."""

from collections.abc import Sequence

from analysis.runs.alike import Row
from benchmark.metrics import METRICS

VERSIONS = {0: "the first 500 test images", 1: "a stratified sample of test images, CKA debiased"}
"""By `relations_version`, 0 where a record has none."""


def columns() -> list[str]:
    """Of the metrics that compare embeddings with the teacher's."""
    return [name for name, metric in METRICS.items() if "teacher_embeddings" in metric.needs]


def of_one_version(rows: Sequence[Row]) -> tuple[list[Row], list[str]]:
    """The rows with relations of the newest version among them alone, and a line on those that are left out."""
    versions = [_version(row) for row in rows]
    measured = [version for version in versions if version is not None]
    newest = max(measured, default=None)
    blank = dict.fromkeys((*columns(), "relations_version"))
    kept = [row if version == newest else {**row, **blank} for row, version in zip(rows, versions, strict=True)]
    older = [version for version in measured if version != newest]
    if newest is None or not older:
        return kept, []
    said = " and ".join(map(_described, sorted(set(older))))
    return kept, [
        f"relations of {len(older)} runs are of {said}, of the others of {_described(newest)}: only the latter are "
        "shown; python -m benchmark.cost.remeasure relations makes them again where weights were kept"
    ]


def _version(row: Row) -> int | None:
    """None for a run whose relations were not measured."""
    measured = any(row[name] is not None for name in columns())
    return (row["relations_version"] or 0) if measured else None


def _described(version: int) -> str:
    return VERSIONS.get(version, f"version {version}")
