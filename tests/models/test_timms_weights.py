"""timm's own pretrained weights: loaded from the file that was hashed, or refused."""

import hashlib
from pathlib import Path

import pytest
from kept_weights import pinned, refused
from safetensors.torch import save_file
from torch import nn

from benchmark.ground.errors import UsageError
from benchmark.ground.libraries import timm
from benchmark.models import create
from benchmark.models.weights import timm_file, weights_sha256
from benchmark.spec import Architecture, Recipe

pytestmark = pytest.mark.usefixtures("offline")

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
    [("cifar_resnet8", "timm has no weights of cifar_resnet8"), ("test_vit.no_tag", "Invalid pretrained tag")],
)
def test_models_that_timm_has_no_weights_of(model: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        timm_file(model)
