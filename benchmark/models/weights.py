"""Weights that networks start from, pinned by the hash of their file, loaded whole and checked, never a head or a stem
that stays random; and weights that runs end with, saved with their hash."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from benchmark.ground.errors import Refusals, UsageError, one_line
from benchmark.ground.files import REFERENCE, expanded, open_regular, write_bytes
from benchmark.ground.libraries import timm
from benchmark.spec import OF_REFERENCE, TIMM, Architecture, Grid, Recipe, Run

MOST_KEYS, LONGEST_KEY = 6, 60
"""How many keys of a file a message shows, and how many characters of one."""

HUB_FILES = ("model.safetensors", "pytorch_model.bin")
"""What timm's weights are called on the Hugging Face hub, in order of preference."""


@contextmanager
def refusals_of(architecture: Architecture) -> Iterator[None]:
    """What is refused within names the architecture."""
    try:
        yield
    except UsageError as error:
        raise UsageError(f"architecture {architecture.name!r}: {error}") from None


def pin(grid: Grid) -> Grid:
    """The grid with the hash of every file of weights, and the whole paths of those that are named by a path.

    Raises UsageError for the files that cannot be read or are not the ones that the grid states the hash of.
    """
    pinned, refusals = {}, Refusals()
    for name, architecture in grid.architectures.items():
        with refusals.collected(), refusals_of(architecture):
            pinned[name] = _pinned(architecture)
    refusals.tell()
    return grid.model_copy(update={"architectures": pinned})


def weights_file(architecture: Architecture) -> Path:
    """Where an architecture's weights lie; timm's are downloaded if they are not in its cache.

    Raises UsageError if there are none, or other ones than those that were pinned.
    """
    assert architecture.weights is not None
    path = timm_file(architecture.model) if architecture.weights == TIMM else _named(architecture.weights)
    expected, found = architecture.weights_sha256, _sha256(path)
    if expected is not None and found != expected:
        raise UsageError(f"{path} has SHA-256 {found}, not {expected} as stated or planned")
    return path


def timm_config(model: str) -> Any:
    """What timm says of a model's weights: classes, normalisation, where they are. UsageError if there are none."""
    try:
        known = timm.get_pretrained_cfg(model)
    except RuntimeError as error:
        raise UsageError(str(error)) from None
    if known is None or not known.has_weights:
        tags = timm.list_pretrained(f"{model.partition('.')[0]}.*")
        hint = f"; there are {', '.join(tags)}" if tags else ""
        raise UsageError(f"timm has no weights of {model}{hint}")
    return known


def timm_file(model: str) -> Path:
    """timm's pretrained weights of a model, from its cache or downloaded; UsageError if there are none."""
    known = timm_config(model)
    hub, helpers = known.hf_hub_id, timm.models._hub
    names = (known.hf_hub_filename,) if known.hf_hub_filename else HUB_FILES
    failure: Exception | None = None
    for name in names if hub else (None,):
        try:
            return Path(helpers.download_from_hf(hub, name) if hub else helpers.download_cached_file(known.url))
        except Exception as error:  # whatever a download can fail of: no network, no such file, a full disk
            failure = error
    raise UsageError(
        f"timm's weights of {model} are neither in its cache nor to be downloaded (fetch them where there is network, "
        f"or give weights = 'FILE'): {one_line(failure)}"
    )


def timm_options(architecture: Architecture, recipe: Recipe, classes: int) -> dict[str, Any]:
    """What makes `timm.create_model` load its pretrained weights from the file that was pinned.

    Raises UsageError for weights of another number of classes or another normalisation.
    """
    path = weights_file(architecture)
    known = timm_config(architecture.model)
    _check_normalisation(recipe, known.mean, known.std)
    _check_classes(known.num_classes, classes)
    return {"pretrained": True, "pretrained_cfg_overlay": {"file": str(path)}}


def load(model: nn.Module, architecture: Architecture, recipe: Recipe, classes: int) -> None:
    """Put the weights of an architecture's file into a timm model.

    Files are safetensors or what torch.save wrote, read as tensors alone; a state dictionary by itself or under
    'state_dict' or 'model', with or without the prefix of DataParallel. Raises UsageError for a file that is none of
    this, has other tensors than the model, or is for other classes or, as far as it says, another normalisation.
    """
    path = weights_file(architecture)
    if normalisation := _recorded_normalisation(path):
        _check_normalisation(recipe, *normalisation)
    state = _read(path)
    _check_names(state, model, path)
    classifier = model.get_classifier()  # type: ignore[operator]
    name = next((name for name, module in model.named_modules() if module is classifier), None)
    head = state.get(f"{name}.weight")
    if isinstance(head, Tensor):
        _check_classes(head.shape[0], classes)
    try:
        model.load_state_dict(state)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} does not fit: {one_line(error)}") from None


def weights_sha256(module: nn.Module) -> str:
    """Hash of names, shapes and values of a module's parameters and buffers."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def save_weights(path: Path, module: nn.Module, run: Run) -> None:
    """Write a timm model's weights, with the run they come from as metadata: enough to build the model again. Equal
    weights of equal runs are equal files."""
    tensors = {name: value.detach().cpu().contiguous() for name, value in sorted(module.state_dict().items())}
    metadata = {"run_id": run.id, "run": json.dumps(run.model_dump(mode="json"), sort_keys=True)}
    write_bytes(path, _ordered(save(tensors, metadata)))


def _ordered(content: bytes) -> bytes:
    """A safetensors file with its header in order: the library's own metadata has another one in every process.

    The header is JSON behind its length, padded to a multiple of 8 bytes.
    """
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.dumps(json.loads(content[8:end]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + content[end:]


def _pinned(architecture: Architecture) -> Architecture:
    if architecture.weights is None:
        return architecture
    path, source = weights_file(architecture), architecture.weights
    if source != TIMM and not source.startswith(OF_REFERENCE):
        source = str(path.resolve())
    return architecture.model_copy(update={"weights": source, "weights_sha256": _sha256(path)})


def _named(weights: str) -> Path:
    """A file of weights by its path, or by its name among the committed results."""
    if weights.startswith(OF_REFERENCE):
        return REFERENCE / weights.removeprefix(OF_REFERENCE)
    return expanded(weights)


def _sha256(path: Path) -> str:
    try:
        with open_regular(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError) as error:  # no regular file, or a path with a null character
        why = getattr(error, "strerror", None) or str(error).rpartition(": ")[2]
    if path.is_dir():
        why = "Is a directory"
    start = "" if path.is_absolute() else f" (looked for from {Path.cwd()} on)"
    raise UsageError(f"weights {str(path)!r} cannot be read: {why}{start}")


def _recorded_normalisation(path: Path) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Mean and standard deviation of the run that made a file, for files that this suite wrote."""
    if path.suffix != ".safetensors":
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            recipe = json.loads(file.metadata()["run"])["recipe"]
        return tuple(map(float, recipe["mean"])), tuple(map(float, recipe["std"]))
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, RecursionError):
        return None  # not ours; what is wrong with it, reading the tensors will say


def _check_normalisation(recipe: Recipe, mean: Sequence[float], std: Sequence[float]) -> None:
    for field, theirs in (("mean", tuple(mean)), ("std", tuple(std))):
        ours = getattr(recipe, field)
        if len(ours) != len(theirs) or any(abs(a - b) > 1e-6 for a, b in zip(ours, theirs, strict=True)):
            raise UsageError(f"its weights were trained with {field} = {theirs}, the recipe says {ours}")


def _read(path: Path) -> Mapping[str, Any]:
    try:
        state: Mapping[str, Any] = timm.models.load_state_dict(str(path), use_ema=False, weights_only=True)
    except Exception as error:  # a damaged or hostile file fails in many ways; none of them runs its code
        raise UsageError(f"{path} holds no weights: {one_line(error)}") from None
    return state


def _check_names(state: Mapping[str, Any], model: nn.Module, path: Path) -> None:
    """A file that has nothing by the network's names keeps its weights elsewhere, or under a prefix: say where."""
    wanted = model.state_dict().keys()
    if wanted & state.keys():
        return
    held = ", ".join(_shown(key) + _inside(value) for key, value in list(state.items())[:MOST_KEYS])
    more = f", ... ({len(state)} keys)" if len(state) > MOST_KEYS else ""
    expected = ", ".join(map(_shown, list(wanted)[:2]))
    raise UsageError(
        f"{path} does not fit: the network's weights are called {expected}, ..., looked for at the top of the file or "
        f"under 'state_dict' or 'model'; there it has {held or 'nothing'}{more}"
    )


def _inside(value: Any) -> str:
    """What a key of a file holds, if it is a table of its own."""
    return f" (with {', '.join(map(_shown, list(value)[:2]))}, ...)" if isinstance(value, Mapping) and value else ""


def _shown(key: object) -> str:
    """A key of a foreign file, on one line and not too long."""
    return repr(str(key)[:LONGEST_KEY])


def _check_classes(theirs: int, ours: int) -> None:
    if theirs != ours:
        raise UsageError(f"its weights are for {theirs} classes, the data has {ours}")
