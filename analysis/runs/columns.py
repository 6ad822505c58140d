"""The columns of the table of runs, for `load_results` and `docs/results.md`."""

from benchmark.metrics import METRICS
from benchmark.metrics.columns import OF_RESULTS, OF_RUNS


def columns() -> dict[str, str]:
    """Names and meanings, in the order in which `load_results` gives them."""
    return {**OF_RUNS, **{name: metric.meaning for name, metric in METRICS.items()}, **OF_RESULTS}


def markdown() -> str:
    """The table of `docs/results.md`."""
    return "\n".join(
        ["| column | meaning |", "|---|---|", *(f"| `{name}` | {text} |" for name, text in columns().items())]
    )
