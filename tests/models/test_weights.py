"""Pretrained weights: from a grid's run to another grid's teacher, and every file that is not what it should be."""

import hashlib
import json
import os
import tomllib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import tiny
import tomli_w
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from benchmark.data.libraries import timm
from benchmark.errors import COMPLETE, USAGE, UsageError
from benchmark.grid import main
from benchmark.models import create
from benchmark.models.weights import pin, save_weights, timm_file, weights_sha256
from benchmark.records import Folder, Record
from benchmark.spec import GRIDS, Architecture, Grid, Recipe, parse


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the test's folder, on one thread, and without network."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))


def grid_of(**architectures: Architecture) -> Grid:
    return tiny.GRID.model_copy(update={"architectures": architectures})


def pinned(architecture: Architecture) -> Architecture:
    return pin(grid_of(net=architecture)).architectures["net"]


def with_weights(path: Path | str, architecture: Architecture = tiny.RESNET) -> Architecture:
    return pinned(architecture.model_copy(update={"weights": str(path)}))


def trained(seed: int = 7) -> nn.Module:
    """A network whose weights are not the ones that `create` would draw, batch statistics included."""
    model = create(tiny.RESNET, tiny.RECIPE, 10, seed).model
    for name, buffer in model.named_buffers():
        if name.endswith("running_mean"):
            buffer.fill_(0.1)
    return model


def exported(path: Path, **recipe: Any) -> Path:
    """What `--export` gives of a run with these fields of the recipe."""
    save_weights(path, trained(), tiny.run("student", **recipe))
    return path


# --- loading ----------------------------------------------------------------------------------------------------------

LAYOUTS: dict[str, Callable[[dict[str, Tensor]], Any]] = {
    "plain": lambda state: state,
    "under state_dict": lambda state: {"state_dict": state, "epoch": 3},
    "under model": lambda state: {"model": state, "accuracy": torch.tensor(71.0)},
    "from DataParallel": lambda state: {"model": {f"module.{name}": value for name, value in state.items()}},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_common_layouts_of_torch_files(layout: str, tmp_path: Path) -> None:
    model = trained()
    torch.save(LAYOUTS[layout](model.state_dict()), tmp_path / "net.pth")
    loaded = create(with_weights("net.pth"), tiny.RECIPE, 10, seed=0)
    assert weights_sha256(loaded.model) == weights_sha256(model)


def test_safetensors_with_and_without_a_run(tmp_path: Path) -> None:
    model = trained()
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, tmp_path / "plain.safetensors")
    for path in (tmp_path / "plain.safetensors", exported(tmp_path / "run.safetensors")):
        assert weights_sha256(create(with_weights(path), tiny.RECIPE, 10, seed=0).model) == weights_sha256(model)


def test_students_can_start_from_weights_too(results: Path, tmp_path: Path) -> None:
    student = with_weights(exported(tmp_path / "net.safetensors"))
    run = tiny.run("student", student, epochs=0)
    assert tiny.train(results / "grid", run, tiny.run("student"))
    assert tiny.record(results / "grid", run).result.weights_sha256 == weights_sha256(trained())


class Exploit:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("exploited"),)


def headless(state: dict[str, Tensor]) -> None:
    del state["fc.weight"], state["fc.bias"]


def extra(state: dict[str, Tensor]) -> None:
    state["auxiliary.weight"] = torch.zeros(3)


def wider(state: dict[str, Tensor]) -> None:
    state["fc.weight"], state["fc.bias"] = torch.zeros(100, 8), torch.zeros(100)


def deeper(state: dict[str, Tensor]) -> None:
    state["layer1.0.conv1.weight"] = torch.zeros(4, 64, 5, 5)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (headless, r'does not fit: .*Missing key\(s\) in state_dict: "fc.weight", "fc.bias"'),
        (extra, r'does not fit: .*Unexpected key\(s\) in state_dict: "auxiliary.weight"'),
        (wider, "architecture 'resnet': its weights are for 100 classes, the data has 10"),
        (deeper, "does not fit: .*size mismatch for layer1.0.conv1.weight"),
    ],
)
def test_weights_that_do_not_fit_are_an_error_and_never_a_random_head(
    spoil: Callable[[dict[str, Tensor]], None], message: str, tmp_path: Path
) -> None:
    path = exported(tmp_path / "net.safetensors")
    state = load_file(path)
    spoil(state)
    save_file(state, path)
    refused(message, with_weights(path))


def refused(message: str, architecture: Architecture, recipe: Recipe = tiny.RECIPE, classes: int = 10) -> None:
    with pytest.raises(UsageError, match=message) as raised:
        create(architecture, recipe, classes, seed=0)
    assert "\n" not in str(raised.value)


def test_files_that_hold_no_weights(tmp_path: Path) -> None:
    contents: dict[str, Any] = {"number.pth": 3, "list.pth": [torch.zeros(2)], "exploit.pth": {"model": Exploit()}}
    for name, content in contents.items():
        torch.save(content, tmp_path / name)
        refused(f"'resnet': .*{name} (holds no weights|does not fit)", with_weights(name))
    assert not Path("exploited").exists()
    for name in ("garbage.pth", "garbage.safetensors"):
        (tmp_path / name).write_bytes(b"\xff" * 5000)
        refused(f"'resnet': .*{name} holds no weights: ", with_weights(name))


PLACES: dict[str, tuple[Callable[[dict[str, Tensor]], Any], str]] = {
    "under net": (lambda state: {"net": state, "epoch": 3}, r"there it has 'net' \(with 'conv1.weight', .*\), 'epoch'"),
    "under model_state_dict": (
        lambda state: {"model_state_dict": state, "optimizer": {}},
        "it has 'model_state_dict' ",
    ),
    "from Lightning": (
        lambda state: {"state_dict": {f"model.{name}": value for name, value in state.items()}},
        r"there it has 'model.conv1.weight', 'model.bn1.weight', .* keys\)",
    ),
    "empty": (lambda state: {}, "there it has nothing"),
    "numbers": (lambda state: {"net": 3, "a\nb": 4}, r"there it has 'net', 'a\\nb'"),
}


@pytest.mark.parametrize("place", PLACES)
def test_weights_that_lie_elsewhere_in_a_file_are_told_by_its_keys(place: str) -> None:
    arranged, message = PLACES[place]
    torch.save(arranged(trained().state_dict()), "net.pth")
    expected = r"net.pth does not fit: the network's weights are called 'conv1.weight', 'bn1.weight', ..., looked for "
    refused(expected + ".*" + message, with_weights("net.pth"))


@pytest.mark.parametrize("run", ["[]", '{"recipe": 3}', '{"recipe": {"mean": 1, "std": ["a"]}}', "[" * 10_000])
def test_foreign_metadata_states_no_normalisation(run: str, tmp_path: Path) -> None:
    model, path = trained(), tmp_path / "net.safetensors"
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, path, {"run": run})
    assert weights_sha256(create(with_weights(path), tiny.RECIPE, 10, seed=0).model) == weights_sha256(model)


@pytest.mark.parametrize("path", ["~/net.safetensors", "$HOME/net.safetensors", "${PLACE}/net.safetensors"])
def test_paths_are_read_as_a_shell_reads_them(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PLACE", str(tmp_path / "home"))
    assert with_weights(path_of := exported(tmp_path / "home" / "net.safetensors")) == with_weights(path)
    assert with_weights(path).weights == str(path_of)


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    os.mkfifo("pipe.pth")
    Path("link.pth").symlink_to("/dev/zero")
    for name in ("/dev/zero", "pipe.pth", "link.pth"):
        with pytest.raises(UsageError, match=f"weights '{name}' cannot be read: not a regular file"):
            with_weights(name)


def test_all_weights_that_cannot_be_had_are_told_at_once() -> None:
    loose = {name: tiny.RESNET.model_copy(update={"name": name, "weights": f"{name}.pth"}) for name in ("one", "other")}
    with pytest.raises(UsageError) as raised:
        pin(grid_of(**loose))
    assert [line.split(": ")[0] for line in str(raised.value).splitlines()] == [f"architecture {n!r}" for n in loose]


def test_no_version_of_timm_runs_what_a_file_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its reader takes any pickle unless told otherwise up to some version, tensors alone from then on."""
    reader = timm.models.load_state_dict
    monkeypatch.setattr(timm.models, "load_state_dict", partial(reader, weights_only=False))
    torch.save({"model": Exploit()}, "exploit.pth")
    refused("exploit.pth holds no weights", with_weights("exploit.pth"))
    assert not Path("exploited").exists()


@pytest.mark.parametrize(("field", "values"), [("mean", (0.5,)), ("std", (0.377,)), ("mean", (0.305,) * 3)])
def test_another_normalisation_than_the_runs_is_an_error(field: str, values: tuple[float, ...], tmp_path: Path) -> None:
    lengths = {"mean": values, "std": values} if len(values) == 3 else {field: values}
    recipe = tiny.RECIPE.model_copy(update=lengths)
    refused("its weights were trained with mean|std = ", with_weights(exported(tmp_path / "a.safetensors")), recipe)


# --- the hash of the file ---------------------------------------------------------------------------------------------


def test_the_files_hash_and_not_its_path_is_part_of_the_run_id(tmp_path: Path) -> None:
    one = exported(tmp_path / "one.safetensors")
    copy, other = tmp_path / "copy.safetensors", exported(tmp_path / "other.safetensors", epochs=3)
    copy.write_bytes(one.read_bytes())
    first = with_weights("one.safetensors")
    assert first.weights == str(one)
    assert first.weights_sha256 == hashlib.sha256(one.read_bytes()).hexdigest()
    ids = [tiny.run("student", student).id for student in (first, with_weights(copy), with_weights(other), tiny.RESNET)]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3


def test_without_weights_nothing_is_added_to_the_identity() -> None:
    assert set(tiny.RESNET.identity()) == {"model", "options", "stem"}


def test_weights_have_to_be_pinned_before_a_run_has_an_id(tmp_path: Path) -> None:
    loose = tiny.RESNET.model_copy(update={"weights": "net.pth"})
    with pytest.raises(ValueError, match="weights of architecture 'resnet' are not pinned"):
        _ = tiny.run("student", loose).id


def test_a_file_that_was_exchanged_is_refused(tmp_path: Path) -> None:
    path = exported(tmp_path / "net.safetensors")
    architecture = with_weights(path)
    exported(path, epochs=3)
    refused(f"'resnet': .*net.safetensors has SHA-256 .*, not {architecture.weights_sha256}", architecture)
    with pytest.raises(UsageError, match=f"not {architecture.weights_sha256} as stated or planned"):
        pinned(architecture)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"weights": "none.pth"}, "architecture 'net': weights 'none.pth' cannot be read: No such file"),
        ({"weights": "."}, "architecture 'net': weights '.' cannot be read: Is a directory"),
        ({"weights_sha256": "0" * 64}, "weights_sha256 without weights"),
        ({"weights": "x", "weights_sha256": "abc"}, "weights_sha256: String should match pattern"),
        ({"weights": ""}, "weights: String should have at least 1 character"),
        ({"weights": "timm", "stem": "small"}, "weights = 'timm' do not fit stem = 'small': upscale with input_size"),
    ],
)
def test_wrong_fields(fields: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        pinned(parse(Architecture, {"name": "net", "model": "resnet18", **fields}, "grid.toml"))


# --- timm's own weights -----------------------------------------------------------------------------------------------

VIT = Architecture(name="vit", model="test_vit", weights="timm")
IMAGENET = Recipe(epochs=0, batch_size=2, learning_rate=0.1, input_size=160, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    """A hub that has the weights of test_vit, and the model with these weights."""
    model: nn.Module = timm.create_model("test_vit", num_classes=1000)
    path = tmp_path / "model.safetensors"
    save_file(model.state_dict(), path)

    def download(repository: str, name: str) -> str:
        if name != "model.safetensors" or not repository.startswith("timm/test_vit."):
            raise FileNotFoundError(name)
        return str(path)

    monkeypatch.setattr(timm.models._hub, "download_from_hf", download)
    return model


def test_timms_weights_are_loaded_from_the_file_that_was_hashed(hub: nn.Module, tmp_path: Path) -> None:
    vit = pinned(VIT)
    assert vit.weights == "timm"
    assert vit.weights_sha256 == hashlib.sha256((tmp_path / "model.safetensors").read_bytes()).hexdigest()
    assert weights_sha256(create(vit, IMAGENET, 1000, seed=0).model) == weights_sha256(hub)
    smaller = IMAGENET.model_copy(update={"input_size": 64})  # positions are interpolated
    assert create(vit, smaller, 1000, seed=0).model.head.weight.equal(hub.head.weight)  # type: ignore[union-attr,operator,arg-type]


@pytest.mark.usefixtures("hub")
def test_timms_weights_of_other_classes_or_normalisation_are_refused() -> None:
    refused("'vit': its weights are for 1000 classes, the data has 10", pinned(VIT), IMAGENET, 10)
    other = IMAGENET.model_copy(update={"mean": (0.485, 0.456, 0.406)})
    refused(r"'vit': its weights were trained with mean = \(0.5, 0.5, 0.5\), the recipe says", pinned(VIT), other, 1000)
    grey = IMAGENET.model_copy(update={"mean": (0.5,), "std": (0.5,)})
    refused("'vit': its weights were trained with mean", pinned(VIT), grey, 1000)


def test_without_network_timms_weights_are_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """At once, and whether or not this machine has a network."""

    def unreachable(*_: str) -> str:
        raise ConnectionError("Temporary failure in name resolution")

    monkeypatch.setattr(timm.models._hub, "download_from_hf", unreachable)
    with pytest.raises(UsageError, match=r"'vit': timm's weights of test_vit are neither in its cache nor to be down"):
        pinned(VIT)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("cifar_resnet8", "timm has no weights of cifar_resnet8"),
        ("test_vit.no_tag", "architecture 'vit': Invalid pretrained tag"),
    ],
)
def test_models_that_timm_has_no_weights_of(model: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        timm_file(VIT.model_copy(update={"model": model}))


# --- as a grid's teacher ----------------------------------------------------------------------------------------------


def write_grid(name: str, **changes: Any) -> str:
    raw = tomllib.loads((GRIDS / "smoke.toml").read_text())
    raw |= {"methods": ["student", "kd"], "expected_accuracy": {"digits": {"resnet_m": 0.0}}}
    raw["recipe"]["epochs"] = 1
    raw["teacher_recipe"]["epochs"] = 2
    for path, value in changes.items():
        *tables, key = path.split("__")
        table = raw
        for part in tables:
            table = table[part]
        table[key] = value
    Path(f"{name}.toml").write_text(tomli_w.dumps(raw))
    return f"{name}.toml"


def run_grid(grid: str, results: str) -> int:
    return main(["--grid", grid, "--results-dir", results, "--executor", "inline", "--threads", "1"])


def teacher_of(results: str) -> Record:
    (record,) = Folder(Path(results) / "teachers").records()[0]
    return record


def test_an_exported_network_teaches_in_another_grid_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_grid(write_grid("first"), "results") == COMPLETE
    first = teacher_of("results")
    assert main(["--export", first.run_id]) == COMPLETE
    weights = {"architectures__resnet_m__weights": f"{first.run_id}.safetensors", "teacher_recipe__epochs": 0}
    second = write_grid("second", **weights)
    assert run_grid(second, "others") == COMPLETE
    record = teacher_of("others")
    assert record.run.recipe.epochs == 0
    assert (
        record.run.student.weights_sha256
        == hashlib.sha256(Path(f"{first.run_id}.safetensors").read_bytes()).hexdigest()
    )
    assert record.run_id != first.run_id
    assert (record.result.top1, record.result.weights_sha256) == (first.result.top1, first.result.weights_sha256)
    assert (record.result.train_loss, record.cost.training_flops) == (None, 0)
    students = Folder(Path("others/second")).records()[0]
    assert {student.run.method for student in students} == {"student", "kd"}
    assert {student.result.teacher_weights_sha256 for student in students} == {first.result.weights_sha256}
    assert all(student.status == "done" for student in students)

    Path(f"{first.run_id}.safetensors").rename("moved.safetensors")  # the same weights elsewhere are the same runs
    kept, *lost = sorted(Path("others/second/records").iterdir())
    lost.append(Path(f"others/teachers/records/{record.run_id}.json"))
    before = {path: json.loads(path.read_bytes())["result"] for path in lost}
    written = kept.stat().st_mtime_ns
    for path in lost:
        path.unlink()
    moved = {**weights, "architectures__resnet_m__weights": "moved.safetensors"}
    assert run_grid(write_grid("second", **moved), "others") == COMPLETE
    assert kept.stat().st_mtime_ns == written
    assert {path: json.loads(path.read_bytes())["result"] for path in lost} == before
    frozen = tomllib.loads(Path("others/second/grid.toml").read_text())
    assert frozen["architectures"]["resnet_m"]["weights_sha256"] == record.run.student.weights_sha256


def test_weights_that_are_missing_or_do_not_fit_stop_a_grid_before_it_trains(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_grid(write_grid("g", architectures__resnet_m__weights="none.pth"), "results") == USAGE
    assert "error: architecture 'resnet_m': weights 'none.pth' cannot be read" in capsys.readouterr().err
    exported(tmp_path / "other.safetensors")
    assert run_grid(write_grid("g", architectures__resnet_m__weights="other.safetensors"), "results") == USAGE
    assert "other.safetensors does not fit: " in capsys.readouterr().err
    assert not Path("results").exists()


def test_a_misspelt_architecture_is_answered_with_the_grids_own(capsys: pytest.CaptureFixture[str]) -> None:
    pairs = [{"teacher": "resnet_m", "student": "resnet_z"}]
    assert run_grid(write_grid("g", pairs=pairs), "results") == USAGE
    assert "unknown model 'resnet_z': did you mean resnet_m or resnet_s" in capsys.readouterr().err.replace(
        "resnet_s or resnet_m", "resnet_m or resnet_s"
    )


def test_zero_epochs_need_no_schedule_and_others_still_do() -> None:
    step = {"schedule": "step", "milestones": (150, 180), "warmup_epochs": 5}
    assert parse(Recipe, {**tiny.RECIPE.model_dump(), **step, "epochs": 0}, "grid").epochs == 0
    with pytest.raises(UsageError, match="milestones must rise and stay below the 2 epochs"):
        parse(Recipe, {**tiny.RECIPE.model_dump(), **step, "epochs": 2}, "grid")
    with pytest.raises(UsageError, match="warmup_epochs must stay below the 2 epochs"):
        parse(Recipe, {**tiny.RECIPE.model_dump(), "warmup_epochs": 2, "epochs": 2}, "grid")


def test_equal_weights_of_equal_runs_are_equal_files(tmp_path: Path) -> None:
    """In any process: the library orders its metadata by chance."""
    paths = [tmp_path / f"{number}.safetensors" for number in range(8)]
    network = trained()
    for path in paths:
        save_weights(path, network, tiny.run("student"))
    assert len({path.read_bytes() for path in paths}) == 1
    with safe_open(paths[0], framework="pt") as file:
        assert file.metadata()["run_id"] == tiny.run("student").id
        for name, value in network.state_dict().items():
            assert torch.equal(file.get_tensor(name), value)
    header = paths[0].read_bytes()[8:]
    assert header.index(b'"run"') < header.index(b'"run_id"')
