"""Which pairs of networks a method serves, and why not the others."""

import re
from dataclasses import replace

import pytest
import torch
from method_tasks import OWN, SHAPES, shapes, task

import methods
from methods.base import Shapes


@pytest.mark.parametrize("name", OWN)
def test_unequal_widths_and_sizes_are_supported(name: str) -> None:
    assert methods.unsupported(name, task(shapes(8, 4, 2), shapes(16, 8, 4))) is None


@pytest.mark.parametrize(
    ("name", "student", "teacher", "reason"),
    [
        ("kd", shapes(8, 4, 2), shapes(8, 4, 2, classes=7), "7 classes"),
        ("fitnet", shapes(8, 2, 1), shapes(32, 8, 4), "2x2 to 8x8"),
        ("fitnet", shapes(8, 4), shapes(32, 8, 4), "2 stages, 3 are needed"),
        ("gkd", shapes(8, 4), shapes(8, 4, 2), "student: .*2 stages"),
        ("gkd", shapes(8, 4, 2), shapes(8), "teacher: .*1 stages"),
        ("dist", shapes(8, 4, 2), shapes(8, 4, 2, classes=7), "7 classes"),
        ("dkd", shapes(8, 4, 2), shapes(8, 4, 2, classes=7), "7 classes"),
        ("cka", shapes(8, 4, 2), shapes(8, 4, 2, classes=7), "7 classes"),
        ("at", shapes(8, 4), shapes(8, 4, 2), "student: .*2 stages"),
        ("at", shapes(1, 1), shapes(4, 1), "no relation between positions"),
        ("nst", shapes(1, 1), shapes(1, 1), "no relation between positions"),
        ("ft", shapes(8, 4, 1), shapes(8, 4, 2), "no relation between positions"),
        ("fsp", shapes(4), shapes(4), "no flow"),
        ("fsp", SHAPES, shapes(8, 4, 2), "map 1 of the student has 6 channels, map 1 of the teacher 4"),
        ("irg", shapes(8, 4, 2), shapes(8, 4, 2, classes=7), "7 classes"),
        ("irg", shapes(8), shapes(8, 4), "1 stages, 2 are needed"),
        ("reviewkd", shapes(8, 4), shapes(8, 4, 2), "student: .*2 stages"),
        ("srrl", shapes(8), shapes(8, classes=7), "7 classes"),
        ("simkd", shapes(8), replace(shapes(8), averaged=False), "does not read the mean"),
        ("ab", shapes(8, 2, 1), shapes(32, 8, 4), "nothing maps 8x8 to 32x32"),
        ("kd+gkd+fitnet", shapes(8, 4), shapes(8, 4, 2), "student: .*2 stages.*; .*2 stages"),
    ],
)
def test_unsupported_pairs_have_a_reason_alone(name: str, student: Shapes, teacher: Shapes, reason: str) -> None:
    given = methods.unsupported(name, task(student, teacher))
    assert given is not None
    assert re.search(reason, given)
    with pytest.raises(ValueError, match=re.escape(f"{name}: {given}")):
        methods.load(name, task(student, teacher))


@pytest.mark.parametrize("name", ["crd", "hkd"])
def test_contrasts_need_images_of_two_classes(name: str) -> None:
    alike = replace(task(), labels=torch.full((6,), 3))
    assert methods.unsupported(name, alike) == "all training images are of one class: there are no negatives"
    assert methods.unsupported(name, task()) is None


def test_positions_are_wanted_by_what_relates_them_alone() -> None:
    small = task(shapes(8, 4, 1), shapes(8, 4, 2))
    assert methods.unsupported("at", small) is None  # two pairs of maps have positions
    assert methods.unsupported("nst", small) is None
    assert methods.unsupported("ft", small, {"ft": {"factors": "flat"}}) is None  # factors of channels too


def test_graphs_of_instances_without_logits_serve_unequal_classes() -> None:
    pair = task(shapes(8, 4, 2), shapes(8, 4, 2, classes=7))
    assert methods.unsupported("irg", pair, {"irg": {"vertices": 0.0}}) is None
    assert methods.reads("irg", {"irg": {"vertices": 0.0}}) == {"embedding", "maps"}
    assert methods.reads("irg", {"irg": {"form": "caffe"}}) == {"embedding"}


def test_variants_of_fewer_or_more_stages_ask_for_as_many() -> None:
    two, three = task(shapes(8, 4), shapes(8, 4)), task(shapes(8, 4, 2), shapes(8, 4, 2))
    for name, stages, reason in (("gkd", 2, None), ("gkd", 1, None), ("sp", 2, None), ("sp", 3, "3 are needed")):
        given = methods.unsupported(name, two, {name: {"stages": stages}})
        assert (given is None) == (reason is None)
        assert reason is None or reason in str(given)
        assert methods.unsupported(name, three, {name: {"stages": stages}}) is None


def test_fitnet_refuses_to_be_built_on_a_stage_that_it_cannot_bridge() -> None:
    with pytest.raises(ValueError, match="1x1 to 4x4"):
        methods.load("fitnet", task(shapes(8, 4, 1), shapes(16, 8, 4)), {"fitnet": {"stage": 3}})
    with pytest.raises(ValueError, match="needs a teacher"):
        methods.load("fitnet", task(shapes(8, 4, 1), None))
