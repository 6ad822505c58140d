"""How metrics are worded where one is tabled and drawn in place of test accuracy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import pandas as pd

from benchmark import metrics
from benchmark.metrics import SHARE, uncapitalised

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Metric:
    """A registered metric in the words of tables and axes. Its numbers are printed times 100, in `unit`; differences
    are in `points`. A share lies between 0 and 100 %.
    """

    of: metrics.Metric

    @property
    def column(self) -> str:
        return self.of.name

    @property
    def name(self) -> str:
        """For captions."""
        return self.of.title

    @property
    def sign(self) -> int:
        """1 where higher is better, −1 where lower is."""
        return 1 if self.of.better == "higher" else -1

    @property
    def unit(self) -> str:
        return self.of.unit.symbol

    @property
    def points(self) -> str:
        return self.of.unit.differences

    @property
    def share(self) -> bool:
        return self.of.unit is SHARE

    @property
    def axis(self) -> str:
        """`Test top-1 (%)`."""
        return f"{self.of.short} ({self.unit})"

    @property
    def gain_title(self) -> str:
        """`Gain over the student alone (percentage points)`; of what is better low, how much lower it is."""
        if self.column == "top1":
            return f"Gain over the student alone ({self.points})"
        verb = "gain over" if self.sign > 0 else "reduction against"
        return f"{self.of.short}: {verb} the student alone ({self.points})"

    @property
    def noun(self) -> str:
        """The name inside of a sentence."""
        return uncapitalised(self.name)

    @property
    def title(self) -> str:
        """`Test top-1 accuracy (%)`; of what is better low, that it is."""
        return f"{self.name} ({self.unit}{'' if self.sign > 0 else '; lower is better'})"


@cache
def metric(name: str) -> Metric:
    """Raises UsageError, which lists the valid ones, for a name that no metric has."""
    return Metric(metrics.named(name))


TOP1 = metric("top1")

COMPARED_WITH = "compared_with"
"""Column of runs that are measured by how alike they are to their teacher: which teacher that is, seeds apart. Between
two teachers a difference means nothing."""


def measured_by(runs: pd.DataFrame, metric: Metric) -> pd.DataFrame:
    """The runs with the metric in the place of their accuracy, its sign such that higher is better. Of teachers only
    the accuracy is known. A finished run that did not measure it is a hole, which says so.
    """
    if metric is TOP1:
        return runs
    values = metric.sign * runs[metric.column].astype(float)
    lacking = (runs.status == "done") & values.isna()
    if metric.of.of_teacher:
        runs = runs.assign(**{COMPARED_WITH: runs.teacher_hash})
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
