"""The initialisations of the published networks, where they are not PyTorch's own."""

from timm.layers import variance_scaling_
from torch import nn


def fan_out(network: nn.Module, linear_std: float | None = None, zero_bias: bool = False) -> None:
    """Convolutions normal with variance 2 / (kernel area x output channels), no bias; linear layers normal with
    `linear_std` and without bias, if it is given, or as PyTorch has them, with `zero_bias` without bias.

    He et al. (ICCV 2015), whose variance grouped convolutions share: their groups are not counted.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear):
            if linear_std is not None:
                nn.init.normal_(module.weight, std=linear_std)
            if linear_std is not None or zero_bias:
                nn.init.zeros_(module.bias)


def variance_scaling(network: nn.Module, mode: str) -> None:
    """TensorFlow's: convolutions and linear layers truncated normal with variance 2 / fan, no bias. mode: fan_in or
    fan_out."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            variance_scaling_(module.weight, scale=2.0, mode=mode, distribution="truncated_normal")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
