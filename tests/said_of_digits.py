"""Results folders whose runs said something of real digits: small classifiers of scikit-learn stand for networks."""

from functools import cache
from pathlib import Path

import fake_results as fake
import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from benchmark.ground.files import write_bytes
from benchmark.metrics import measure
from benchmark.records import Cost, Folder, Record, Result
from benchmark.records.predictions import Predictions, sha256
from benchmark.spec import Run

Array = NDArray[np.float64]
TEST = slice(600, 1797)


@cache
def digits() -> tuple[Array, NDArray[np.int64]]:
    images, labels = load_digits(return_X_y=True)
    return images / 16, labels


@cache
def teacher() -> Array:
    """Logits of a teacher that errs on some 8 % of the test images."""
    images, labels = digits()
    return np.asarray(SVC(kernel="linear").fit(images[:150], labels[:150]).decision_function(images[TEST]))


@cache
def student(seed: int, images_seen: int = 100) -> Array:
    """Of a student that learnt from the labels of so many images of its own."""
    images, labels = digits()
    own = np.random.default_rng(seed).permutation(600)[:images_seen]
    return np.asarray(LogisticRegression(max_iter=200).fit(images[own], labels[own]).decision_function(images[TEST]))


def copying(seed: int, share: float) -> Array:
    """Of a student that answers as the teacher does for a share of the images, right or wrong."""
    copied = np.random.default_rng(100 + seed).random(len(teacher())) < share
    return np.where(copied[:, None], teacher(), student(seed))


def keep(folder: Folder, record: Record, logits: Array) -> Record:
    """Write what a run said, and its record, which has the hash."""
    labels, images = digits()[1][TEST], np.arange(200)
    said = Predictions(logits.astype(np.float32), labels, logits[images].astype(np.float32), images)
    content, values = said.content(), measure({"logits": logits, "labels": labels})
    result = record.result.model_copy(update={"top1": values["top1"], "predictions_sha256": sha256(content)})
    write_bytes(folder.predictions_path(record.run_id), content)
    folder.finish(record.model_copy(update={"result": result}), [])
    return record


def keep_teacher(folder: Folder, run: Run, like: Record, logits: Array | None = None) -> None:
    result = Result(top1=0.9, weights_sha256="aa", data_sha256="dd")
    found = Record(run_id=run.id, status="done", run=run, result=result, cost=Cost(), provenance=like.provenance)
    keep(folder, found, teacher() if logits is None else logits)


def results(path: Path, seeds: int = 3) -> Folder:
    """Students alone, and three methods: `kd` copies the teacher for a third of the images, `sp` is the student alone
    with other seeds, `gkd` the same with three times the images, and so more accurate."""
    folder = Folder(path / "grid")
    for seed in range(seeds):
        for method, logits in (
            ("student", student(seed)),
            ("kd", copying(seed, 1 / 3)),
            ("sp", student(seed + 30)),
            ("gkd", student(seed, 300)),
        ):
            record = keep(folder, fake.record(fake.run(method, seed), 0.9), logits)
    assert record.run.teacher
    keep_teacher(folder.teachers, record.run.teacher, record)
    return folder
