"""What may be tabled and drawn in place of test accuracy: its name, its unit, and which way is better."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Metric:
    """A column of the runs; `name` for captions, `short` for axes. Its numbers are printed times 100, in `unit`;
    differences are in `points`. A share lies between 0 and 100 %.
    """

    column: str
    name: str
    short: str
    unit: str = "%"
    points: str = "percentage points"
    sign: int = 1
    """1 where higher is better, −1 where lower is."""

    @property
    def share(self) -> bool:
        return self.unit == "%"

    @property
    def axis(self) -> str:
        """`Test top-1 (%)`."""
        return f"{self.short} ({self.unit})"

    @property
    def gain_title(self) -> str:
        """`Gain over the student alone (percentage points)`; of what is better low, how much lower it is."""
        if self.column == "top1":
            return f"Gain over the student alone ({self.points})"
        return (
            f"{self.short}: {'gain over' if self.sign > 0 else 'reduction against'} the student alone ({self.points})"
        )

    @property
    def noun(self) -> str:
        """The name inside of a sentence."""
        return self.name if self.name[1].isupper() else self.name[0].lower() + self.name[1:]

    @property
    def title(self) -> str:
        """`Test top-1 accuracy (%)`; of what is better low, that it is."""
        return f"{self.name} ({self.unit}{'' if self.sign > 0 else '; lower is better'})"


NATS = ("nats × 100", "nats × 100")
SIMILARITY = ("× 100", "hundredths")

METRICS = {
    each.column: each
    for each in (
        Metric("top1", "Test top-1 accuracy", "Test top-1"),
        Metric("top5", "Test top-5 accuracy", "Test top-5"),
        Metric("nll", "Test negative log-likelihood", "Test NLL", *NATS, -1),
        Metric("ece", "Expected calibration error on the test set", "Calibration error", sign=-1),
        Metric("agreement", "Test images given the teacher's class", "Agreement"),
        Metric("kl_teacher", "KL divergence from the teacher on the test set", "KL to the teacher", *NATS, -1),
        Metric("distance_correlation", "Correlation with the teacher's distances", "Distances", *SIMILARITY),
        Metric("angle_correlation", "Correlation with the teacher's cosines", "Cosines", *SIMILARITY),
        Metric("cka", "CKA with the teacher's embeddings", "CKA", *SIMILARITY),
        Metric("neighbour_overlap", "Nearest neighbours in common with the teacher", "Neighbours"),
        Metric("validation_top1", "Validation top-1 accuracy", "Validation top-1"),
    )
}
"""By the names that the command line takes."""

TOP1 = METRICS["top1"]


def measured_by(runs: pd.DataFrame, metric: Metric) -> pd.DataFrame:
    """The runs with the metric in the place of their accuracy, its sign such that higher is better. Of teachers only
    the accuracy is known. A finished run that did not measure it is a hole, which says so.
    """
    if metric is TOP1:
        return runs
    values = metric.sign * runs[metric.column].astype(float)
    lacking = (runs.status == "done") & values.isna()
    return runs.assign(
        top1=values,
        teacher_top1=None,
        status=runs.status.mask(lacking, "missing"),
        reason=runs.reason.mask(lacking, f"no {metric.column} was measured"),
        pooled=runs.pooled & ~lacking,
    )


def renamed(rows: Sequence[Row], metric: Metric) -> list[dict[str, Any]]:
    """Rows of CSV files, whose columns say what they hold."""
    names = {"top1_percent": f"{metric.column}_x100", "std_percent": f"{metric.column}_x100_std"}
    return [dict(row) if metric is TOP1 else {names.get(key, key): row[key] for key in row} for row in rows]
