"""A trap for whatever waits for a device, for steps on a CPU, where nothing does."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Waits(TorchDispatchMode):
    """Collects calls for which a host waits for its device: the value of a tensor, or a size that depends on values."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._quiet = False

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Within, nothing is collected."""
        self._quiet = True
        yield
        self._quiet = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.name().partition(".")[0]
        if self._quiet:
            return func(*args, **(kwargs or {}))
        masks = [leaf for leaf in tree_leaves(args[1:]) if isinstance(leaf, Tensor) and leaf.dtype is torch.bool]
        if name in ("aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select", "aten::unique_dim"):
            self.found.append(name)
        if name in ("aten::index", "aten::index_put_", "aten::index_put") and masks:
            self.found.append(f"{name} with a mask")
        return func(*args, **(kwargs or {}))


@contextmanager
def trapped() -> Iterator[list[str]]:
    """Names of what waits inside, including what bypasses dispatch by reading memory directly."""

    def trap(name: str) -> Any:
        read = getattr(Tensor, name)

        def reading(tensor: Tensor, *args: Any) -> Any:
            waits.found.append(name)
            with waits.quiet():
                return read(tensor, *args)

        return reading

    with Waits() as waits, ExitStack() as patches:
        for name in ("tolist", "numpy", "__array__"):
            patches.enter_context(patch.object(Tensor, name, trap(name)))
        yield waits.found
