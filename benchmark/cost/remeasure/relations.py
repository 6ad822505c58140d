"""Relation measures of finished records, made again as the suite measures them now, where weights were kept."""

from typing import Any

import torch

from benchmark.cost.remeasure.results import Results
from benchmark.data import evaluation_data
from benchmark.models.weights import weights_sha256
from benchmark.records import RELATIONS_VERSION, Folder, Record
from benchmark.records.predictions import Predictions
from benchmark.records.record import RELATIONS
from benchmark.spec import Precision, Run
from benchmark.training.evaluation import measures, predictions_on
from benchmark.training.loop import configure_torch
from benchmark.training.teacher import Teacher, TeacherError

CPU = torch.device("cpu")


def remeasure(results: Results) -> None:
    """Raises UsageError for data that cannot be had."""
    for record in results.folder.records()[0]:
        result = record.result
        if result.distance_correlation is None or result.relations_version == RELATIONS_VERSION:
            continue
        try:
            new = _measured(record, results)
        except (_NotKeptError, TeacherError) as reason:
            results.say(f"{record.run_id}: relations stay as they are: {reason}")
            continue
        old = result.model_dump(include=set(RELATIONS))
        results.say(f"{record.run_id}: " + ", ".join(f"{name} {old[name]} -> {new[name]}" for name in RELATIONS))
        results.change(record.run_id, "result", new)
    results.close()


class _NotKeptError(Exception):
    """What relations cannot be measured without."""


def _measured(record: Record, results: Results) -> dict[str, Any]:
    run, result, folder = record.run, record.result, results.folder
    assert run.teacher
    student = _Kept(run, folder, result.weights_sha256)
    teacher = _Kept(run.teacher, folder.teachers, result.teacher_weights_sha256)
    splits = results.images(run.dataset)
    if splits.sha256 != result.data_sha256:
        raise _NotKeptError(f"{run.dataset.name!r} holds other images now")
    configure_torch(run.recipe, CPU)
    test = evaluation_data(splits.test, run.recipe, CPU)

    def predictions(kept: _Kept, precision: Precision) -> Predictions:
        network = kept.network(splits.classes)
        return predictions_on(lambda images: network.evaluate(images, precision), test)

    new = measures(predictions(student, run.recipe.precision), predictions(teacher, run.recipe.teacher_precision))
    return {name: new.get(name) for name in (*RELATIONS, "relations_version")}


class _Kept:
    """A finished run whose weights lie in a folder."""

    def __init__(self, run: Run, folder: Folder, sha256: str | None) -> None:
        record = folder.record(run.id)
        if record is None or not folder.weights_path(run.id).exists():
            raise _NotKeptError(f"{folder.path} keeps no weights of {run.id}")
        self.record, self.folder, self.sha256 = record, folder, sha256

    def network(self, classes: int) -> Teacher:
        network = Teacher(self.record, self.folder, classes, CPU)
        if weights_sha256(network.network.model) != self.sha256:
            raise _NotKeptError(f"{self.folder.path} keeps other weights of {self.record.run_id}")
        return network
