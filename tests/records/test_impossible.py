"""Records that cannot be true are refused by name; those that can are read."""

import json
import shutil
from pathlib import Path
from typing import Any

import fake_results as fake
import pytest
from damage import DAMAGES

from benchmark.records import Folder, Record, RecordError, read_record

REFERENCE = Path(__file__).parents[2] / "results" / "reference"

LONG = int("9" * 400)
IMPOSSIBLE: list[tuple[str, Any]] = [
    ("result.nll", -5.0),
    ("result.nll", 1e300),
    ("result.top1", -0.1),
    ("result.top1", 7.0),
    ("result.top1", None),
    ("result.top1", True),
    ("result.top1", "0.5"),
    ("result.top5", 1.0000001),
    ("result.top5", 0.0),
    ("result.ece", -0.5),
    ("result.agreement", 1e300),
    ("result.kl_teacher", -1.0),
    ("result.distance_correlation", 2.0),
    ("result.angle_correlation", -1.1),
    ("result.cka", -0.5),
    ("result.neighbour_overlap", 1.5),
    ("result.validation_top1", 7.0),
    ("result.train_top1", -1.0),
    ("result.train_loss", 1e300),
    ("result.teacher_top1", 96.4),
    ("result.test_images", 0),
    ("result.test_images", -1),
    ("result.test_images", LONG),
    ("result.test_duplicates", -1),
    ("result.test_duplicates", 10**9),
    ("result.diverged_epoch", 3),
    ("result.reason", "because"),
    ("result.teacher_id", "another"),
    ("result.teacher_id", None),
    ("cost.parameters", -1),
    ("cost.parameters", 0),
    ("cost.parameters", LONG),
    ("cost.macs", -1),
    ("cost.macs", 1.5),
    ("cost.training_flops", -1),
    ("cost.cohort_size", 0),
    ("cost.student_seconds", -1.0),
    ("cost.cohort_seconds", 1e300),
    ("cost.peak_memory_bytes", -1),
    ("provenance.threads", 0),
    ("provenance.resumed", -1),
    ("provenance.finished", "yesterday"),
    ("provenance.deterministic", "yes"),
    ("schema_version", True),
    ("schema_version", "1"),
    ("run.seed", LONG),
    ("run.seed", -1),
    ("status", "diverged"),
    ("status", "not_applicable"),
]


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """The file of a committed record, which says everything that a record can."""
    path = sorted((REFERENCE / "digits" / "records").glob("*-kd-s0-*.json"))[0]
    return Path(shutil.copy(path, tmp_path))


@pytest.mark.parametrize(("field", "value"), IMPOSSIBLE, ids=[f"{f}={str(v)[:12]}" for f, v in IMPOSSIBLE])
def test_a_record_that_cannot_be_true_is_refused(field: str, value: Any, recorded: Path) -> None:
    assert read_record(recorded)
    raw = json.loads(recorded.read_text())
    *tables, key = field.split(".")
    table = raw
    for name in tables:
        table = table[name]
    table[key] = value
    recorded.write_text(json.dumps(raw))
    with pytest.raises(RecordError) as caught:
        read_record(recorded)
    assert str(recorded) in str(caught.value)
    assert len(str(caught.value)) < 500 + len(str(recorded))
    assert "\n" not in str(caught.value)


OF_NOTHING: list[tuple[dict[str, Any], str, Any]] = [
    ({"dataset": {"validation": 0}}, "result.validation_top1", 0.5),
]


@pytest.mark.parametrize(("lacking", "field", "value"), OF_NOTHING, ids=lambda value: str(value)[:40])
def test_what_a_run_has_none_of_cannot_be_measured(lacking: dict[str, Any], field: str, value: Any) -> None:
    raw = fake.record(fake.run()).model_dump(mode="json")
    raw["cost"]["training_flops"] = None
    for name, change in lacking.items():
        raw["run"][name] |= change
    assert Record.model_validate(raw)
    table, key = field.split(".")
    raw[table][key] = value
    with pytest.raises(ValueError, match="of a run without"):
        Record.model_validate(raw)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_record_of_any_content_is_refused_by_name(damage: str, recorded: Path) -> None:
    DAMAGES[damage](recorded)
    with pytest.raises(RecordError, match=str(recorded)):
        read_record(recorded)


@pytest.mark.parametrize(
    ("status", "result"),
    [
        ("diverged", {"reason": "loss is inf", "diverged_epoch": -1}),
        ("diverged", {"reason": "loss is inf", "diverged_epoch": 29}),
        ("not_applicable", {"reason": "widths"}),
        ("done", {"kl_teacher": -1e-12, "cka": 1 + 1e-12, "nll": 0.0, "top1": 1.0, "top5": 1.0}),
        ("done", {"cka": -0.01, "relations_version": 1, "within_class_correlation": -0.5}),
        ("done", {"teacher_id": None, "teacher_weights_sha256": None, "teacher_top1": None}),
    ],
)
def test_what_is_possible_is_read(status: str, result: dict[str, Any], tmp_path: Path) -> None:
    record = fake.record(fake.run(), status=status, **result)
    folder = Folder(fake.write(tmp_path / "grid", record))
    assert folder.record(record.run_id) == record
    assert record.lacks_teacher == (result.get("teacher_id", "of the teacher") is None)


def test_every_committed_record_reads() -> None:
    paths = sorted(REFERENCE.glob("*/records/*.json"))
    assert len(paths) > 380
    for path in paths:
        record = read_record(path)
        assert record.run_id == path.stem
        assert record.written()["result"] == json.loads(path.read_bytes())["result"]  # nothing new that says nothing
