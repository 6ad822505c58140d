"""What networks say of the test images, beside their records: whole, of the record's training, or named."""

import os
from collections.abc import Callable
from pathlib import Path

import fake_results as fake
import numpy as np
import pytest
from safetensors.numpy import load, save

from benchmark.ground.errors import UsageError
from benchmark.ground.files import write_bytes
from benchmark.records import Folder
from benchmark.records.predictions import Predictions, of_run, read, sha256

LABELS = np.arange(6) % 3
WHOLE = Predictions(3 * np.eye(3, dtype=np.float32)[LABELS], LABELS, np.ones((2, 4), np.float32), np.array([5, 1]))


def test_they_are_read_as_they_were_written(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a", WHOLE.content())
    found = read(tmp_path / "a")
    for name in ("logits", "labels", "embeddings", "images"):
        assert (getattr(found, name) == getattr(WHOLE, name)).all()
    assert found.logits.dtype == np.float32
    assert load(WHOLE.content())["logits"].dtype == load(WHOLE.content())["embeddings"].dtype == np.float16
    assert WHOLE.content() == WHOLE.content()
    large = Predictions(1e6 * WHOLE.logits, LABELS)
    assert load(large.content())["logits"].dtype == np.float32


def test_the_likeliest_class_stays_the_likeliest_in_half_precision(tmp_path: Path) -> None:
    logits = np.array([[20.0, 20.001, 3.0], [7.0, 7.0, 2.0], [-1.0, -1.0001, -0.99999]], np.float32)
    assert logits.astype(np.float16).argmax(1).tolist() == [0, 0, 0]
    write_bytes(tmp_path / "a", Predictions(logits, LABELS[:3]).content())
    assert read(tmp_path / "a").logits.argmax(1).tolist() == logits.argmax(1).tolist() == [1, 0, 2]


def test_files_from_before_embeddings_are_read(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a", Predictions(WHOLE.logits, LABELS).content())
    found = read(tmp_path / "a")
    assert found.embeddings is None
    assert found.given().keys() == {"logits", "labels"}


def test_a_teacher_of_other_images_is_refused() -> None:
    assert WHOLE.given(WHOLE).keys() >= {"embedding_labels", "teacher_embeddings", "teacher_logits"}
    assert WHOLE.given()["embedding_labels"].tolist() == [2, 1]
    with pytest.raises(UsageError, match="of other test images"):
        WHOLE.given(Predictions(WHOLE.logits, 2 - LABELS))
    other = Predictions(WHOLE.logits, LABELS, WHOLE.embeddings, np.array([0, 1]))
    assert "teacher_embeddings" not in WHOLE.given(other)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "cannot be read: not a regular file": lambda path: (path.unlink(), os.mkfifo(path)),
    "cannot be read: SafetensorError": lambda path: path.write_bytes(b"nonsense"),
    "cannot be read: KeyError": lambda path: path.write_bytes(save({"labels": LABELS})),
    "do not belong together": lambda path: path.write_bytes(save({"logits": np.eye(3), "labels": LABELS})),
    "without the images": lambda path: path.write_bytes(
        save({"logits": np.eye(6), "labels": LABELS, "embeddings": np.eye(2)})
    ),
    "of images that are not there": lambda path: path.write_bytes(
        save({"logits": np.eye(6), "labels": LABELS, "embeddings": np.eye(2), "images": np.array([0, 6])})
    ),
    "logits that are not finite": lambda path: path.write_bytes(
        save({"logits": np.full((6, 3), np.nan), "labels": LABELS})
    ),
    "labels that are no classes": lambda path: path.write_bytes(save({"logits": np.eye(6), "labels": LABELS - 1})),
}


@pytest.mark.parametrize("message", DAMAGES)
def test_damaged_ones_are_named_in_one_line(message: str, tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    write_bytes(path, WHOLE.content())
    DAMAGES[message](path)
    with pytest.raises(UsageError, match=rf"^(predictions )?{path}.*{message}[^\n]*$"):
        read(path)
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read(tmp_path / "missing")


def test_another_trainings_are_refused(tmp_path: Path) -> None:
    record = fake.record(fake.run(), 1.0, predictions_sha256=sha256(WHOLE.content()))
    folder = Folder(fake.write(tmp_path / "grid", record))
    with pytest.raises(UsageError, match=rf"^no predictions of {record.run_id} at .* \(keep_predictions\)$"):
        of_run(folder, record)
    path = folder.predictions_path(record.run_id)
    write_bytes(path, WHOLE.content())
    assert (of_run(folder, record).logits == WHOLE.logits).all()
    write_bytes(path, Predictions(2 * WHOLE.logits, LABELS).content())
    with pytest.raises(UsageError, match="are not those of the record's training"):
        of_run(folder, record)


def test_without_a_recorded_hash_the_accuracy_tells(tmp_path: Path) -> None:
    record = fake.record(fake.run(), 0.5)
    folder = Folder(fake.write(tmp_path / "grid", record))
    write_bytes(folder.predictions_path(record.run_id), WHOLE.content())
    with pytest.raises(UsageError, match="are not those of the record's training"):
        of_run(folder, record)
