"""What a trained network is measured by, from what it says of test images: a function each. numpy and scipy alone.

Training, records, tables, figures and the command line know a metric from its registration (`metric`) and from nowhere
else. Every module of this package is imported, these three first, and every module that an installed package names
under the entry-point group `relational_distillation.metrics`.
"""

import warnings
from importlib import import_module
from importlib.metadata import entry_points
from pkgutil import iter_modules

from benchmark.metrics import classification, fidelity, relations
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
    """Import every module of this package, and those of others, which registers their metrics."""
    for module in iter_modules(__path__):
        import_module(f"{__name__}.{module.name}")
    for point in entry_points(group=ENTRY_POINTS):
        try:
            point.load()
        except (Exception, SystemExit) as error:  # no package must take the suite down, nor a script
            warnings.warn(f"metrics of {point.value!r} cannot be loaded: {error!r}", stacklevel=2)


discover()
