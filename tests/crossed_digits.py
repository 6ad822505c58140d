"""Results folders whose seeds have a teacher each, real digits' classifiers standing for networks."""

from functools import cache
from pathlib import Path

import fake_results as fake
import numpy as np
import said_of_digits as said
from sklearn.svm import SVC

from benchmark.records import Folder

SEEDS = 4


@cache
def teacher(seed: int) -> said.Array:
    """Of a seed, which saw images of its own."""
    images, labels = said.digits()
    own = np.random.default_rng(200 + seed).permutation(600)[:150]
    return np.asarray(SVC(kernel="linear").fit(images[own], labels[own]).decision_function(images[said.TEST]))


def results(path: Path, *, weights: str = "seed {}") -> Folder:
    """`kd` learns half of what its own teacher says, `sp` half of what the next seed's does, the student alone nothing
    of any."""
    folder = Folder(path / "grid")
    for seed in range(SEEDS):
        for method, its, share in (("student", seed, 0.0), ("kd", seed, 0.5), ("sp", (seed + 1) % SEEDS, 0.5)):
            run = fake.run(method, seed)
            assert run.teacher
            run = run.model_copy(update={"teacher": run.teacher.model_copy(update={"seed": seed})})
            record = fake.record(run, 0.9)
            taught = record.result.model_copy(update={"teacher_weights_sha256": weights.format(seed)})
            mixed = (1 - share) * said.student(seed) + share * teacher(its)
            said.keep(folder, record.model_copy(update={"result": taught}), mixed)
        assert run.teacher
        said.keep_teacher(folder.teachers, run.teacher, record, teacher(seed))
        _trained(folder.teachers, run.teacher.id, weights.format(seed))
    return folder


def _trained(teachers: Folder, run_id: str, weights: str) -> None:
    record = teachers.record(run_id)
    assert record
    teachers.finish(
        record.model_copy(update={"result": record.result.model_copy(update={"weights_sha256": weights})}), []
    )
