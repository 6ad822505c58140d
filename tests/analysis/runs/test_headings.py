"""Two data sets of one name never share a heading, whatever they differ in."""

from pathlib import Path

import fake_results as fake

from analysis.runs.load import load
from benchmark.records import Record
from benchmark.spec import Dataset


def record(method: str, data: Dataset, **result: str) -> Record:
    made = fake.record(fake.run(method), 0.9, **result)
    run = made.run.model_copy(update={"dataset": data})
    return made.model_copy(update={"run": run, "run_id": run.id})


def found(path: Path, *records: Record) -> list[str]:
    return sorted(set(load([fake.write(path, *records)]).runs.dataset))


def test_one_data_set_keeps_its_name(tmp_path: Path) -> None:
    data = Dataset(name="digits", train=200)
    assert found(tmp_path / "g", record("kd", data), record("sp", data)) == ["digits"]


def test_other_sizes_and_other_images_are_named(tmp_path: Path) -> None:
    small, whole = Dataset(name="digits", train=200), Dataset(name="digits")
    assert found(tmp_path / "a", record("kd", small), record("sp", whole)) == ["digits", "digits (train 200)"]
    both = record("kd", whole, data_sha256="a" * 64), record("sp", whole, data_sha256="b" * 64)
    assert found(tmp_path / "b", *both) == ["digits (images aaaaaaaa)", "digits (images bbbbbbbb)"]


def test_holes_stand_under_their_own_heading(tmp_path: Path) -> None:
    small, whole = (record(name, Dataset(name="digits", train=n)) for name, n in (("kd", 200), ("sp", None)))
    planned = small.run.model_copy(update={"seed": 1})
    runs = load([fake.write(tmp_path / "g", small, whole, planned=(planned,))]).runs
    assert dict(zip(runs.seed, runs.dataset, strict=True))[1] == "digits (train 200)"
    assert len(runs) == 3
