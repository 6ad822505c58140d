"""What a trained network is measured by, from what it says of test images: a function each. numpy and scipy alone.

Training, records, tables, figures and the command line know a metric from its registration (`metric`) and from nowhere
else. Every module of this package is imported, these three first, and every module that an installed package names
under the entry-point group `relational_distillation.metrics`.
"""

import traceback
import warnings
from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from pkgutil import iter_modules

from benchmark.metrics import classification, fidelity, registry, relations
from benchmark.metrics.registry import (
    METRICS,
    NEEDS,
    SHARE,
    Array,
    Metric,
    Unit,
    check,
    measure,
    metric,
    named,
    uncapitalised,
)

__all__ = [
    "METRICS",
    "NEEDS",
    "SHARE",
    "Array",
    "Metric",
    "Unit",
    "check",
    "classification",
    "discover",
    "fidelity",
    "measure",
    "metric",
    "named",
    "relations",
    "uncapitalised",
]


ENTRY_POINTS = "relational_distillation.metrics"


def discover() -> None:
    """Import every module of this package, and those of others, which registers their metrics. One that cannot be
    imported is left out, and said to be."""
    names = (module.name for module in iter_modules(__path__))
    modules: dict[str, Callable[[], object]] = {
        **{f"benchmark/metrics/{name}.py": partial(import_module, f"{__name__}.{name}") for name in names},
        **{repr(point.value): point.load for point in entry_points(group=ENTRY_POINTS)},
    }
    for module, load in modules.items():
        try:
            load()
        except (Exception, SystemExit) as error:  # no file must take the suite down, nor a script
            warnings.warn(f"{module} is left out, it cannot be imported: {_why(error)}", stacklevel=2)


def _why(error: BaseException) -> str:
    """An import's error, and the last line of the module's, or of what that imports, which it passed. Methods say it
    alike on their own: they know nothing of this package, and metrics must not load torch."""
    passed = [place for place in traceback.extract_tb(error.__traceback__)[1:] if not _is_machinery(place.filename)]
    where = f" (raised in {passed[-1].filename}:{passed[-1].lineno})" if passed else ""
    return f"{type(error).__name__}: {error}{where}"


def _is_machinery(file: str) -> bool:
    return file.startswith("<frozen") or "importlib" in Path(file).parts or file == registry.__file__


discover()
