"""timm and torchvision, whatever build of torch they stand beside.

A CPU build of torch beside the default (CUDA) build of torchvision, which is what an index without CPU wheels installs,
leaves torchvision without its compiled operators; it then refuses to be imported at all. Neither data sets nor
networks need those operators, so their names are declared, without an implementation, until the import succeeds.
"""

import re
import sys
from importlib import import_module
from types import ModuleType

import torch

_LIBRARIES: list[torch.library.Library] = []


def _torchvision() -> ModuleType:
    library = None
    while True:
        try:
            import_module("torchvision.datasets")
        except RuntimeError as error:
            missing = re.fullmatch(r"operator torchvision::(\w+) does not exist", str(error))
            if missing is None:
                raise
            for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
                del sys.modules[name]
            library = library or torch.library.Library("torchvision", "FRAGMENT")
            library.define(f"{missing[1]}(Tensor unavailable) -> Tensor")
            _LIBRARIES.append(library)  # the declarations live as long as the library object
        else:
            return import_module("torchvision")


torchvision = _torchvision()
timm = import_module("timm")  # which imports torchvision
