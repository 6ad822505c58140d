"""What a trained network is measured by, from what it says of test images: a function each. numpy and scipy alone.

Training, records, tables, figures and the command line know a metric from its registration (`metric`) and from nowhere
else.
"""

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
    "fidelity",
    "measure",
    "metric",
    "named",
    "relations",
    "uncapitalised",
]
