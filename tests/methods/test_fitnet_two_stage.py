"""FitNet in two stages: hints for the lower half of the student, then softened logits with a falling weight."""

from dataclasses import replace

import pytest
import torch
import untrained
from torch import Tensor
from untrained import Bench, random_outputs, same_bits

import methods
from methods.base import Batch, Scalar, Shapes, Task
from methods.fitnet import TwoStageFitNet

NAME = "fitnet_two_stage"
SIZE = 6
STUDENT = Shapes(5, 6, ((3, 8, 8), (3, 8, 8), (4, 4, 4), (6, 2, 2)), (6, 2, 2), stem=1)
TEACHER = Shapes(5, 9, ((5, 8, 8), (5, 8, 8), (7, 4, 4), (9, 2, 2)), (9, 2, 2), stem=1)
LARGE = Shapes(5, 9, ((5, 16, 16), (7, 8, 8), (9, 4, 4)), (9, 4, 4))


def task(student: Shapes = STUDENT, teacher: Shapes | None = TEACHER) -> Task:
    return Task(student, teacher, torch.arange(20) % 5, epochs=2)


def batch(progress: float = 0.0) -> Batch:
    indices = torch.arange(SIZE)
    return Batch(indices % 5, indices, torch.tensor(0), torch.tensor(progress, dtype=torch.float64), torch.Generator())


def method(**options: Scalar) -> TwoStageFitNet:
    built = methods.load(NAME, task(), {NAME: options}).double()
    assert isinstance(built, TwoStageFitNet)
    return built


@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("stage", [1, 2, 3])
def test_hints_are_their_formula(stage: int, relu: bool) -> None:
    built = method(stage=stage, relu=relu)
    student, teacher = random_outputs(STUDENT, SIZE, 0), random_outputs(TEACHER, SIZE, 50)
    weight, bias = built.regressor[0].weight[:, :, 0, 0], built.regressor[0].bias
    regressed = torch.einsum("bihw,oi->bohw", student.maps[stage], weight) + bias[:, None, None]
    squares = 0.5 * ((regressed.clamp(min=0) if relu else regressed) - teacher.maps[stage].detach()).square()
    expected = squares.sum(2).mean()  # the authors sum over one spatial axis
    loss = built.hint(student, teacher, batch())
    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=0)
    loss.backward()
    assert [x.grad is not None for x in student.maps] == [i == stage for i in range(4)]
    assert student.logits.grad is None
    assert all(x.grad is None for x in teacher.maps)
    assert all(p.grad is not None for p in built.parameters())


@pytest.mark.parametrize(("progress", "weight"), [(0.0, 4.0), (0.5, 2.5), (0.9, 1.3)])
def test_main_term_is_its_formula(progress: float, weight: float) -> None:
    built = method()
    student, teacher = random_outputs(STUDENT, SIZE, 0), random_outputs(TEACHER, SIZE, 50)
    p, q = ((x.logits / 3).exp() / (x.logits / 3).exp().sum(1, keepdim=True) for x in (teacher, student))
    expected = weight * (p * (p / q).log()).sum(1).mean()
    term = built(student, teacher, batch(progress))
    assert built.ce_weight == 1
    torch.testing.assert_close(term, expected, rtol=1e-12, atol=0)
    torch.testing.assert_close(method(t_squared=True)(student, teacher, batch(progress)), 9 * expected)
    term.backward()
    assert student.logits.grad is not None
    assert teacher.logits.grad is None
    assert all(p.grad is None for p in built.parameters())


def test_nothing_waits_for_the_device() -> None:
    built = method().float().to("meta")

    def on_meta(shapes: Shapes, seed: int):  # type: ignore[no-untyped-def]
        x = random_outputs(shapes, SIZE, seed)
        moved = [y.detach().float().to("meta").requires_grad_() for y in (x.logits, *x.maps)]
        return replace(x, logits=moved[0], maps=tuple(moved[1:]))

    step = replace(batch(), progress=torch.zeros((), device="meta"))
    student, teacher = on_meta(STUDENT, 0), on_meta(TEACHER, 50)
    built.hint(student, teacher, step).backward()
    built(student, teacher, step).backward()


@pytest.mark.parametrize(
    ("student", "teacher", "reason"),
    [
        (replace(STUDENT, maps=((3, 8, 8), (4, 4, 4)), stem=0), TEACHER, "2 stages, 3 are needed"),
        (replace(STUDENT, maps=((3, 8, 8), (4, 2, 2), (4, 1, 1)), stem=0), LARGE, "2x2 to 8x8"),
        (STUDENT, replace(TEACHER, classes=7), "7 classes"),
    ],
)
def test_pairs_without_a_guide_or_with_other_classes_are_not_served(
    student: Shapes, teacher: Shapes, reason: str
) -> None:
    given = methods.unsupported(NAME, task(student, teacher))
    assert given is not None
    assert reason in given


@pytest.mark.parametrize("options", [{"stage": 0}, {"stage": 4}, {"epochs": -1}])
def test_options_out_of_range_are_refused(options: dict[str, Scalar]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        methods.load(NAME, task(), {NAME: options})
    with pytest.raises(ValueError, match="needs a teacher"):
        methods.load(NAME, task(teacher=None))


# In training.


def trained(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Without running statistics."""
    return {key: value for key, value in state.items() if "running" not in key and "num_batches" not in key}


def changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    return {key for key, value in trained(before).items() if not same_bits(value, after[key])}


def test_hints_train_the_lower_half_and_the_regressor_then_the_whole_student_learns() -> None:
    bench = Bench()
    member = bench.member(NAME, {"epochs": 2})
    start = untrained.copied(member)
    bench.train(member, steps=2 * untrained.STEPS)
    assert member.curve[1]["train_loss"] < member.curve[0]["train_loss"]
    hinted = untrained.copied(member)
    upper = ("model.layer4", "model.fc")
    lower = {key for key in trained(start["network"]) if not key.startswith(upper)}
    assert changed(start["network"], hinted["network"]) == lower
    assert changed(start["method"], hinted["method"]) == set(start["method"])
    bench.train(member)
    after = untrained.copied(member)
    assert changed(hinted["network"], after["network"]) == set(trained(start["network"]))
    assert same_bits(hinted["method"], after["method"])


def test_resumed_runs_keep_their_bits() -> None:
    bench, options = Bench(), {"epochs": 1}
    whole = bench.member(NAME, options)
    bench.train(whole)
    for steps in (2, untrained.STEPS, untrained.STEPS + 1):  # in the phase, after it, in the main schedule
        broken = bench.member(NAME, options)
        bench.train(broken, steps=steps)
        resumed = bench.member(NAME, options)
        resumed.restore(untrained.copied(broken))
        bench.train(resumed)
        for part in ("network", "method", "optimizer", "curve", "next_step"):
            assert same_bits(resumed.state()[part], whole.state()[part]), (steps, part)
