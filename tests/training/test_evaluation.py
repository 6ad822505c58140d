"""What is read of a split, and what a record is told of it."""

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmark.data import Images, Resident
from benchmark.records import RELATIONS_VERSION, Result
from benchmark.records.predictions import Predictions
from benchmark.spec import Recipe
from benchmark.training.evaluation import BATCH, accuracy, measures, outputs_on


def test_old_measures_have_fields_and_new_ones_are_among_the_measures() -> None:
    random, images = np.random.default_rng(0), np.arange(40)
    logits, others = (random.standard_normal((40, 7)) for _ in range(2))
    own, teacher = (Predictions(each, images % 7, each[:, :5], images) for each in (logits, others))
    found = measures(own, teacher)
    assert found["relations_version"] == RELATIONS_VERSION
    assert found["measures"].keys() == {"agreement_right", "agreement_wrong", "second_choice"}
    assert found.keys() >= {"top1", "kl_teacher", "distance_correlation", "within_class_correlation", "cka"}
    assert Result.model_validate({**found, "teacher_id": "t"}).cka == found["cka"]
    alone = measures(own, None)
    assert alone.keys() == {"top1", "top5", "nll", "ece", "measures"}
    assert alone["measures"] is None


def test_measures_go_over_every_image_once() -> None:
    """Two whole batches and a bit, in order."""
    count = 2 * BATCH + 3
    recipe = Recipe(epochs=1, batch_size=1, learning_rate=1, input_size=2, mean=(0.0,), std=(1.0,))
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (count, 2, 2, 1), generator=generator, dtype=torch.uint8)
    data = Resident(Images(pixels, torch.arange(count) % 3), recipe, torch.device("cpu"))
    sizes: list[int] = []

    def network(images: Tensor) -> tuple[Tensor, Tensor]:
        sizes.append(len(images))
        flat = images.flatten(1)
        return flat[:, :3], flat

    logits, flat = outputs_on(network, data)
    assert sizes == [BATCH, BATCH, 3]
    torch.testing.assert_close(flat, pixels.flatten(1) / 255)
    expected = float((logits.argmax(1) == data.labels).double().mean())
    assert accuracy(lambda images: network(images)[0], data) == pytest.approx(expected)
