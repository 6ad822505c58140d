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

SQUARINGS, ITERATIONS = 2, 8
"""The iteration multiplies by the Gram matrix to the power 2^SQUARINGS and orthonormalises, ITERATIONS times."""
JITTER = 1e-14
"""Added to the squared norm 1 of columns, so that dependent ones can be factorised too."""
BROADENING = 1e-5
"""Gaps between eigenvalues below this share of the trace count as this wide at most, which bounds the gradient."""


def leading_vector(maps: Tensor) -> Tensor:
    """The first singular vector in channel space, [B, C], of maps [B, C, H, W]; without gradient.

    Of its two signs, the one along which the mean of the map is positive. Zero for a zero map.
    """
    x = relations.maps_as_columns(maps.detach())
    vector = _in_channels(x, eigenvectors(small_gram(x)[0], 1))[:, :, 0]
    return vector * _sign((vector * x.sum(2)).sum(1, keepdim=True))


def aligned_vector(maps: Tensor, target: Tensor, candidates: int) -> Tensor:
    """Of the first `candidates` singular vectors in channel space of maps [B, C, H, W] the one with the largest
    |cosine| to target [B, C], with the sign that makes the cosine positive; [B, C]."""
    x = relations.maps_as_columns(maps)
    gram, scale = small_gram(x.detach())
    vectors = eigenvectors(gram, candidates)
    cosines = (_in_channels(x.detach(), vectors) * target.detach()[:, :, None]).sum(1)  # [B, candidates]
    best = cosines.abs().argmax(1, keepdim=True)
    chosen = vectors.gather(2, best[:, :, None].expand(-1, vectors.shape[1], 1))
    chosen = _Eigenvector.apply(x, gram, scale, chosen)
    return _in_channels(x, chosen)[:, :, 0] * _sign(cosines.gather(1, best))


def small_gram(x: Tensor) -> tuple[Tensor, Tensor]:
    """The smaller of X X^T and X^T X for X [B, C, P], divided by its trace, in float64: [B, N, N], N = min(C, P); and
    what it was multiplied with, [B, 1, 1]."""
    gram = relations.wide(x @ x.mT if x.shape[1] <= x.shape[2] else x.mT @ x)
    trace = gram.diagonal(dim1=1, dim2=2).sum(1)
    scale = relations.inverse_root(trace).square()[:, None, None]
    return gram.mul_(scale), scale


def eigenvectors(gram: Tensor, count: int) -> Tensor:
    """The leading eigenvectors, as columns [B, N, min(count, N)], of positive semidefinite matrices [B, N, N] of trace
    1 or 0; without gradient.

    Orthogonal iteration (Golub & Van Loan, Matrix Computations, 4th ed., section 8.2.4) on the fourth power of the
    matrix: a vector's error falls to about (next eigenvalue / its own)^32. Eigenvalues below 1e-3, that is singular
    values below 3 % of the largest, drown in the rounding of the power: their vectors are zero.
    """
    gram = gram.detach()
    size = gram.shape[-1]
    for _ in range(SQUARINGS):
        gram = gram @ gram
    row, column = (torch.arange(n, device=gram.device, dtype=gram.dtype) for n in (size, min(count, size)))
    x = torch.cos(row.square()[:, None] * (column + 1))  # any start will do that no map is orthogonal to
    x = x.expand(len(gram), -1, -1)
    for _ in range(ITERATIONS):
        x = _orthonormalize(gram @ x)
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


class _Eigenvector(torch.autograd.Function):
    """A known unit eigenvector v [B, N, 1] of G = scale * (the smaller of X X^T and X^T X), as a function of
    X [B, C, P]: dv = (lambda - G)^+ dG v.

    The inverse 1 / gap is broadened to gap / (gap^2 + BROADENING^2) as in Liao et al. (Phys. Rev. X 9, 031041, 2019),
    which one Cholesky solve for each sample gives. The gradient of G, u v^T, is of rank one, and so that of X of rank
    two, which spares the products with [N, N].
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, gram: Tensor, scale: Tensor, vector: Tensor) -> Tensor:
        ctx.save_for_backward(x, gram, scale, vector)
        return vector.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, output: Tensor) -> tuple[Tensor, None, None, None]:
        x, gram, scale, vector = ctx.saved_tensors
        value = vector.mT @ gram @ vector
        gaps = torch.baddbmm(gram, value * vector, vector.mT, beta=-1)  # lambda - G, but v has the gap lambda
        gaps.diagonal(dim1=1, dim2=2).add_(value[:, :, 0])
        squared = gaps @ gaps
        squared.diagonal(dim1=1, dim2=2).add_(BROADENING**2)
        factor, _ = torch.linalg.cholesky_ex(squared.mT, upper=True)  # LAPACK's own order, which copies less
        solution = gaps @ (output - vector * (vector.mT @ output))
        for triangle, upper in ((factor.mT, False), (factor, True)):
            solution = torch.linalg.solve_triangular(triangle, solution, upper=upper)
        pair = torch.cat((scale * solution, vector), 2).to(x.dtype).mT.contiguous()  # [B, 2, N]
        few = x.shape[1] <= x.shape[2]
        other = pair.flip(1) @ (x if few else x.mT)
        channels, columns = (pair, other) if few else (other, pair)  # [B, 2, C], [B, 2, P]
        if x.mT.is_contiguous():
            return (columns.mT.contiguous() @ channels).mT, None, None, None
        return channels.mT.contiguous() @ columns, None, None, None
