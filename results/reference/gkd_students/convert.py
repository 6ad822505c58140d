"""The networks that graph distillation's authors published, as weights that this suite reads.

    git clone https://github.com/cadurosar/graph_kd graph_kd
    python results/reference/gkd_students/convert.py graph_kd

writes their students, `results/reference/gkd_wrn_28_0p5_{gkd,rkd_d}_{0..9}.safetensors`, and the teacher of their first
commit, `gkd_wrn_28_1_2019.safetensors`, which taught none of these; grid.toml knows the hashes. Their files are pickled
modules: of what a pickle names, only tensors and ordered dictionaries are made, and nothing is run.
"""

import io
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

REFERENCE = Path(__file__).parents[1]
STUDENTS = {
    "gkd": "a8cfe5e:checkpoint/GKD_28-1_teaches_28-0.5_0.0_0.0_25.0_1_128_False_False_False_{}.pth",
    "rkd_d": "a8cfe5e:checkpoint/RKD_28-1_teaches_28-0.5_0.0_0.0_25.0_False_{}.pth",
}
FILES = {"gkd_wrn_28_1_2019": "359bff4:checkpoint/WideResNet28-1.pth"} | {
    f"gkd_wrn_28_0p5_{method}_{number}": file.format(number)
    for method, file in STUDENTS.items()
    for number in range(10)
}
"""Commit and path of each, by our name."""

TENSORS = ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_parameter")
NAMES = {"module.bn.": "module.bn1.", ".shortcut.": ".downsample.", ".linear.": ".fc."}
"""What this suite calls otherwise, below DataParallel's `module`."""


class Inert:
    """Stands for any class that a pickle names: keeps its state, does nothing."""

    def __init__(self, *_: Any) -> None: ...

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)


class Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        kept = (module, name) == ("collections", "OrderedDict") or (module == "torch" and name.endswith("Storage"))
        return super().find_class(module, name) if kept or (module == "torch._utils" and name in TENSORS) else Inert


def load(file: Any, **options: Any) -> Any:
    return Unpickler(file, encoding=options.get("encoding", "ASCII")).load()


def tensors(module: Any, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    """Parameters and buffers of a module that was pickled, by their names."""
    for name, tensor in [*module._parameters.items(), *module._buffers.items()]:
        if tensor is not None:
            yield prefix + name, tensor.detach()
    for name, child in module._modules.items():
        yield from tensors(child, f"{prefix}{name}.")


def renamed(name: str) -> str:
    for theirs, ours in NAMES.items():
        name = name.replace(theirs, ours)
    return name.removeprefix("module.")


def main(clone: Path) -> None:
    inert = SimpleNamespace(Unpickler=Unpickler, load=load, __name__="inert")
    for name, file in FILES.items():
        stored = subprocess.run(["git", "-C", clone, "show", file], stdout=subprocess.PIPE, check=True).stdout
        held = torch.load(io.BytesIO(stored), map_location="cpu", pickle_module=inert, weights_only=False)
        weights = {renamed(place): tensor.contiguous() for place, tensor in tensors(held["net"])}
        save_file(weights, REFERENCE / f"{name}.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
