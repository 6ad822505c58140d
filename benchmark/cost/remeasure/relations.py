"""Relation measures of finished records, made again as the suite measures them now, where weights were kept."""

from typing import Any

from benchmark.cost.remeasure.kept import NotKeptError, kept
from benchmark.cost.remeasure.results import Results
from benchmark.records import RELATIONS_VERSION, Record
from benchmark.records.record import RELATIONS
from benchmark.training.evaluation import measures
from benchmark.training.teacher import TeacherError


def remeasure(results: Results) -> None:
    """Raises UsageError for data that cannot be had."""
    for record in results.records():
        result = record.result
        if result.distance_correlation is None or result.relations_version == RELATIONS_VERSION:
            continue
        try:
            new = _measured(record, results)
        except (NotKeptError, TeacherError) as reason:
            results.say(f"{record.run_id}: relations stay as they are: {reason}")
            continue
        old = result.model_dump(include=set(RELATIONS))
        results.say(f"{record.run_id}: " + ", ".join(f"{name} {old[name]} -> {new[name]}" for name in RELATIONS))
        results.change(record.run_id, "result", new)
    results.close()


def _measured(record: Record, results: Results) -> dict[str, Any]:
    run, result, folder = record.run, record.result, results.folder
    assert run.teacher
    student = kept(run, folder, result.weights_sha256, results, run.recipe.precision)
    weights, precision = result.teacher_weights_sha256, run.recipe.teacher_precision
    new = measures(student, kept(run.teacher, folder.teachers, weights, results, precision))
    return {name: new.get(name) for name in (*RELATIONS, "relations_version")}
