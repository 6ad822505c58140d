"""What a method is handed: draws of every image's own, and which maps pair."""

import pytest
import torch

from methods.base import Batch, Shapes, Task


def batch(index: torch.Tensor, seed: int = 0) -> Batch:
    return Batch(index % 10, index, torch.tensor(0), torch.zeros(()), torch.Generator().manual_seed(seed))


def test_an_images_draws_depend_on_image_and_seed_alone() -> None:
    index = torch.tensor([3, 41, 7, 50_000])
    here, order = batch(index), torch.tensor([2, 0, 3, 1])
    state, drawn = here.generator.get_state(), here.draws(1000)
    assert torch.equal(batch(index[order]).draws(1000), drawn[order])
    assert torch.equal(batch(index[:1]).draws(10), drawn[:1, :10])
    assert torch.equal(here.generator.get_state(), state)
    assert not (batch(index, seed=1).draws(1000) == drawn).any()
    assert len(set(drawn.flatten().tolist())) == drawn.numel()


def test_draws_are_uniform_and_independent() -> None:
    shares = batch(torch.arange(64)).draws(4096).double() / 2**62
    assert 0 <= shares.min() < shares.max() < 1
    counts = torch.histc(shares, 16, 0, 1)
    expected = shares.numel() / 16
    assert ((counts - expected).square() / expected).sum() < 40  # chi-squared of 15 degrees: 1 in 2,000
    correlations = torch.corrcoef(shares) - torch.eye(64)
    assert correlations.abs().max() < 5 / 64  # five standard errors of 4,096
    assert torch.corrcoef(torch.stack([shares[:, :-1].flatten(), shares[:, 1:].flatten()]))[0, 1].abs() < 0.01


def network(*sizes: int, stem: int) -> Shapes:
    maps = tuple((4, size, size) for size in sizes)
    return Shapes(10, 4, maps, maps[-1], stem)


@pytest.mark.parametrize(
    ("student", "teacher", "pairs"),
    [
        (network(8, 8, 4, 2, stem=1), network(8, 8, 4, 2, stem=1), [(1, 1), (2, 2), (3, 3)]),
        (network(8, 8, 4, 2, 2, stem=1), network(8, 8, 8, 4, 2, stem=1), [(1, 1), (2, 2), (3, 3), (4, 4)]),
        (network(8, 8, 4, 2, stem=1), network(8, 8, 4, 2, 2, stem=1), [(1, 1), (2, 2), (3, 4)]),
        (network(4, 4, stem=0), network(4, 4, 4, stem=0), None),
    ],
)
def test_maps_pair_one_to_one_where_there_are_as_many(
    student: Shapes, teacher: Shapes, pairs: list[tuple[int, int]] | None
) -> None:
    task = Task(student, teacher, torch.arange(4), epochs=1)
    if pairs is None:
        assert "3 are needed" in str(task.lacks_map_pairs())
    else:
        assert task.map_pairs() == pairs
        assert task.lacks_map_pairs() is None
