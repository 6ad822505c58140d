"""Memory banks: an embedding of every training image, and negatives drawn from other classes than an image's own.

Scores of all rows, [B, N], and a gather of the drawn ones, [B, K], give what a gathered block [B, K, D] would: 13 MB
instead of 537 for a batch of 64, 50,000 images and 16,384 negatives in 128 dimensions.
"""

import torch
from torch import Tensor, nn

from methods.base import Batch, Task

WIDTH = 128
"""Of every embedding that is remembered, as published."""


def one_class(task: Task) -> str | None:
    """Why there are no negatives, or None."""
    return None if task.labels.unique().numel() > 1 else "all training images are of one class: there are no negatives"


class Negatives(nn.Module):
    """Draws training images of other classes than a sample's own, with replacement."""

    order: Tensor
    starts: Tensor
    counts: Tensor

    def __init__(self, labels: Tensor, count: int) -> None:
        """labels: [N], of all training images; count: K."""
        super().__init__()
        self.count = count
        counts = labels.bincount()
        self.register_buffer("order", labels.argsort(stable=True), persistent=False)
        self.register_buffer("counts", counts, persistent=False)
        self.register_buffer("starts", counts.cumsum(0) - counts, persistent=False)

    def forward(self, batch: Batch) -> Tensor:
        """Positions [B, K] in the training set: of each sample its own, whatever the batch."""
        start, own = (of_class[batch.labels][:, None] for of_class in (self.starts, self.counts))
        drawn = batch.draws(self.count) % (len(self.order) - own)
        return self.order[drawn + own * (drawn >= start)]  # images sorted by class, those of its own left out


class Bank(nn.Module):
    """A row of unit length for every training image, which follows the image's embedding."""

    rows: Tensor

    def __init__(self, images: int, momentum: float) -> None:
        super().__init__()
        self.momentum = momentum
        self.register_buffer("rows", (2 * torch.rand(images, WIDTH) - 1) * (3 / WIDTH) ** 0.5)

    def scores(self, embedding: Tensor, candidates: Tensor) -> Tensor:
        """Inner products [B, K] of embeddings [B, D] with each one's candidates [B, K]."""
        return (embedding @ self.rows.T).gather(1, candidates)

    @torch.no_grad()
    def follow(self, index: Tensor, embedding: Tensor) -> None:
        """Move the rows of a batch's images towards their embeddings [B, D]."""
        moved = self.momentum * self.rows[index] + (1 - self.momentum) * embedding
        self.rows[index] = moved / moved.norm(dim=1, keepdim=True)
