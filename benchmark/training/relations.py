"""The test images that embeddings are compared on: of every class its share."""

import torch
from torch import Tensor

from benchmark.spec import derive_seed


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
