"""Singular vectors by subspace iteration against a full decomposition, values and gradients."""

import pytest
import torch
from torch import Tensor

from methods import singular
from methods.singular import aligned_vector, eigenvectors, leading_vector

SIZES = [(6, 3, 4), (12, 3, 4), (20, 3, 3), (5, 1, 1), (2, 4, 4)]


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def with_spectrum(size: tuple[int, int, int], ratio: float, batch: int = 5) -> tuple[Tensor, Tensor]:
    """Maps [B, C, H, W] whose singular values fall by `ratio`, and their vectors in channel space, [B, C, N]."""
    channels, height, width = size
    rank = min(channels, height * width)
    left, right = (torch.linalg.qr(normal(batch, n, rank, seed=n)).Q for n in (channels, height * width))
    values = 3 * ratio ** torch.arange(rank, dtype=torch.float64)
    return ((left * values) @ right.mT).unflatten(2, (height, width)), left


def decomposed(maps: Tensor, which: int) -> Tensor:
    return torch.linalg.svd(maps.flatten(2), full_matrices=False).U[:, :, which]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("which", range(4))
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_value_and_gradient_are_those_of_the_decomposition(
    size: tuple[int, int, int], which: int, dtype: torch.dtype
) -> None:
    maps, vectors = with_spectrum(size, 0.6)
    which = min(which, vectors.shape[2] - 1)
    target = vectors[:, :, which] * torch.tensor([1.0, -1.0, 1.0, -1.0, -1.0])[:, None]
    weight = normal(*target.shape, seed=7)
    exact = maps.clone().requires_grad_()
    expected = decomposed(exact, which)
    expected = expected * (expected * target).sum(1, keepdim=True).detach().sign()
    (expected_gradient,) = torch.autograd.grad((expected * weight).sum(), exact)
    maps = maps.to(dtype).requires_grad_()
    vector = aligned_vector(maps, target.to(dtype), 4)
    (gradient,) = torch.autograd.grad((vector * weight.to(dtype)).sum(), maps)
    assert vector.dtype == gradient.dtype == dtype
    tolerance = 1e-6 if dtype == torch.float64 else 1e-5
    torch.testing.assert_close(vector.double(), expected.detach(), rtol=0, atol=tolerance)
    scale = float(expected_gradient.abs().max())
    torch.testing.assert_close(gradient.double(), expected_gradient, rtol=0, atol=20 * tolerance * max(scale, 1))


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_leading_vector_points_where_the_mean_of_the_map_is_positive(size: tuple[int, int, int]) -> None:
    maps, _ = with_spectrum(size, 0.7)
    vector = leading_vector(maps.requires_grad_())
    assert not vector.requires_grad
    exact = decomposed(maps.detach(), 0)
    exact = exact * (exact * maps.detach().sum((2, 3))).sum(1, keepdim=True).sign()
    torch.testing.assert_close(vector, exact, rtol=0, atol=1e-8)
    torch.testing.assert_close(leading_vector(-maps), -vector)


def test_eigenvectors_are_those_of_eigh() -> None:
    maps, _ = with_spectrum((12, 4, 4), 0.7)
    gram, _ = singular.small_gram(maps.flatten(2))
    torch.testing.assert_close(gram.diagonal(dim1=1, dim2=2).sum(1), torch.ones(5, dtype=torch.float64))
    exact = torch.linalg.eigh(gram).eigenvectors.flip(2)[:, :, :4]
    cosines = (eigenvectors(gram @ gram, 4) * exact).sum(1).abs()
    torch.testing.assert_close(cosines, torch.ones_like(cosines), rtol=0, atol=1e-12)


def test_gradient_is_the_derivative() -> None:
    maps, vectors = with_spectrum((4, 2, 2), 0.4, batch=2)
    target = vectors[:, :, 1]
    assert torch.autograd.gradcheck(lambda x: aligned_vector(x, target, 3), maps.requires_grad_(), atol=1e-4, rtol=1e-4)


def test_the_most_similar_of_the_candidates_is_taken() -> None:
    maps, vectors = with_spectrum((8, 3, 3), 0.6)
    target = 0.6 * vectors[:, :, 2] - 0.5 * vectors[:, :, 1] + 0.7 * vectors[:, :, 5]
    torch.testing.assert_close(aligned_vector(maps, target, 4), vectors[:, :, 2], rtol=0, atol=1e-6)
    torch.testing.assert_close(aligned_vector(maps, target, 2), -vectors[:, :, 1], rtol=0, atol=1e-6)


ONE = normal(3, 5, 1, 1)
DEGENERATE = {
    "zero": torch.zeros(3, 5, 2, 2),
    "rank 1": ONE.expand(3, 5, 3, 3),
    "rank 1, fewer positions": ONE.expand(3, 5, 2, 2),
    "rank 2": torch.cat([ONE.expand(3, 5, 1, 3), normal(3, 5, 1, 1, seed=1).expand(3, 5, 1, 3)], 3),
    "equal singular values": torch.eye(4).reshape(1, 4, 2, 2).expand(3, 4, 2, 2),
    "equal singular values, fewer positions": torch.eye(6)[:, :4].reshape(1, 6, 2, 2).expand(3, 6, 2, 2),
    "equal channels": normal(3, 1, 3, 3).expand(3, 7, 3, 3),
    "one entry": torch.zeros(3, 5, 2, 2).index_put(
        (torch.arange(3),) * 2 + (torch.zeros(3, dtype=torch.long),) * 2, ONE.new_ones(()).float()
    ),
}


@pytest.mark.parametrize("scale", [1.0, 1e-8, 1e8])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", DEGENERATE)
def test_degenerate_maps_have_finite_vectors_and_gradients(name: str, dtype: torch.dtype, scale: float) -> None:
    maps = (scale * DEGENERATE[name].double()).to(dtype).requires_grad_()
    target = torch.nn.functional.normalize(normal(*maps.shape[:2], seed=2)).to(
        torch.promote_types(dtype, torch.float32)
    )
    vector = aligned_vector(maps, target, 4)
    (gradient,) = torch.autograd.grad((vector * normal(*vector.shape, seed=3).to(vector.dtype)).sum(), maps)
    expected = torch.zeros(3) if name == "zero" else torch.ones(3)
    torch.testing.assert_close(vector.norm(dim=1).float(), expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(leading_vector(maps).norm(dim=1).float(), expected, rtol=0, atol=1e-5)
    assert gradient.isfinite().all()
    assert gradient.abs().max() * scale < 1e5
