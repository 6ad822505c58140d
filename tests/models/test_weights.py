"""Weights that networks start from: files that are not what they should be, and the hash that an id knows them by."""

import hashlib
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from kept_weights import exported, grid_of, pinned, refused, trained
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from benchmark.ground.errors import UsageError
from benchmark.ground.libraries import timm
from benchmark.models import create
from benchmark.models.weights import pin, save_weights, weights_sha256
from benchmark.spec import Architecture, Recipe, parse

pytestmark = pytest.mark.usefixtures("offline")


def with_weights(path: Path | str, architecture: Architecture = tiny.RESNET) -> Architecture:
    return pinned(architecture.model_copy(update={"weights": str(path)}))


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
