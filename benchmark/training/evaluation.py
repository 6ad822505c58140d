"""What a trained network says of a split, and the measures of it that go into its record."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from benchmark.data import EvaluationData
from benchmark.metrics import METRICS, measure
from benchmark.records import RELATIONS_VERSION, Result
from benchmark.records.predictions import SAMPLE, Predictions
from benchmark.spec import derive_seed

BATCH = 500


def batches(data: EvaluationData) -> Iterator[tuple[Tensor, Tensor]]:
    """Images [B, C, H, W] and labels [B] of a whole split, in order."""
    for start in range(0, len(data), BATCH):
        yield data.batch(start, start + BATCH)


def accuracy(predict: Callable[[Tensor], Tensor], data: EvaluationData) -> float:
    """Top-1 share in [0, 1] of `predict`, images to logits [B, K]."""
    correct = sum((predict(images).argmax(1) == labels).sum() for images, labels in batches(data))
    return float(correct) / len(data)


def predictions_on(network: Callable[[Tensor], tuple[Tensor, Tensor]], data: EvaluationData) -> Predictions:
    """Of a whole test set, in full precision."""
    logits, embeddings = outputs_on(network, data)
    images = relation_sample(data.labels, SAMPLE)
    sampled = embeddings[images.to(embeddings.device)]
    return Predictions(*(each.cpu().numpy() for each in (logits, data.labels, sampled, images)))


def outputs_on(network: Callable[[Tensor], tuple[Tensor, Tensor]], data: EvaluationData) -> tuple[Tensor, Tensor]:
    """Logits [N, K] and embeddings [N, D] on a whole split."""
    logits, embeddings = zip(*(network(images) for images, _ in batches(data)), strict=True)
    return torch.cat(logits), torch.cat(embeddings)


def relation_sample(labels: Tensor, most: int) -> Tensor:
    """Positions of up to so many test images, from all labels [N]. Any first of them have every class's share, as
    nearly as whole images can be, and within a class any are as likely. The labels alone decide.
    """
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(derive_seed("relations")))
    mixed = labels.cpu()[order]
    counts = mixed.bincount()
    by_class = mixed.argsort(stable=True)
    rank = torch.empty_like(mixed)  # of each image within its class, by the random order
    rank[by_class] = torch.arange(len(mixed)) - (counts.cumsum(0) - counts)[mixed[by_class]]
    passed = (rank.double() + 0.5) / counts[mixed]
    return order[passed.argsort(stable=True)[:most]]


def measures(student: Predictions, teacher: Predictions | None) -> dict[str, Any]:
    """Every metric of the test set, as a record's result has them: those that records had before there was a registry
    as fields, others among `measures`."""
    values = {METRICS[name].field: value for name, value in measure(student.given(teacher)).items()}
    own = {name: value for name, value in values.items() if name in Result.model_fields}
    others = {name: value for name, value in values.items() if name not in own}
    versions = {} if teacher is None else {"relations_version": RELATIONS_VERSION}
    return {**own, **versions, "measures": others or None}
