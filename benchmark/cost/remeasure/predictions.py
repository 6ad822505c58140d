"""What finished runs say of the test images, written beside their records where weights were kept."""

from benchmark.cost.remeasure.kept import NotKeptError, kept
from benchmark.cost.remeasure.results import Results
from benchmark.ground.files import write_bytes
from benchmark.records import Record
from benchmark.records.predictions import agree, sha256
from benchmark.training.teacher import TeacherError


def remeasure(results: Results) -> None:
    """Raises UsageError for data that cannot be had."""
    for record in results.records():
        path = results.folder.predictions_path(record.run_id)
        if record.status != "done" or (record.result.predictions_sha256 and path.exists()):
            continue
        try:
            content = _said(record, results)
        except (NotKeptError, TeacherError) as reason:
            results.say(f"{record.run_id}: no predictions: {reason}")
            continue
        results.say(f"{record.run_id}: {len(content):,} bytes of predictions")
        if not results.dry_run:
            write_bytes(path, content)
        results.change(record.run_id, "result", {"predictions_sha256": sha256(content)})
    results.close()


def _said(record: Record, results: Results) -> bytes:
    run, result = record.run, record.result
    found = kept(run, results.folder, result.weights_sha256, results, run.recipe.precision)
    if not agree(found, result):  # of a method that deploys more than its student, say
        raise NotKeptError(f"the weights kept have another accuracy than the record's {result.top1}")
    return found.content()
