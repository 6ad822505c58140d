"""What a GPU's graphs do, done on a CPU: every kernel of some work is noted with the very tensors and numbers that it
got, and replayed on them.

A number that Python computed while the work was recorded, a tensor that was put in another's place or a branch that
was taken then is the same in every replay, as on a GPU: it shows as other bits than those of the work done as written.
What a GPU would refuse is refused: reading a value, a tensor made of the host's data, a draw from a generator of one's
own. (Draws from the device's own are made anew: a GPU's graph takes up the seed that the generator has at a replay.)
"""

from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

T = TypeVar("T")

READS = {
    *("_local_scalar_dense", "item", "is_nonzero", "equal", "lift_fresh", "nonzero", "masked_select", "bincount"),
    *("_unique", "_unique2", "unique_dim", "unique_consecutive", "unique_dim_consecutive"),
}
"""Kernels that wait for the device, or whose result's size hangs on values."""
MASKED = {"index", "index_put", "index_put_", "_index_put_impl_"}
"""Kernels that do so with a mask."""


class UnreplayableError(RuntimeError):
    """What a GPU would refuse to record."""


class Tape(TorchDispatchMode):
    """Recorded kernels: (operation, arguments, named arguments, result) each."""

    tries: ClassVar[int] = 1

    def __init__(self, beside: object = None) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any, Any]] = []

    @staticmethod
    def as_written(work: Callable[[], T]) -> tuple[T, str]:
        return work(), ""

    def record(self, work: Callable[[], T]) -> T:
        """Do work and note it. Raises UnreplayableError."""
        with self:
            return work()

    @torch.no_grad()
    def replay(self) -> None:
        for call, args, kwargs, before in self.calls:
            for old, new in zip(_tensors(before), _tensors(call(*args, **kwargs)), strict=True):
                if not _shares(old, new):
                    old.copy_(new)

    def __torch_dispatch__(self, call: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, kwargs = call.__name__.partition(".")[0], kwargs or {}
        masks = name in MASKED and any(x.dtype is torch.bool for x in _tensors(args[1]))
        counted = name == "repeat_interleave" and kwargs.get("output_size") is None
        if name in READS or masks or counted:
            raise UnreplayableError(f"{name} waits for the device, or needs the host's data")
        if kwargs.get("generator") is not None:
            raise UnreplayableError(f"{name} draws from a generator on the host")
        result = call(*args, **kwargs)
        given = _tensors((args, kwargs))
        is_view = not call._schema.is_mutable and any(_shares(x, y) for x in _tensors(result) for y in given)
        if not is_view and not name.startswith(("empty", "new_empty")):
            self.calls.append((call, args, kwargs, result))
        return result


def _tensors(value: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]


def _shares(one: Tensor, other: Tensor) -> bool:
    return one.untyped_storage()._cdata == other.untyped_storage()._cdata
