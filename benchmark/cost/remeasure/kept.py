"""What networks of finished runs say of the test images, where their weights were kept."""

import torch

from benchmark.cost.remeasure.results import Results
from benchmark.data import evaluation_data
from benchmark.models.weights import weights_sha256
from benchmark.records import Folder
from benchmark.records.predictions import Predictions
from benchmark.spec import Precision, Run
from benchmark.training.evaluation import predictions_on
from benchmark.training.loop import configure_torch
from benchmark.training.teacher import Teacher

CPU = torch.device("cpu")


class NotKeptError(Exception):
    """What a measure cannot be made again without."""


def kept(run: Run, folder: Folder, sha256: str | None, results: Results, precision: Precision) -> Predictions:
    """Of the weights with this hash. Raises NotKeptError where there are none or the data set holds other images now,
    TeacherError for weights that cannot be read."""
    record = folder.record(run.id)
    if record is None or not (run.as_it_came or folder.weights_path(run.id).exists()):
        raise NotKeptError(f"{folder.path} keeps no weights of {run.id}")
    splits = results.images(run.dataset)
    if splits.sha256 != record.result.data_sha256:
        raise NotKeptError(f"{run.dataset.name!r} holds other images now")
    network = Teacher(run, record, folder, splits.classes, CPU)
    if weights_sha256(network.network.model) != sha256:
        raise NotKeptError(f"{folder.path} keeps other weights of {run.id}")
    configure_torch(run.recipe, CPU)
    return predictions_on(
        lambda images: network.evaluate(images, precision), evaluation_data(splits.test, run.recipe, CPU)
    )
