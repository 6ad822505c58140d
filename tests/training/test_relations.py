"""The images that relations are compared on, and the records of it."""

import pytest
import torch

from benchmark.metrics.relations import RELATION_IMAGES
from benchmark.records.predictions import SAMPLE
from benchmark.training.evaluation import relation_sample


@pytest.mark.parametrize(
    ("counts", "drawn"),
    [
        ([100] * 20, [25] * 20),
        ([50] * 1000, None),
        ([700, 200, 99, 1], [350, 100, 50, 0]),
        ([10, 0, 20], [10, 0, 20]),
    ],
)
def test_the_sample_is_stratified_whatever_the_order_of_images(counts: list[int], drawn: list[int] | None) -> None:
    """Class folders come sorted by class: of the first 500, five classes of twenty would be seen."""
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    sample = relation_sample(labels, RELATION_IMAGES)
    assert len(sample) == min(RELATION_IMAGES, len(labels)) == len(set(sample.tolist()))
    found = labels[sample].bincount(minlength=len(counts)).tolist()
    if drawn is None:
        assert sorted(set(found)) == [0, 1]
    else:
        assert all(abs(a - b) <= 1 for a, b in zip(found, drawn, strict=True))
    assert sample.tolist() == relation_sample(labels, SAMPLE)[:RELATION_IMAGES].tolist()
    if len(labels) > RELATION_IMAGES:
        assert sorted(sample.tolist()) != list(range(RELATION_IMAGES))


def test_within_a_class_any_image_may_be_drawn() -> None:
    labels = torch.repeat_interleave(torch.arange(2), torch.tensor([1000, 1000]))
    places = relation_sample(labels, 500).sort().values[:250].double() / 1000
    assert 0.45 < places.mean() < 0.55
    assert places.min() < 0.03
    assert places.max() > 0.97
