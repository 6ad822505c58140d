"""A frozen network with its batch normalisations folded into the convolutions before them: fewer kernels, the number of
which is what a forward pass on a GPU takes its time for."""

import copy
from collections import Counter
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.utils._pytree import tree_leaves

from benchmark.models import Network
from benchmark.spec import Precision
from methods.base import Tap

TAPS: tuple[Tap, ...] = ("logits", "embedding", "maps", "pooled_map", "preacts")


def folded(network: Network, images: Tensor) -> Network:
    """A copy in evaluation mode, with the same outputs up to rounding, for images [B, C, H, W] of which some are given.

    Left as it is: a normalisation of what something else reads too, a tap among them, or of no convolution's output.
    """
    network = copy.deepcopy(network).eval()
    named = list(network.named_modules(remove_duplicate=False))
    for convolution, norm in _foldable(network, images):
        fused = fuse_conv_bn_eval(copy.deepcopy(convolution).double(), copy.deepcopy(norm).double())
        fused = fused.to(convolution.weight.dtype)
        convolution.weight, convolution.bias = fused.weight, fused.bias
        for name in [name for name, module in named if module is norm]:
            network.set_submodule(name, nn.Identity())
    return network.requires_grad_(False)


def lean(network: Network, images: Tensor, precision: Precision) -> Network:
    """`folded`, and with weights in bfloat16 if that is the precision: autocast would cast them anew at every call,
    since it remembers only what requires a gradient."""
    network = folded(network, images)
    for module in network.modules():
        if precision == "bfloat16" and type(module) in (nn.Conv2d, nn.Linear):
            module.bfloat16()
    return network


def _foldable(network: Network, images: Tensor) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Convolutions and the normalisation that alone reads them, each called once, by the graph of one forward pass."""
    made: dict[Any, nn.Conv2d] = {}
    pairs: dict[Any, tuple[nn.Conv2d, nn.BatchNorm2d]] = {}
    calls: Counter[nn.Module] = Counter()

    def after(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        calls[module] += 1
        if isinstance(module, nn.Conv2d):
            made[output.grad_fn] = module
        elif (node := inputs[0].grad_fn) in made:
            assert isinstance(module, nn.BatchNorm2d)
            pairs[node] = made[node], module

    watched = [module for module in network.modules() if _is_plain(module)]
    hooks = [module.register_forward_hook(after) for module in watched]
    try:
        with torch.enable_grad():
            outputs = network.requires_grad_()(images, TAPS)
        readers = _readers([getattr(outputs, tap) for tap in TAPS])
    finally:
        for hook in hooks:
            hook.remove()
    return [pair for node, pair in pairs.items() if readers[node] == 1 and calls[pair[0]] == calls[pair[1]] == 1]


def _is_plain(module: nn.Module) -> bool:
    """A convolution, or a normalisation by running statistics, that does nothing else: subclasses standardise their
    weights, which no factor in them outlives, or contain an activation."""
    return type(module) is nn.Conv2d or (type(module) is nn.BatchNorm2d and module.running_mean is not None)


def _readers(outputs: Any) -> Counter[Any]:
    """How many read the output of each node of the graph behind some tensors, which are one reader each."""
    nodes = [tensor.grad_fn for tensor in tree_leaves(outputs)]
    readers: Counter[Any] = Counter(nodes)
    seen = set()
    while nodes:
        if (node := nodes.pop()) is not None and node not in seen:
            seen.add(node)
            behind = [following for following, _ in node.next_functions]
            readers.update(behind)
            nodes += behind
    return readers
