"""Students that never saw some classes: their test errors, as trained and with the bias of those classes raised to
where test accuracy is best (Hinton, Vinyals & Dean 2014, arXiv:1503.02531, section 3).

The bias is chosen on the test images themselves, as in the paper: it tells what a student knows of a class, not what it
would score.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.runs.alike import Row
from analysis.runs.banks import Banks
from analysis.statistics.places import OfPlace
from analysis.style import count, listing_order
from benchmark.ground.errors import UsageError
from benchmark.records.predictions import NoPredictionsError, Predictions


@dataclass(frozen=True)
class LeftOut(OfPlace):
    """A run whose transfer set lacks `classes`: errors of `images` test images, of which `class_images` are of those
    classes; then the same with `bias` added to their logits."""

    dataset: str
    pair: str
    teacher: str
    student: str
    method: str
    seed: int
    classes: tuple[int, ...]
    images: int
    class_images: int
    errors: int
    class_errors: int
    bias: float
    raised_errors: int
    raised_class_errors: int


def left_out(rows: Sequence[Row], banks: Banks) -> tuple[list[LeftOut], list[str]]:
    """Every run that left classes out and whose predictions were kept, in listing order; and what is wrong with the
    predictions of others."""
    found, problems, missing = list[LeftOut](), dict[str, None](), set[str]()
    for row in rows:
        run_id = str(row["run_id"])
        if not (classes := banks.record(run_id).run.recipe.without_classes):
            continue
        try:
            found.append(_measured(row, classes, banks.of(run_id)))
        except NoPredictionsError:
            missing.add(run_id)
        except UsageError as error:
            problems[f"classes left out: {error}"] = None
    if missing:
        problems[f"classes left out: {count(len(missing), 'run')} without predictions (keep_predictions)"] = None
    return sorted(found, key=lambda e: (e.block, listing_order(e.method), e.seed)), list(problems)


def best_bias(logits: np.ndarray, labels: np.ndarray, classes: Sequence[int]) -> float:
    """What, added to the logits [N, K] of some classes, makes most images right; of several values, the nearest to 0.

    An image goes to these classes if the bias is above its margin, the best other logit less the best of theirs, so
    that between two neighbouring margins nothing changes.
    """
    inside = np.isin(np.arange(logits.shape[1]), classes)
    ours, others = (np.where(mask, logits.astype(np.float64), -np.inf) for mask in (inside, ~inside))
    margins = others.max(1) - ours.max(1)
    order = np.argsort(margins, kind="stable")
    gained = ((ours.argmax(1) == labels).astype(int) - (others.argmax(1) == labels))[order]
    edges = np.concatenate([[-np.inf], margins[order], [np.inf]])
    gains = np.concatenate([[0], gained.cumsum()])
    possible = np.flatnonzero(edges[:-1] < edges[1:])  # equal margins go together
    best = possible[gains[possible] == gains[possible].max()]
    values = [_nearest_to_zero(low, high) for low, high in zip(edges[best], edges[best + 1], strict=True)]
    return min(values, key=abs)


def _nearest_to_zero(low: float, high: float) -> float:
    """A value in (low, high), well away from the ends: 0 if it is there, else the middle or a step beyond the end."""
    if low < 0 < high:
        return 0.0
    end = high if np.isinf(low) else low
    step = max(1.0, abs(end) / 1e6)  # 1 more is the same number beyond 2^53
    if np.isinf(low) or np.isinf(high):
        return end - step if np.isinf(low) else end + step
    return (low + high) / 2


def _measured(row: Row, classes: tuple[int, ...], found: Predictions) -> LeftOut:
    logits, labels = found.logits, found.labels
    wrong = logits.argmax(1) != labels
    bias = best_bias(logits, labels, classes)
    raised = logits.astype(np.float64) + bias * np.isin(np.arange(logits.shape[1]), classes)
    still_wrong, theirs = raised.argmax(1) != labels, np.isin(labels, classes)
    return LeftOut(
        **{name: row[name] for name in ("dataset", "pair", "teacher", "student", "method", "seed")},
        classes=classes,
        images=len(labels),
        class_images=int(theirs.sum()),
        errors=int(wrong.sum()),
        class_errors=int((wrong & theirs).sum()),
        bias=bias,
        raised_errors=int(still_wrong.sum()),
        raised_class_errors=int((still_wrong & theirs).sum()),
    )
