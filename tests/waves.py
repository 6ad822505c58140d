"""Inputs and weights that any code can be given: sine waves, so that golden values need no file beside them."""

import torch
from torch import Tensor, nn


def wave(count: int, frequency: float, phase: float = 0.0) -> Tensor:
    """[count], float64."""
    return torch.sin(torch.arange(count, dtype=torch.float64) * frequency + phase)


def make_wavy(module: nn.Module) -> None:
    """Weights of several dimensions become waves, numbered in the order of the parameters; biases of layers zero."""
    with torch.no_grad():
        for i, weight in enumerate(p for p in module.parameters() if p.dim() > 1):
            weight.copy_((wave(weight.numel(), 0.7 + 0.01 * i, i) * (4 / weight[0].numel()) ** 0.5).view_as(weight))
        for part in module.modules():
            if isinstance(part, nn.Conv2d | nn.Linear) and part.bias is not None:
                part.bias.zero_()
