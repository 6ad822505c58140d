"""How much a student answers as its teacher does, and where (Stanton et al., NeurIPS 2021, arXiv:2106.05945)."""

import numpy as np
from scipy.special import log_softmax

from benchmark.metrics.classification import classes
from benchmark.metrics.registry import NATS, Array, metric


@metric("Test images given the teacher's class", "Agreement")
def agreement(logits: Array, teacher_logits: Array) -> float:
    """Share of test images that student and teacher give the same class."""
    return float((classes(logits) == classes(teacher_logits)).mean())


@metric("KL divergence from the teacher on the test set", "KL to the teacher", NATS, better="lower")
def kl_teacher(logits: Array, teacher_logits: Array) -> float:
    """KL(teacher || student) on test images at temperature 1, nats an image."""
    ours, its = (log_softmax(each.astype(np.float64), axis=1) for each in (logits, teacher_logits))
    return float((np.exp(its) * (its - ours)).sum(1).mean())


@metric("Agreement where the teacher is right", "Agreement, teacher right")
def agreement_right(logits: Array, labels: Array, teacher_logits: Array) -> float | None:
    """Share of agreement among test images on which the teacher is right."""
    its = classes(teacher_logits)
    return share(classes(logits) == its, its == labels)


@metric("Agreement where the teacher is wrong", "Agreement, teacher wrong")
def agreement_wrong(logits: Array, labels: Array, teacher_logits: Array) -> float | None:
    """Share of agreement among test images on which the teacher is wrong: its errors that the student makes too."""
    its = classes(teacher_logits)
    return share(classes(logits) == its, its != labels)


@metric("Disagreements for the teacher's second choice", "Second choice")
def second_choice(logits: Array, teacher_logits: Array) -> float | None:
    """Share of the teacher's second likeliest class among the student's answers that are not the teacher's."""
    ours = classes(logits)
    return share(ours == second(teacher_logits), ours != classes(teacher_logits))


def second(logits: Array) -> Array:
    """The second likeliest class of each image, [N]."""
    others = logits.copy()
    np.put_along_axis(others, classes(logits)[:, None], -np.inf, 1)
    return others.argmax(1)


def share(what: Array, among: Array) -> float | None:
    """How often `what` is true where `among` is, both [N]; None where it never is."""
    return float(what[among].mean()) if among.any() else None
