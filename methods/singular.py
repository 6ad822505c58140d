"""Singular vectors of feature maps, by a fixed number of subspace iterations.

An eigendecomposition for every sample would dominate a training step, and on a GPU it waits for the device. Here every
sample of a batch takes the same few products of small matrices. Zero maps, maps of low rank and equal singular values
give finite values and gradients.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from methods import relations

ITERATIONS = 8
"""How often the iteration multiplies by the fourth power of the Gram matrix and orthonormalises."""
JITTER = 1e-14
"""Added to the squared norm 1 of columns, so that dependent ones can be factorised too."""
BROADENING = 1e-5
"""Gaps between eigenvalues below this share of the trace count as this wide at most, which bounds the gradient."""


def leading_vector(maps: Tensor) -> Tensor:
    """The first singular vector in channel space, [B, C], of maps [B, C, H, W]; without gradient.

    Of its two signs, the one along which the mean of the map is positive. Zero for a zero map. In the maps' precision:
    a single vector loses no more to the iteration's rounding than to the Gram matrix's.
    """
    x = relations.maps_as_columns(maps.detach())
    gram, _ = small_gram(x)
    vector = _in_channels(x, eigenvectors(gram @ gram, 1))[:, :, 0]
    return vector * _sign((vector * x.sum(2)).sum(1, keepdim=True))


def aligned_vector(maps: Tensor, target: Tensor, candidates: int) -> Tensor:
    """Of the first `candidates` singular vectors in channel space of maps [B, C, H, W] the one with the largest
    |cosine| to target [B, C], with the sign that makes the cosine positive; [B, C]."""
    x = relations.maps_as_columns(maps)
    gram, scale = map(relations.wide, small_gram(x.detach()))
    square = gram @ gram
    vectors = eigenvectors(square, candidates)
    directions = _in_channels(x.detach(), vectors)
    cosines = (directions * target.detach()[:, :, None]).sum(1)  # [B, candidates]
    best = cosines.abs().argmax(1, keepdim=True)
    vector, direction = (v.gather(2, best[:, :, None].expand(-1, v.shape[1], 1)) for v in (vectors, directions))
    chosen: Tensor = _Direction.apply(x, gram, square, scale, vector, direction)
    return chosen[:, :, 0] * _sign(cosines.gather(1, best))


def small_gram(x: Tensor) -> tuple[Tensor, Tensor]:
    """The smaller of X X^T and X^T X for X [B, C, P], divided by its trace: [B, N, N], N = min(C, P); and what it was
    multiplied with, [B, 1, 1]."""
    gram = x @ x.mT if x.shape[1] <= x.shape[2] else x.mT @ x
    trace = gram.diagonal(dim1=1, dim2=2).sum(1)
    scale = relations.inverse_root(trace).square()[:, None, None]
    return gram.mul_(scale), scale


def eigenvectors(square: Tensor, count: int) -> Tensor:
    """The leading eigenvectors, as columns [B, N, min(count, N)], of positive semidefinite matrices of trace 1 or 0,
    given their squares [B, N, N]; without gradient.

    Orthogonal iteration (Golub & Van Loan, Matrix Computations, 4th ed., section 8.2.4) on the fourth power of the
    matrix: a vector's error falls to about (next eigenvalue / its own)^32. In float64, eigenvalues below 1e-3, that is
    singular values below 3 % of the largest, drown in the rounding of the power: their vectors are zero.
    """
    size = square.shape[-1]
    power = square @ square
    row, column = (torch.arange(n, device=square.device, dtype=square.dtype) for n in (size, min(count, size)))
    x = torch.cos(row.square()[:, None] * (column + 1))  # any start will do that no map is orthogonal to
    x = x.expand(len(power), -1, -1)
    for _ in range(ITERATIONS):
        x = _orthonormalize(power @ x)
    lengths = x.square().sum(1, keepdim=True)  # near 1, or near 0 for what lies within the span of the others
    return x * (relations.inverse_root(lengths) * (lengths > 0.5))


def _orthonormalize(x: Tensor) -> Tensor:
    """Columns of [B, N, K], the first in its direction, by Cholesky QR; dependent and zero ones come out near zero."""
    x = x * relations.inverse_root(x.square().sum(1, keepdim=True))
    if x.shape[2] == 1:
        return x
    products = x.mT @ x
    products.diagonal(dim1=1, dim2=2).add_(JITTER)
    factor, _ = torch.linalg.cholesky_ex(products)
    return torch.linalg.solve_triangular(factor.mT, x, upper=True, left=False)


def _in_channels(x: Tensor, vectors: Tensor) -> Tensor:
    """Unit vectors [B, C, K] of eigenvectors [B, N, K] of the smaller Gram matrix of x [B, C, P]."""
    vectors = vectors.to(x.dtype)
    if x.shape[1] <= x.shape[2]:
        return vectors
    vectors = x @ vectors
    return vectors * relations.inverse_root(vectors.square().sum(1, keepdim=True))


def _sign(x: Tensor) -> Tensor:
    return torch.where(x < 0, -1.0, 1.0).to(x.dtype)


class _Direction(torch.autograd.Function):
    """The unit vector in channel space [B, C, 1] that belongs to a unit eigenvector v [B, N, 1] of
    G = scale * (the smaller of X X^T and X^T X), both known, as a function of X [B, C, P]: dv = (lambda - G)^+ dG v,
    and X v / |X v| where v has a component for each position.

    The inverse 1 / gap is broadened to gap / (gap^2 + BROADENING^2) as in Liao et al. (Phys. Rev. X 9, 031041, 2019),
    which one Cholesky solve for each sample gives. The gradient of G, u v^T, is of rank one, and so that of X of rank
    two, which spares the products with [N, N]; the squared gaps are made of G^2, which the eigenvector was found by.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, gram: Tensor, square: Tensor, scale: Tensor, vector: Tensor, direction: Tensor
    ) -> Tensor:
        ctx.save_for_backward(x, gram, square, scale, vector, direction)
        return direction.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, output: Tensor) -> tuple[Tensor, None, None, None, None, None]:
        x, gram, square, scale, vector, direction = ctx.saved_tensors
        few = x.shape[1] <= x.shape[2]
        image = gram @ vector
        value = vector.mT @ image
        if not few:  # the length of X v is the root of value / scale
            across = output - direction * (direction.mT @ output)
            across = across * (scale.sqrt() * relations.inverse_root(value)).to(x.dtype)
            output = x.mT @ across
        output = relations.wide(output)
        output = output - vector * (vector.mT @ output)
        # gaps = lambda - G, but v has the gap lambda; their square, for a v that the iteration has not quite reached
        side = value * (1.5 * value * vector - image)
        squared = torch.addcmul(square, gram, value, value=-2)
        squared.baddbmm_(torch.cat((side, vector), 2), torch.cat((vector, side), 2).mT)
        squared.diagonal(dim1=1, dim2=2).add_(value[:, :, 0].square() + BROADENING**2)
        factor, _ = torch.linalg.cholesky_ex(squared.mT, upper=True)  # LAPACK's own order, which copies less
        solution = value * output - gram @ output
        for triangle, upper in ((factor.mT, False), (factor, True)):
            solution = torch.linalg.solve_triangular(triangle, solution, upper=upper)
        pair = torch.cat((scale * solution, vector), 2).to(x.dtype).mT.contiguous()  # [B, 2, N]
        other = pair.flip(1) @ (x if few else x.mT)
        if not few:
            other[:, 1] += across[:, :, 0]
        channels, columns = (pair, other) if few else (other, pair)  # [B, 2, C], [B, 2, P]
        gradient = (
            (columns.mT.contiguous() @ channels).mT if x.mT.is_contiguous() else channels.mT.contiguous() @ columns
        )
        return gradient, None, None, None, None, None
