"""What a trained network is measured by, from what it says of test images: a function each. numpy and scipy alone.

Training, records, tables, figures and the command line know a metric from its registration (`metric`) and from nowhere
else. Every module of this package is imported, these three first.
"""

from importlib import import_module
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


def discover() -> None:
    """Import every module of this package, which registers its metrics."""
    for module in iter_modules(__path__):
        import_module(f"{__name__}.{module.name}")


discover()
