"""Measures of agreement with the teacher against independent references, and where they are not defined."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import accuracy_score

from benchmark.metrics import measure
from benchmark.metrics.fidelity import second

RANDOM = np.random.default_rng(0)
LABELS = np.arange(300) % 7
TEACHER = RANDOM.standard_normal((300, 7)) + 2 * np.eye(7)[LABELS]
STUDENT = TEACHER + RANDOM.standard_normal((300, 7))


def test_agreement_and_divergence_from_the_teacher() -> None:
    found = measure({"logits": STUDENT, "labels": LABELS, "teacher_logits": TEACHER})
    p, q = softmax(TEACHER, axis=1), softmax(STUDENT, axis=1)
    its, ours = p.argmax(1), q.argmax(1)
    right = its == LABELS
    assert found["agreement"] == accuracy_score(its, ours)
    assert found["kl_teacher"] == pytest.approx(float((p * np.log(p / q)).sum(1).mean()))
    assert found["agreement_right"] == accuracy_score(its[right], ours[right])
    assert found["agreement_wrong"] == accuracy_score(its[~right], ours[~right])
    parts = right.mean() * found["agreement_right"] + (~right).mean() * found["agreement_wrong"]
    assert parts == pytest.approx(found["agreement"])


def test_the_second_choice_of_those_that_disagree() -> None:
    found = measure({"logits": STUDENT, "labels": LABELS, "teacher_logits": TEACHER})
    order, ours = np.argsort(-TEACHER, axis=1), STUDENT.argmax(1)
    assert (second(TEACHER) == order[:, 1]).all()
    apart = ours != order[:, 0]
    assert found["second_choice"] == (ours == order[:, 1])[apart].mean()


def test_a_perfect_teacher_or_student_leaves_nothing_to_measure() -> None:
    right = 9.0 * np.eye(7)[LABELS]
    found = measure({"logits": right, "labels": LABELS, "teacher_logits": right})
    assert found["agreement_right"] == 1
    assert not found.keys() & {"agreement_wrong", "second_choice"}
