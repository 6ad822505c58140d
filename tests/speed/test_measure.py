"""What keeps the suite fast without changing its numbers, and the comparison that shows it."""

import json
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from torch import Tensor
from waits import trapped

import methods
from benchmark.cost.isolated import IsolatedRun, noise
from benchmark.speed import textbook
from benchmark.speed.__main__ import main
from benchmark.speed.losses import growth
from benchmark.speed.measure import cohort_fit, of_kd, ratios, torch_defaults
from benchmark.speed.reference import Pictures
from benchmark.training.loop import configure_torch
from benchmark.training.member import Member
from benchmark.training.untrained import untrained
from methods.base import Batch, Outputs

NINE = ("student", "kd", "fitnet", "rkd_d", "rkd_a", "rkd_da", "sp", "gkd", "mhgd")


@pytest.mark.parametrize(
    "wait",
    [
        lambda x: x.sum().item(),
        lambda x: x.nonzero(),
        lambda x: x[x > 0],
        lambda x: bool((x > 0).all()),
        lambda x: x.tolist(),
        lambda x: x.masked_select(x > 0),
        lambda x: x.__setitem__(x > 0, torch.zeros(1)),
    ],
)
def test_the_trap_catches(wait: Any) -> None:
    with trapped() as found:
        wait(torch.ones(3))
    assert found


def bench(method: str, device: torch.device = tiny.CPU) -> IsolatedRun:
    run = tiny.run(method, schedule="constant")
    data = noise(run.recipe, 10, device)
    assert run.teacher is not None
    return IsolatedRun(run, data, 10, untrained(run.teacher, data, 10))


WITHOUT_A_WAIT = [*NINE, "fitnet_two_stage", "kd+rkd_da"]


@pytest.mark.parametrize("method", WITHOUT_A_WAIT)
def test_a_step_waits_for_no_value(method: str) -> None:
    made = bench(method)
    for start in {0, made.member.first_step}:
        made.member.enter(start)
        with trapped() as found:
            images, batch = made.batch(1)
            supplied = made.teacher.outputs(images, made.run.recipe.teacher_precision) if made.teacher else None
            made.member.step(images, batch, supplied)
        assert not found


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("method", WITHOUT_A_WAIT)
def test_a_step_does_not_wait_for_the_gpu(method: str) -> None:
    made = bench(method, torch.device("cuda"))
    member, data = made.member, made.data
    for start in {0, member.first_step}:
        member.enter(start)
        views, progress = data.views(0, 0), torch.zeros((), device=data.device)
        torch.cuda.set_sync_debug_mode("error")
        try:
            for step in range(data.steps):
                images, labels, index = data.training_batch(views, step)
                supplied = made.teacher.outputs(images, made.run.recipe.teacher_precision) if made.teacher else None
                member.step(images, Batch(labels, index, torch.tensor(0), progress, member.generator), supplied)
        finally:
            torch.cuda.set_sync_debug_mode("default")


def plain_step(
    member: Member, images: Tensor, batch: Batch, teacher: Outputs | None, momenta: dict[int, Tensor]
) -> None:
    """SGD as its formula reads, one parameter after another."""
    recipe = member.run.recipe
    member.backward(images, batch, teacher)
    with torch.no_grad():
        for number, parameter in enumerate((*member.network.parameters(), *member.method.parameters())):
            if parameter.grad is not None:
                gradient = parameter.grad + recipe.weight_decay * parameter
                momenta[number] = recipe.momentum * momenta[number] + gradient if number in momenta else gradient
                parameter -= recipe.learning_rate * momenta[number]


@pytest.mark.parametrize("method", NINE)
def test_twenty_fast_steps_are_twenty_plain_ones(method: str) -> None:
    fast, plain = bench(method), bench(method)
    momenta: dict[int, Tensor] = {}
    for step in range(20):
        images, batch = fast.batch(step)
        supplied = fast.teacher.outputs(images, fast.run.recipe.teacher_precision) if fast.teacher else None
        plain.member.generator.manual_seed(step)
        plain.member.network.load_state_dict(fast.member.network.state_dict())  # a step's difference, not its growth
        plain.member.method.load_state_dict(fast.member.method.state_dict())
        fast.member.step(images, batch, supplied)
        plain_step(plain.member, images, batch, supplied, momenta)
        ours, theirs = (each.member.network.state_dict() for each in (fast, plain))
        for name, value in ours.items():
            torch.testing.assert_close(value, theirs[name], rtol=1e-6, atol=1e-6)


def outputs(seed: int, width: int) -> Outputs:
    generator = torch.Generator().manual_seed(seed)
    maps = tuple(torch.rand(12, width, size, size, generator=generator) for size in (8, 4, 2))
    embedding, logits = torch.rand(12, width, generator=generator), torch.randn(12, 7, generator=generator)
    return Outputs(logits, embedding, maps, maps[-1])


@pytest.mark.parametrize("method", list(textbook.LOSSES))
def test_textbook_losses_are_the_suites(method: str) -> None:
    student, teacher = outputs(0, 5), outputs(1, 9)
    ours = methods.classes(method)[0].__new__(methods.classes(method)[0])
    torch.nn.Module.__init__(ours)
    for name, value in methods.complete_options(method)[method].items():
        setattr(ours, name, value)
    labels, (epoch, progress) = torch.zeros(12, dtype=torch.int64), torch.zeros(2)
    batch = Batch(labels, torch.arange(12), epoch, progress, torch.Generator())
    torch.testing.assert_close(
        textbook.LOSSES[method](student, teacher), ours(student, teacher, batch), rtol=1e-4, atol=0
    )


def test_the_reference_sees_the_suites_images() -> None:
    recipe = tiny.RECIPE.model_copy(update={"crop_padding": 0})
    data = noise(recipe, 10, tiny.CPU)
    pictures = Pictures(data.pixels, data.labels, recipe)
    images, labels = data.batch(0, 5)
    for position in range(5):
        image, label, index = pictures[position]
        torch.testing.assert_close(image, images[position])
        assert (label, index) == (labels[position], position)


def test_ratios() -> None:
    seconds = {"reference student": 2.0, "reference kd": 5.0, "reference sp": 5.0, "reference teacher": 3.0}
    seconds |= {"suite student": 1.0, "suite kd": 2.0, "suite sp": 4.0, "suite teacher": 0.5, "cohort 3": 4.0}
    found = ratios(["student", "kd", "sp"], 2, seconds)
    assert {label: found[label] for label in ("student", "kd", "sp", "grid")} == {
        "student": 2.0,
        "kd": 2.5,
        "sp": 1.25,
        "grid": 3.0,
    }
    assert "peers" not in found
    assert ratios(["student", "kd", "sp"], 2, seconds | {"cohort peers": 3.0})["peers"] == 4.0
    assert found["ceiling_of_sharing"] == pytest.approx(12 / 9)
    assert found["ceiling"] == pytest.approx(12 / 3.5)


def test_one_student_has_no_line_and_shares_nothing() -> None:
    assert cohort_fit({1: 2.0}) is None
    assert cohort_fit({1: 3.0, 2: 5.0}) == pytest.approx({"constant": 1.0, "per_student": 2.0})
    seconds = {"reference student": 2.0, "reference teacher": 3.0, "suite student": 1.0, "suite teacher": 0.5}
    assert ratios(["student"], 0, seconds | {"cohort 1": 1.0})["ceiling_of_sharing"] == 1.0


def test_costs_in_terms_of_kd() -> None:
    seconds = {"suite student": 1.0, "suite kd": 4.0, "suite sp": 5.0}
    seconds |= {"member student": 1.0, "member kd": 2.0, "member sp": 3.0}
    assert of_kd(["student", "kd", "sp"], seconds) == {
        "with_teacher": {"student": 0.25, "kd": 1.0, "sp": 1.25},
        "without_teacher": {"student": 0.5, "kd": 1.0, "sp": 1.5},
    }
    assert of_kd(["student", "sp"], seconds) == {"with_teacher": {}, "without_teacher": {}}


def test_the_reference_has_torchs_own_settings_and_the_suite_its_recipes() -> None:
    recipe = tiny.RECIPE.model_copy(update={"deterministic": True})
    configure_torch(recipe, tiny.CPU)
    before = torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark
    with torch_defaults(torch.device("cuda")):
        assert torch.backends.cudnn.allow_tf32
        assert torch.backends.cudnn.benchmark
        assert not torch.are_deterministic_algorithms_enabled()
    assert (torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark) == before == (False, False)
    assert torch.are_deterministic_algorithms_enabled()


def test_growth_is_the_power_of_the_batch_size() -> None:
    cubic = {str(size): {"suite": 2e-9 * size**3} for size in (128, 64, 256)}
    assert growth(cubic, "suite") == pytest.approx(3)


def test_the_command_compares(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--grid", "smoke", "--rounds", "1", "--threads", "1", "--workers", "0", "--output", str(tmp_path)]
    assert main(arguments) == 0
    (path,) = tmp_path.glob("*.json")
    found = json.loads(path.read_text())
    assert set(found["ratios"]) == {*NINE, "grid", "peers", "ceiling_of_sharing", "ceiling"}
    assert set(found["of_kd"]["without_teacher"]) == set(NINE)
    assert any("gradient rule" in line for line in found["not_measured"])
    assert min(found["ratios"].values()) > 0
    assert found["planning"]["runs"] >= 10_000
    assert found["clock"] == "processor"
    assert 0 < found["share_of_peak"] < 1
    said = capsys.readouterr().out
    assert "9 together" in said
    assert "7 of RepDistiller's" in said
    assert main(["--pair", "a_b"]) == 2
    assert main(["--grid", "smoke", "--methods", "kd"]) == 2
    assert main(["--grid", "smoke", "--device", "cpu", "--tf32"]) == 2
    with pytest.raises(SystemExit, match="2"):
        main(["--rounds", "0"])
    assert main(["--workers", "-1"]) == 2
