"""What a metric is, and all that there are."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import isnan
from typing import Any, Literal, TypeVar

from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from benchmark.ground.errors import UsageError, unknown
from benchmark.metrics.columns import TAKEN

Array = NDArray[Any]
Function = Callable[..., float | None]
AnyFunction = TypeVar("AnyFunction", bound=Function)

NEEDS = {
    "logits": "the network's, of all test images, [N, K]",
    "labels": "of all test images, [N]",
    "embeddings": "the network's, of up to 1,000 test images with every class's share among any first of them, [R, D]",
    "embedding_labels": "the labels of these, [R]",
    "teacher_logits": "the teacher's, of all test images, [N, K]",
    "teacher_embeddings": "the teacher's, of the same images as the network's, [R, D_T]",
    "validation_logits": "the network's, of the validation split, [V, K]",
    "validation_labels": "of the validation split, [V]",
}
"""What a metric's function may ask for, by the names of its parameters."""

ROUNDING = 1e-6
"""How far a value may lie outside of its unit's range."""


@dataclass(frozen=True)
class Unit:
    """How values are printed: times 100, in `symbol`; their differences in `differences`. No value is outside of
    `low` to `high`."""

    symbol: str
    differences: str
    low: float
    high: float = float("inf")

    def holds(self, value: float) -> bool:
        return self.low - ROUNDING <= value <= self.high + ROUNDING


SHARE = Unit("%", "percentage points", 0, 1)
NATS = Unit("nats × 100", "nats × 100", 0)
SIMILARITY = Unit("× 100", "hundredths", -1, 1)


@dataclass(frozen=True)
class Metric:
    """A function of some of NEEDS, its parameters, to a float, or None or NaN where it is not defined. `title` names it
    in captions, `short` on axes; `field` is what records call it."""

    function: Function
    title: str
    short: str
    unit: Unit
    better: Literal["higher", "lower"]
    field: str

    @property
    def name(self) -> str:
        """As a column and on command lines."""
        return self.function.__name__

    @cached_property
    def needs(self) -> tuple[str, ...]:
        return tuple(inspect.signature(self.function).parameters)

    @property
    def of_teacher(self) -> bool:
        """Whether only a run has it that had a teacher."""
        return any(need.startswith("teacher") for need in self.needs)

    @property
    def meaning(self) -> str:
        """The first sentence of the function's docstring, for the inside of a list."""
        text = " ".join((inspect.getdoc(self.function) or "").partition("\n\n")[0].split())
        return uncapitalised(text.partition(". ")[0].removesuffix("."))

    def __call__(self, given: Mapping[str, Array]) -> float | None:
        """Its value, None where it is not defined; raises KeyError for what it needs and is not given.

        On one thread, since sums over several round by their number: a cluster's record is a laptop's to the bit.
        """
        with threadpool_limits(1, user_api="blas"):
            value = self.function(**{need: given[need] for need in self.needs})
        return None if value is None or isnan(value) else float(value)


METRICS: dict[str, Metric] = {}
"""By name, in the order of registration, which is that of columns."""


def metric(
    title: str,
    short: str,
    unit: Unit = SHARE,
    *,
    better: Literal["higher", "lower"] = "higher",
    field: str | None = None,
) -> Callable[[AnyFunction], AnyFunction]:
    """Register a function as the metric of its name. Raises UsageError for a name that stands for something else
    already, a parameter that is none of NEEDS, and a function without a docstring, which says what the metric means."""

    def register(function: AnyFunction) -> AnyFunction:
        found = Metric(function, title, short, unit, better, field or function.__name__)
        if taken := _taken(found):
            raise UsageError(f"metric {found.name!r} cannot be registered: {taken}")
        for need in found.needs:
            if need not in NEEDS:
                raise unknown(f"need of metric {found.name}", need, NEEDS)
        if not found.meaning:
            raise UsageError(f"metric {found.name!r} has no docstring")
        METRICS[found.name] = found
        return function

    return register


def _taken(new: Metric) -> str:
    """Where a metric's name, or the field that records are to call it, is taken; empty where it is free."""
    if new.name in METRICS:
        return f"a function of that name is one already, in {METRICS[new.name].function.__module__}"
    if new.name in TAKEN:
        return f"records and tables of runs have a column of that name ({TAKEN[new.name]})"
    for known in METRICS.values():
        if known.field in (new.name, new.field):
            return f"{known.field!r} is what records call the metric {known.name}"
    return ""


def named(name: str) -> Metric:
    """Raises UsageError, which lists the valid ones, for a name that no metric has."""
    if name not in METRICS:
        raise unknown("metric", name, METRICS)
    return METRICS[name]


def measure(given: Mapping[str, Array]) -> dict[str, float]:
    """By name every metric whose needs are given and that is defined."""
    values = {name: each(given) for name, each in METRICS.items() if given.keys() >= set(each.needs)}
    return {name: value for name, value in values.items() if value is not None}


def check(measures: Mapping[str, float], taught: bool) -> None:
    """Raise UsageError for values that cannot be, as far as their metrics are known."""
    for name, value in measures.items():
        known = METRICS.get(name)
        if known and not known.unit.holds(value):
            raise UsageError(f"{name} = {value} lies outside of {known.unit.low:g} to {known.unit.high:g}")
        if known and known.of_teacher and not taught:
            raise UsageError(f"{name} without a teacher")


def uncapitalised(text: str) -> str:
    """For the inside of a sentence; `CKA` and `KL` stay."""
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]
