"""Relations among the samples of a batch: distances, angles, similarities and graphs.

Everything here takes one representation per sample, [B, ...], flattens it to [B, D] and returns at least float32.
Degenerate batches (coincident points, zero rows, one row) give finite values and zero, not exploding, gradients, and
nothing waits for the device.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

NORM_FLOOR = 1e-12
"""Vectors and distances no longer than this count as zero."""
CPU_BLOCK, DEVICE_BLOCK = 2**18, 2**24
"""Elements of the [vertices, B, B] blocks of `angle_loss`: what a core's cache holds, and what keeps a GPU busy."""


def rows(x: Tensor) -> Tensor:
    """[B, ...] to [B, D], half precision to float32."""
    return x.flatten(1).to(torch.promote_types(x.dtype, torch.float32))


def rows_as_stored(x: Tensor) -> Tensor:
    """`rows` with the features in the order of memory, for what does not depend on it: to bring a channels-last map
    into the order of its dimensions costs more than a matrix product with it."""
    return rows(x.permute(0, 2, 3, 1) if _is_channels_last(x) else x)


def maps_as_columns(maps: Tensor) -> Tensor:
    """[B, C, ...] to [B, C, P], one column for each position, half precision to float32; of channels-last maps the
    transpose is contiguous, so that nothing is copied, and their gradient is channels-last too."""
    columns = maps.permute(0, 2, 3, 1).flatten(1, 2).mT if _is_channels_last(maps) else maps.flatten(2)
    return columns.to(torch.promote_types(maps.dtype, torch.float32))


def _is_channels_last(x: Tensor) -> bool:
    return x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last)


def wide(x: Tensor) -> Tensor:
    """In float64, where the device has it: Apple's GPUs do not."""
    return x.to(torch.float32 if x.device.type == "mps" else torch.float64)


def inverse_root(x: Tensor, floor: float | Tensor = NORM_FLOOR**2) -> Tensor:
    """x^-1/2; 0, without gradient, where x is not above the floor."""
    return x.clamp(min=floor).rsqrt() * (x > floor)  # a number in torch.where would be a kernel more on a GPU


def inverse(x: Tensor) -> Tensor:
    """1 / x; 0, without gradient, where x is not above 0."""
    return x.clamp(min=torch.finfo(x.dtype).tiny).reciprocal() * (x > 0)


def normalize(x: Tensor) -> Tensor:
    """Rows of [..., D] divided by their L2 norm; zero rows stay zero and receive no gradient."""
    return x * inverse_root(x.square().sum(-1, keepdim=True))


def centred(x: Tensor) -> Tensor:
    """Rows of [..., D] less their mean and divided by the norm of the rest: the inner product of two is Pearson's
    correlation. Rows that are constant up to rounding become zero and receive no gradient.
    """
    rest = x - x.mean(-1, keepdim=True)
    rounding = (8 * torch.finfo(x.dtype).eps) ** 2 * x.detach().square().sum(-1, keepdim=True)
    return rest * inverse_root(rest.square().sum(-1, keepdim=True), floor=rounding + NORM_FLOOR**2)


def standardized(x: Tensor) -> Tensor:
    """Rows of [B, D] less their mean and divided by their standard deviation (with D - 1); constant ones become 0."""
    x = rows(x)
    return centred(x) * (x.shape[1] - 1) ** 0.5


def gram(x: Tensor) -> Tensor:
    """Inner products [B, B] of the samples."""
    products: Tensor = _Gram.apply(rows_as_stored(x))
    return products


class _Gram(torch.autograd.Function):
    """x x^T of [B, D], whose gradient (G + G^T) x is one product where that of two factors would be two."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x @ x.T

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, output: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return (output + output.T).to(x.dtype) @ x  # autocast gives products another type than their factors


def cosine_similarities(x: Tensor) -> Tensor:
    """Cosines [B, B] between the samples; 0 with a zero sample."""
    return normalized_gram(gram(x))  # normalised afterwards: [B, B] is smaller than [B, D]


def normalized_gram(products: Tensor) -> Tensor:
    """Cosines from inner products, [..., B, B]; 0 with a zero sample."""
    factor = inverse_root(products.diagonal(dim1=-2, dim2=-1))
    return factor[..., :, None] * products * factor[..., None, :]


def squared_distances(x: Tensor) -> Tensor:
    """Squared Euclidean distances [B, B]; exactly 0, without gradient, between coincident points.

    |a - b|^2 = |a|^2 + |b|^2 - 2ab is a small difference of large numbers. Centring the batch removes what all samples
    share, and float64, which costs next to nothing here, resolves close pairs in a wide batch as well as subtracting
    them would, without a [B, B, D] tensor.
    """
    x = rows_as_stored(x)
    centred = wide(x)
    centred = centred - centred.mean(0)
    products = centred @ centred.T
    norms = products.diagonal()
    scale = norms[:, None] + norms
    squared = scale - 2 * products
    rounding = 64 * torch.finfo(products.dtype).eps * scale
    return (squared * (squared > rounding + NORM_FLOOR**2)).to(x.dtype)


def distances(x: Tensor) -> Tensor:
    """Euclidean distances [B, B]; 0, without gradient, between coincident points."""
    squared = squared_distances(x)
    return squared * inverse_root(squared)


def mean_scaled(distance: Tensor) -> Tensor:
    """Distances [B, B] divided by their mean over distinct samples; zero if all samples coincide."""
    size = len(distance)
    mean = distance.sum() / max(size * (size - 1), 1)
    return distance * inverse(mean)


def degree_normalized(adjacency: Tensor) -> Tensor:
    """D^-1/2 A D^-1/2 of a non-negative [..., B, B], D being its row sums; isolated nodes get the factor 0."""
    degree = adjacency.sum(-1)
    factor = inverse_root(degree, floor=degree.shape[-1] * torch.finfo(degree.dtype).eps)
    return factor[..., :, None] * adjacency * factor[..., None, :]


def angle_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean Huber loss between the cosines of all B^3 angles, given squared distances [B, B] of each network."""
    return _AngleLoss.apply(student, teacher)


class _AngleLoss(torch.autograd.Function):
    """Law of cosines: at vertex j, between i and k, the cosine is (S_ji + S_jk - S_ik) / (2 d_ji d_jk), where S = d^2.

    Vertices are taken in blocks, and the gradient with respect to S is summed up in the same pass, so that no more than
    one block of angles exists at a time and only [B, B] is kept for the backward pass.
    """

    @staticmethod
    def forward(ctx: Any, student: Tensor, teacher: Tensor) -> Tensor:
        size = len(student)
        block = max(1, (CPU_BLOCK if student.device.type == "cpu" else DEVICE_BLOCK) // size**2)
        inverse, teacher_inverse = inverse_root(student), inverse_root(teacher)
        loss, gradient = student.new_zeros(()), torch.zeros_like(student)
        for start in range(0, size, block):
            vertices = slice(start, start + block)
            cosine = _cosines(student, inverse, vertices)
            difference = cosine - _cosines(teacher, teacher_inverse, vertices)
            slope = difference.clamp(-1, 1)  # of the Huber loss, whose value is slope * (difference - slope / 2)
            loss += torch.sum(difference.sub_(slope, alpha=0.5).mul_(slope))
            if ctx.needs_input_grad[0]:
                arm = inverse[vertices]
                # Sides S_ji and S_jk, which i <-> k makes equal, of the numerator and of the denominator; then S_ik.
                gradient[vertices] += arm * torch.matmul(slope, arm[:, :, None])[:, :, 0]
                gradient[vertices] -= arm.square() * cosine.mul_(slope).sum(2)
                gradient -= slope.mul_(arm[:, :, None]).mul_(arm[:, None, :]).sum(0) / 2
        ctx.save_for_backward(gradient / size**3)
        return loss / size**3

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, output: Tensor) -> tuple[Tensor, None]:
        (gradient,) = ctx.saved_tensors
        return output * gradient, None


def _cosines(squared: Tensor, inverse: Tensor, vertices: slice) -> Tensor:
    """[vertices, B, B]; 0 where an arm has no length."""
    arm = inverse[vertices]
    sides = squared[vertices]
    numerator = (sides[:, None, :] - squared).add_(sides[:, :, None])
    return numerator.mul_(arm[:, :, None]).mul_(arm[:, None, :] / 2)
