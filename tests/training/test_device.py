"""Devices and precisions: what a recipe asks for is what is computed, or an error before anything is."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from command_line import one_line, write_grid

from benchmark.cost.__main__ import main as cost_command
from benchmark.grid import main as grid_command
from benchmark.ground.errors import COMPLETE, USAGE, UsageError
from benchmark.spec import Recipe
from benchmark.training.device import device_named, in_float32, inference_in, seed_generators
from benchmark.training.loop import configure_torch
from methods.base import Outputs

GPU = torch.device("cuda")


@pytest.fixture(autouse=True)
def switches() -> Iterator[None]:
    """Torch's, as they were."""
    convolutions, products = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    deterministic, search = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    yield
    torch.backends.cudnn.benchmark = search
    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = convolutions, products
    torch.use_deterministic_algorithms(deterministic)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A GPU of a name and compute capability."""

    def make(name: str, major: int, minor: int) -> None:
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (major, minor))
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: name)

    return make


def recipe(**fields: str) -> Recipe:
    return Recipe.model_validate(tiny.RECIPE.model_dump() | fields)


def test_only_convolutions_are_ever_computed_in_tf32_and_only_if_asked_for(gpu: Any) -> None:
    gpu("NVIDIA A100", 8, 0)
    for precision in ("tf32", "float32", "tf32", "bfloat16"):
        torch.backends.cuda.matmul.allow_tf32 = True
        configure_torch(recipe(precision=precision), GPU)
        assert torch.backends.cudnn.allow_tf32 == (precision == "tf32")
        assert not torch.backends.cuda.matmul.allow_tf32


@pytest.mark.parametrize("students", ["float32", "tf32"])
@pytest.mark.parametrize("teachers", ["float32", "tf32"])
def test_the_teacher_is_computed_in_a_precision_of_its_own(students: str, teachers: str, gpu: Any) -> None:
    gpu("NVIDIA H100", 9, 0)
    configure_torch(recipe(precision=students, teacher_precision=teachers), GPU)
    with inference_in(tiny.CPU, teachers):
        assert torch.backends.cudnn.allow_tf32 == (teachers == "tf32")
    assert torch.backends.cudnn.allow_tf32 == (students == "tf32")


@pytest.mark.parametrize("deterministic", [True, False])
def test_the_fastest_kernels_are_searched_for_where_they_need_not_be_deterministic(
    deterministic: bool, gpu: Any
) -> None:
    gpu("NVIDIA A100", 8, 0)
    given = tiny.RECIPE.model_copy(update={"deterministic": deterministic})
    configure_torch(given, GPU)
    assert torch.backends.cudnn.benchmark is not deterministic
    configure_torch(given, tiny.CPU)
    assert not torch.backends.cudnn.benchmark


def test_tf32_is_nvidias(gpu: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    gpu("AMD Instinct MI300X", 9, 4)
    monkeypatch.setattr(torch.version, "hip", "6.4")
    with pytest.raises(UsageError, match=r"^precision 'tf32' needs a GPU of NVIDIA's .*, not AMD Instinct MI300X; val"):
        configure_torch(recipe(precision="tf32"), GPU)
    configure_torch(recipe(precision="bfloat16"), GPU)


def test_apples_gpus_are_refused() -> None:
    with pytest.raises(
        UsageError, match=r"^device 'mps' cannot be used: Apple's GPUs have no float64.*valid here: auto"
    ):
        device_named("mps")


@pytest.mark.parametrize("field", ["precision", "teacher_precision"])
def test_a_device_without_tf32_is_named(field: str, gpu: Any) -> None:
    gpu("Tesla T4", 7, 5)
    for device, name in ((GPU, "Tesla T4"), (tiny.CPU, "a CPU")):
        with pytest.raises(UsageError, match=f"^precision 'tf32' needs a GPU .*, not {name}; valid here: float32, bf"):
            configure_torch(recipe(**{field: "tf32"}), device)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
@pytest.mark.parametrize(
    ("options", "fields", "said"),
    [
        (("--device", "cuda"), {}, "device 'cuda' is not available on this machine; valid here: auto, cpu"),
        ((), {"recipe__precision": "tf32"}, "precision 'tf32' needs a GPU"),
        ((), {"teacher_recipe__precision": "tf32"}, "precision 'tf32' needs a GPU"),
    ],
)
@pytest.mark.parametrize("command", [grid_command, cost_command])
def test_what_this_machine_cannot_do_is_said_before_anything_is_done(
    command: Callable[[Sequence[str]], int],
    options: tuple[str, ...],
    fields: dict[str, str],
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = write_grid(tmp_path / "tiny.toml", **fields)
    assert command(["--grid", str(file), "--results-dir", str(tmp_path / "results"), *options]) == USAGE
    assert one_line(capsys.readouterr().err).startswith(f"error: {said}")
    assert not (tmp_path / "results").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
def test_a_cluster_may_have_what_this_machine_has_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr("benchmark.training.preflight.check_device", lambda name, runs: asked.append(name))
    file = write_grid(tmp_path / "tiny.toml")
    arguments = ["--grid", str(file), "--results-dir", str(tmp_path / "results"), "--device", "cuda", "--dry-run"]
    grid_command([*arguments, "--executor", "slurm"])
    assert not asked
    grid_command([*arguments, "--executor", "local"])
    assert asked == ["cuda"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
def test_a_dry_run_says_what_this_machine_has_not_and_shows_the_plan(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_grid(tmp_path / "tiny.toml", recipe__precision="tf32")
    arguments = ["--grid", str(file), "--results-dir", str(tmp_path / "results"), "--executor", "local", "--dry-run"]
    assert grid_command(arguments) == COMPLETE
    said = " ".join(capsys.readouterr().out.split())
    assert "this machine would refuse it: precision 'tf32' needs a GPU of NVIDIA's" in said
    assert "to train" in said


def test_only_what_is_read_is_converted() -> None:
    half = torch.ones(2, 3, dtype=torch.bfloat16)
    outputs = Outputs(half, half, (half, half), half)
    converted = in_float32(outputs, {"logits", "maps"})
    assert [x.dtype for x in (converted.logits, *converted.maps)] == [torch.float32] * 3
    assert converted.embedding is half
    assert converted.pooled_map is half
    assert {x.dtype for x in (in_float32(outputs).embedding, in_float32(outputs).pooled_map)} == {torch.float32}


@pytest.mark.parametrize(
    "name", ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"))]
)
def test_generators_are_seeded_as_torch_does(name: str) -> None:
    device = torch.device(name)
    torch.manual_seed(7)
    expected = torch.rand(3), torch.rand(3, device=device)
    torch.rand(5, device=device)
    seed_generators(device, 7)
    assert torch.equal(torch.rand(3), expected[0])
    if name == "cuda":
        assert torch.equal(torch.rand(3, device=device), expected[1])
