"""What a network is tried for before it trains: the right outputs where it serves, and the reason where it does not."""

import inspect
from typing import Any

import pytest
import torch
from timm.models._builder import build_model_with_cfg
from torch import nn

from benchmark.ground.errors import UsageError
from benchmark.ground.libraries import timm
from benchmark.models import Network, check, create, network, trial
from benchmark.spec import Architecture, Recipe, parse
from benchmark.spec.run import TAKEN

CLASSES = 7
EFFICIENTVIT = {"img_size": 64, "embed_dim": [16, 16, 16], "depth": [1, 1, 1], "num_heads": [1, 1, 1]}
PIT = {"base_dims": [8, 8, 8], "depth": [1, 1, 1], "heads": [1, 1, 1]}


def recipe(size: int, **fields: Any) -> Recipe:
    values = {"epochs": 1, "batch_size": 4, "learning_rate": 0.1, "input_size": size, "mean": (0.5,) * 3}
    return Recipe.model_validate({**values, "std": (0.5,) * 3, **fields})


def architecture(model: str, **fields: Any) -> Architecture:
    return Architecture.model_validate({"name": "net", "model": model, **fields})


def refused(message: str, net: Architecture, size: int = 64, alone: bool = False) -> str:
    with pytest.raises(UsageError, match=message) as raised:
        check(net, recipe(size), CLASSES, alone)
    assert "\n" not in str(raised.value)
    return str(raised.value)


# --- options that reach past the suite --------------------------------------------------------------------------------


def test_whatever_timms_factories_take_is_the_suites_to_say() -> None:
    factories = (timm.create_model, build_model_with_cfg)
    arguments = {name for factory in factories for name in inspect.signature(factory).parameters} - {"kwargs"}
    assert arguments <= TAKEN.keys()


@pytest.mark.parametrize("name", TAKEN)
@pytest.mark.parametrize("value", [True, 10, "file.pth", {"file": "x"}], ids=str)
def test_an_option_that_reaches_past_the_suite_is_refused_by_name(name: str, value: Any) -> None:
    raw = {"name": "net", "model": "resnet18", "options": {"drop_rate": 0.1, name: value}}
    with pytest.raises(UsageError, match=f"grid: options: {name} is not an option of an architecture: {TAKEN[name]}"):
        parse(Architecture, raw, "grid")


@pytest.mark.parametrize("model", ["hf-hub:timm/resnet18.a1_in1k", "local-dir:/tmp/resnet18"])
def test_networks_from_elsewhere_are_no_models(model: str) -> None:
    refused("unknown model", architecture(model))


def test_a_network_of_other_classes_than_the_datas_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "create", lambda net, how, classes, seed: create(net, how, 1000, seed))
    refused("'net': it tells 1000 classes apart, the data has 7", architecture("test_resnet"))


# --- the tap ----------------------------------------------------------------------------------------------------------

# model, options, and the class of what reads the embedding
HEADS: list[tuple[str, dict[str, Any], type[nn.Module]]] = [
    ("efficientvit_m0", EFFICIENTVIT, nn.Sequential),
    ("shvit_s1", {"embed_dim": [16, 16, 32], "depth": [1, 1, 1], "partial_dim": [8, 8, 8]}, nn.Sequential),
    ("sequencer2d_s", {"layers": [1, 1, 1, 1], "embed_dims": [16, 16, 16, 16], "hidden_sizes": [4] * 4}, nn.Linear),
    ("deit_tiny_distilled_patch16_224", {"depth": 1}, network.Parts),
    ("pit_ti_distilled_224", PIT, network.Parts),
    ("levit_128s", {"embed_dim": [16, 16, 16], "depth": [1, 1, 1]}, network.Mean),
]


@pytest.mark.parametrize(("model", "options", "reader"), HEADS)
@pytest.mark.parametrize("training", [True, False])
def test_the_classifier_makes_the_models_own_logits_of_the_embedding(
    model: str, options: dict[str, Any], reader: type[nn.Module], training: bool
) -> None:
    """In training mode, and in evaluation mode with other statistics than a fresh batch norm's."""
    net = create(architecture(model, options=options), recipe(64), CLASSES, seed=0)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.normal_(module.running_mean)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 2.0)  # type: ignore[arg-type]
    net.train(training)
    images = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    outputs = net(images)
    torch.testing.assert_close(outputs.logits, net.model(images))
    assert isinstance(net.classifier, reader)
    assert outputs.embedding.dim() == 2
    outputs.logits.square().sum().backward()
    assert [name for name, parameter in net.named_parameters() if parameter.grad is None] == []


def test_two_tokens_are_one_behind_the_other() -> None:
    net = create(architecture("deit_tiny_distilled_patch16_224", options={"depth": 1}), recipe(32), CLASSES, 0).eval()
    images = torch.randn(2, 3, 32, 32)
    outputs = net(images)
    tokens = net.model.forward_features(images)
    torch.testing.assert_close(outputs.embedding, torch.cat([tokens[:, 0], tokens[:, 1]], 1))
    one, other = net.model.head(tokens[:, 0]), net.model.head_dist(tokens[:, 1])
    torch.testing.assert_close(outputs.logits, (one + other) / 2)
    assert net.shapes(images).embedding == 2 * net.model.embed_dim


@pytest.mark.parametrize(("model", "mode"), [("efficientvit_m0", "training"), ("volo_d1_224", "training")])
def test_a_tap_that_skips_part_of_a_network_is_refused(model: str, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "_normalised_head", lambda model: None)
    options = EFFICIENTVIT if model == "efficientvit_m0" else {}
    refused(f"does not read one vector .* in {mode} mode its logits are off by", architecture(model, options=options))


def test_statistics_are_changed_for_evaluation_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch norm that is skipped in evaluation mode alone would not show while it is fresh."""

    class Skipping(Network):
        def forward(self, images: torch.Tensor) -> Any:
            if self.training:
                return super().forward(images)
            norm, self.model.bn1 = self.model.bn1, nn.ReLU()
            outputs = super().forward(images)
            self.model.bn1 = norm
            return outputs

    def skipping(net: Architecture, how: Recipe, classes: int, seed: int) -> Network:
        return Skipping(create(net, how, classes, seed).model)

    monkeypatch.setattr(trial, "create", skipping)
    refused("in evaluation mode its logits are off by", architecture("resnet18", options={"channels": [8, 8, 8, 8]}))


def test_a_parameter_without_a_gradient_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def idle(net: Architecture, how: Recipe, classes: int, seed: int) -> Network:
        made = create(net, how, classes, seed)
        made.model.spare = nn.Linear(2, 2)
        return made

    monkeypatch.setattr(trial, "create", idle)
    refused("ResNet: its logits do not depend on spare.weight, spare.bias", architecture("test_resnet"))


# --- reasons ----------------------------------------------------------------------------------------------------------

DISTILLED = "deit_tiny_distilled_patch16_224"


@pytest.mark.parametrize(
    ("model", "size", "options", "message"),
    [
        ("eca_halonext26ts", 64, {}, r"64 x 64 images \(timm builds it for 256 x 256\): .*H % self.block_size == 0"),
        ("crossvit_9_240", 64, {}, r"does not take 64 x 64 images \(timm builds it for 240 x 240\): "),
        ("test_vit", 32, {"patch_drop_rate": 0.5}, "its maps have other shapes in training than in evaluation mode"),
        (
            "test_vit",
            24,
            {"patch_size": 4, "patch_drop_rate": 0.33},
            "its maps cannot be read in training mode: RuntimeError: shape",
        ),
        ("mlp_30", 8, {}, "8 x 8 images leave mlp_30 a last map of 1 x 1; choose upscaled images"),
        (DISTILLED, 64, {"depth": 1, "global_pool": "avg"}, "head reads the class and distillation tokens"),
        ("efficientvim_m1", 64, {}, "its classifier does not read one vector per image, but several tokens or scales"),
    ],
)
def test_a_refusal_names_its_reason(model: str, size: int, options: dict[str, Any], message: str) -> None:
    refused(message, architecture(model, options=options), size)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("mlp_30", "mlp_30 has no convolution to make a small stem of"),
        ("densenet121", r"cannot be given a small stem: features\.pool0 pools behind its first convolution"),
        ("resnetv2_50x1_bit", "cannot be given a small stem: its convolutions standardise their weights"),
        ("repvgg_a0", "does not take 32 x 32 images with stem = 'small', which not every network can have: "),
    ],
)
def test_a_stem_that_cannot_be_small_is_refused(model: str, message: str) -> None:
    refused(message, architecture(model, stem="small"), 32)


@pytest.mark.parametrize(("model", "helps"), [("resnet18", True), ("efficientvit_m0", False), ("csatv2", False)])
def test_a_small_stem_is_advised_only_where_it_helps(model: str, helps: bool) -> None:
    size = 32 if helps else 64
    message = refused("a last map of 1 x 1; choose", architecture(model), size)
    assert ('stem = "small"' in message) == helps
    assert f"it is built for {trial.own_size(model)}" in message
    if helps:
        assert check(architecture(model, stem="small"), recipe(size), CLASSES).maps[-1][1:] != (1, 1)


def test_a_batch_of_one_image_is_refused_where_a_batch_norm_sees_one_pixel() -> None:
    collapsed = architecture("resnet18", options={"channels": [8, 8, 8, 8]}, collapsed_map="accept")
    assert check(collapsed, recipe(32), CLASSES).maps[-1][1:] == (1, 1)
    assert check(collapsed, recipe(64), CLASSES, alone=True).maps[-1][1:] == (2, 2)
    refused('cannot train on a batch of one image.*last_batch = "drop"', collapsed, 32, alone=True)
