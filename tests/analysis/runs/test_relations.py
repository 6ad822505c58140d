"""Relation measures of several versions: one in a column, and a line on what is left out."""

from pathlib import Path
from typing import Any

import fake_results as fake

from analysis.runs.load import load
from benchmark.records import Record


def measured(method: str, seed: int, cka: float, version: int | None) -> Record:
    values: dict[str, Any] = {"distance_correlation": 0.5, "angle_correlation": 0.4, "cka": cka}
    return fake.record(fake.run(method, seed), relations_version=version, **values)


def test_versions_never_share_a_column(tmp_path: Path) -> None:
    records = [measured("student", 0, 0.8, None), measured("kd", 0, 0.7, None), measured("kd", 1, -0.1, 1)]
    found = load([fake.write(tmp_path / "grid", *records, fake.record(fake.run("sp")))])
    runs = found.runs[found.runs.status == "done"].set_index(["method", "seed"])
    assert runs.cka.dropna().to_dict() == {("kd", 1): -0.1}
    assert runs.relations_version.dropna().to_dict() == {("kd", 1): 1}
    assert runs.distance_pearson.notna().sum() == runs.cosine_pearson.notna().sum() == 1
    assert found.problems == (
        "relations of 2 runs are of the first 500 test images, of the others of a stratified sample of test images, "
        "CKA debiased: only the latter are shown; python -m benchmark.cost.remeasure relations makes them again where "
        "weights were kept",
    )


def test_one_version_stays_whole(tmp_path: Path) -> None:
    for version in (None, 1):
        records = [measured("student", 0, 0.8, version), measured("kd", 0, 0.7, version)]
        found = load([fake.write(tmp_path / str(version), *records)])
        assert found.runs.cka.tolist() == [0.7, 0.8]
        assert not found.problems
