"""Networks: the tap shows what the model itself computes, and weights depend on (seed, architecture) alone."""

from typing import Any

import pytest
import torch
from torch import nn

from benchmark.ground.errors import UsageError
from benchmark.models import Network, check, create, creation, model_names
from benchmark.models.weights import weights_sha256
from benchmark.spec import Architecture, Recipe

CLASSES = 7
SWIN = {"depths": [1, 1, 1, 1], "embed_dim": 16, "num_heads": [1, 1, 1, 1], "window_size": 2}

# model, input size, options, stem; sizes of the maps, how many of them are the stem's
FAMILIES: dict[str, tuple[int, dict[str, Any], str, list[int], int]] = {
    "resnet18": (16, {"channels": [8, 8, 16, 16]}, "small", [16, 16, 8, 4, 2], 1),
    "test_resnet": (32, {}, "timm", [16, 8, 4, 2, 1], 1),
    "test_efficientnet": (32, {}, "timm", [16, 8, 4, 2, 1], 0),
    "mobilenetv3_small_050": (32, {}, "timm", [16, 8, 4, 2, 1], 1),
    "test_byobnet": (32, {}, "timm", [16, 8, 4, 2, 1], 1),
    "test_nfnet": (32, {}, "timm", [16, 8, 4, 2, 1], 1),
    "test_convnext": (64, {}, "timm", [16, 8, 4, 2], 0),
    "test_vit": (16, {"patch_size": 4}, "timm", [4] * 6, 0),
    "test_vit3": (16, {"patch_size": 4}, "timm", [4] * 9, 0),
    "gmixer_12_224": (32, {}, "timm", [2] * 12, 0),
    "swin_tiny_patch4_window7_224": (64, SWIN, "timm", [16, 8, 4, 2], 0),
    "ghostnet_050": (32, {}, "timm", [16, 8, 4, 2, 1], 1),
}


def recipe(size: int, channels: int = 3, **fields: Any) -> Recipe:
    values = {"epochs": 1, "batch_size": 4, "learning_rate": 0.1, "input_size": size}
    return Recipe.model_validate({**values, "mean": (0.5,) * channels, "std": (0.5,) * channels, **fields})


def architecture(model: str, options: dict[str, Any] = {}, stem: str = "timm", name: str = "net") -> Architecture:
    return Architecture.model_validate({"name": name, "model": model, "options": options, "stem": stem})


def network(model: str, seed: int = 0, **fields: Any) -> Network:
    size, options, stem, _, _ = FAMILIES[model]
    return create(architecture(model, {**options, **fields}, stem), recipe(size), CLASSES, seed)


def pictures(model: str, count: int = 4) -> torch.Tensor:
    size = FAMILIES[model][0]
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("model", FAMILIES)
def test_the_tap_shows_what_the_model_computes(model: str) -> None:
    net, images = network(model).eval(), pictures(model)
    sizes, stem = FAMILIES[model][3:]
    with torch.no_grad():
        outputs, direct = net(images), net.model(images)
    torch.testing.assert_close(outputs.logits, direct)
    assert outputs.logits.shape == (4, CLASSES)
    assert outputs.embedding.dim() == 2
    torch.testing.assert_close(net.classifier(outputs.embedding), direct)
    assert [m.shape[2:] for m in outputs.maps] == [(size, size) for size in sizes]
    assert all(m.dim() == 4 and len(m) == 4 for m in (*outputs.maps, outputs.pooled_map))
    shapes = net.shapes(images)
    assert shapes.maps == tuple(tuple(m.shape[1:]) for m in outputs.maps)
    assert shapes.pooled_map == tuple(outputs.pooled_map.shape[1:])
    assert (shapes.classes, shapes.embedding, shapes.stem) == (CLASSES, outputs.embedding.shape[1], stem)


@pytest.mark.parametrize("model", FAMILIES)
def test_stages_pair_from_the_back(model: str) -> None:
    """The last map of each of the last resolutions, without the stem; of one resolution, blocks at equal distances."""
    net, images = network(model).eval(), pictures(model)
    sizes, stem = FAMILIES[model][3:]
    outputs = net(images)
    blocks = list(range(stem, len(sizes)))
    if len(set(sizes)) > 1:
        expected = [i for i in blocks if i + 1 == len(sizes) or sizes[i] != sizes[i + 1]][-3:]
    else:
        third = len(sizes) // 3
        expected = [third - 1, 2 * third - 1, 3 * third - 1]
    assert [id(m) for m in outputs.stages(3)] == [id(outputs.maps[i]) for i in expected]
    assert net.shapes(images).stages(3) == tuple(tuple(m.shape[1:]) for m in outputs.stages(3))
    with pytest.raises(ValueError, match=r"stages, 13 are needed"):
        outputs.stages(13)


@pytest.mark.parametrize("model", ["test_vit", "gmixer_12_224"])
@pytest.mark.parametrize("transposed", [False, True])
def test_maps_of_tokens_keep_their_places(model: str, transposed: bool) -> None:
    """A patch that changes shows at its place, row before column, in the first map where little has been mixed."""
    net = network(model).eval()
    images = pictures(model, 1)
    patch = images.shape[-1] // FAMILIES[model][3][0]
    row, column = (1, 0) if transposed else (0, 1)
    changed = images.clone()
    changed[:, :, row * patch : (row + 1) * patch, column * patch : (column + 1) * patch] += 30
    with torch.no_grad():
        difference = (net(changed).maps[0] - net(images).maps[0]).norm(dim=1)[0]
    assert divmod(int(difference.argmax()), difference.shape[1]) == (row, column)


@pytest.mark.parametrize("model", ["resnet18", "test_efficientnet", "test_vit", "test_convnext"])
def test_the_tap_trains_as_the_model_does(model: str) -> None:
    """With dropout, stochastic depth and batch statistics; every parameter gets the same gradient."""
    images = pictures(model)
    gradients = []
    for tapped in (True, False):
        net = network(model, drop_rate=0.3, drop_path_rate=0.3).train()
        torch.manual_seed(1)
        logits = net(images).logits if tapped else net.model(images)
        logits.square().sum().backward()
        gradients.append({name: p.grad for name, p in net.model.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name], msg=name)


@pytest.mark.parametrize("model", ["resnet18", "test_efficientnet", "test_convnext"])
def test_a_small_stem_keeps_the_resolution(model: str) -> None:
    plain, small = (create(architecture(model, {}, stem), recipe(32), CLASSES, 0).eval() for stem in ("timm", "small"))
    first = next(module for module in small.modules() if isinstance(module, nn.Conv2d))
    assert (first.stride, first.kernel_size, first.padding) == ((1, 1), (3, 3), (1, 1))
    images = torch.randn(2, 3, 32, 32)
    assert small(images).maps[small.stem].shape[2] == 32 >= 2 * plain(images).maps[plain.stem].shape[2]
    changed = {name for name, value in small.state_dict().items() if value.shape != plain.state_dict()[name].shape}
    assert len(changed) <= 1


def test_initial_weights_depend_on_seed_and_architecture_alone() -> None:
    def weights(seed: int = 0, name: str = "net", stem: str = "small", layers: int = 1, **fields: Any) -> str:
        options = {"layers": [layers, 1, 1, 1], "channels": [4, 4, 8, 8]}
        return weights_sha256(create(architecture("resnet18", options, stem, name), recipe(8, **fields), CLASSES, seed))

    torch.manual_seed(1)
    first = weights()
    torch.manual_seed(2)
    before = torch.get_rng_state()
    assert weights() == weights(name="other") == weights(epochs=3, batch_size=7, flip=True) == first
    assert torch.equal(torch.get_rng_state(), before)
    assert len({first, weights(seed=1), weights(stem="timm"), weights(layers=2)}) == 4


def test_layout_does_not_change_the_weights() -> None:
    plain, last = (
        create(architecture("resnet18", {"channels": [8, 8, 8, 8]}, "small"), recipe(8, channels_last=layout), 10, 0)
        for layout in (False, True)
    )
    assert weights_sha256(plain) == weights_sha256(last)
    convolution = next(module for module in last.modules() if isinstance(module, nn.Conv2d))
    assert convolution.weight.is_contiguous(memory_format=torch.channels_last)


def test_thin_strided_shortcuts_are_refused_in_channels_last() -> None:
    thin = architecture("resnet18", {"channels": [4, 4, 8, 8]}, "small")
    create(thin, recipe(8), 10, 0)
    with pytest.raises(UsageError, match=r"layer2.0.downsample.0 strides over 4 channels.*channels_last = false"):
        create(thin, recipe(8, channels_last=True), 10, 0)


def test_grey_networks_read_one_channel() -> None:
    assert check(architecture("test_efficientnet"), recipe(64, channels=1)).classes == 10


# The smallest member of timm's families, made smaller where its options allow it, and the sizes of its maps at 64
# pixels.
SHALLOW = {"depth": 2}
SAMPLE: list[tuple[str, dict[str, Any], list[int]]] = [
    ("cait_xxs24_224", SHALLOW, [4, 4]),
    ("convit_tiny", {"depth": 2, "local_up_to_layer": 1}, [4, 4]),
    ("convmixer_768_32", {}, [9] * 32),
    ("cs3darknet_focus_s", {}, [32, 16, 8, 4, 2]),
    ("deit_tiny_patch16_224", SHALLOW, [4, 4]),
    ("densenet121", {"block_config": [2, 2, 2, 2]}, [32, 16, 8, 4, 2]),
    ("dla46x_c", {}, [64, 32, 16, 8, 4, 2]),
    ("dpn48b", {}, [32, 16, 8, 4, 2]),
    ("edgenext_xx_small", {}, [16, 8, 4, 2]),
    ("efficientformerv2_s0", {}, [16, 8, 4, 2]),
    ("efficientnet_lite0", {}, [32, 16, 8, 4, 2]),
    ("efficientvit_b0", {}, [16, 8, 4, 2]),
    ("eva02_tiny_patch14_224", {"depth": 2, "patch_size": 16}, [4, 4]),
    ("fastvit_t8", {}, [16, 8, 4, 2]),
    ("gcvit_xxtiny", {}, [16, 8, 4, 2]),
    ("gmlp_ti16_224", {}, [4] * 30),
    ("hgnetv2_b0", {}, [16, 8, 4, 2]),
    ("hrnet_w18_small", {}, [32, 16, 8, 4, 2]),
    ("inception_next_atto", {}, [16, 8, 4, 2]),
    ("mixer_s32_224", {}, [2] * 8),
    ("mobilevit_xxs", {}, [32, 16, 8, 4, 2]),
    ("pit_xs_224", {}, [7, 4, 2]),
    ("pvt_v2_b0", {}, [16, 8, 4, 2]),
    ("regnetx_002", {}, [32, 16, 8, 4, 2]),
    ("repghostnet_050", {}, [32, 16, 8, 4, 2]),
    ("repvit_m0_9", {}, [16, 8, 4, 2]),
    ("resnest14d", {}, [32, 16, 8, 4, 2]),
    ("resnetv2_18", {}, [32, 16, 8, 4, 2]),
    ("rexnet_100", {}, [32, 16, 8, 4, 2]),
    ("skresnet18", {}, [32, 16, 8, 4, 2]),
    ("starnet_s050", {}, [16, 8, 4, 2]),
    ("swiftformer_xs", {}, [16, 8, 4, 2]),
    ("test_mambaout", {}, [16, 8, 4, 2]),
    ("vit_tiny_r_s16_p8_224", SHALLOW, [2, 2]),
    ("xcit_nano_12_p8_224", SHALLOW, [8, 8]),
]


@pytest.mark.parametrize(("model", "options", "sizes"), SAMPLE)
def test_any_timm_model_can_be_tapped(model: str, options: dict[str, Any], sizes: list[int]) -> None:
    net = create(architecture(model, options), recipe(64), CLASSES, seed=0).eval()
    images = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        outputs, direct = net(images), net.model(images)
    torch.testing.assert_close(outputs.logits, direct)
    torch.testing.assert_close(net.classifier(outputs.embedding), direct)
    assert [tuple(m.shape[2:]) for m in outputs.maps] == [(size, size) for size in sizes]
    assert outputs.embedding.shape[0] == outputs.pooled_map.shape[0] == 3
    assert len(outputs.stages(2)) == 2
    assert net.shapes(images).maps == tuple(tuple(m.shape[1:]) for m in outputs.maps)


@pytest.mark.parametrize("model", ["test_vit", "swin_tiny_patch4_window7_224", "gmixer_12_224"])
def test_maps_come_before_the_final_normalisation_and_the_embedding_after_it(model: str) -> None:
    net, images = network(model).eval(), pictures(model)
    before = net(images)
    with torch.no_grad():
        net.model.norm.weight.zero_()  # type: ignore[union-attr,operator]
    after = net(images)
    assert all(torch.equal(a, b) for a, b in zip(before.maps, after.maps, strict=True))
    assert (after.embedding - after.embedding[:1]).abs().max() < 1e-6 < (before.embedding - after.embedding).abs().max()


@pytest.mark.parametrize("model", ["efficientnet_lite0", "mobilenetv3_small_050", "cifar_mobilenetv2"])
def test_a_convolution_after_the_last_map_belongs_to_the_head(model: str) -> None:
    """The last map is the last block's; the input of pooling, where it comes after another convolution, is not."""
    net = create(architecture(model), recipe(64), CLASSES, seed=0)
    shapes = net.shapes(torch.zeros(1, 3, 64, 64))
    assert shapes.embedding > shapes.maps[-1][0]
    assert shapes.pooled_map[1:] == shapes.maps[-1][1:]


def test_several_classifiers_are_one_that_gives_their_mean() -> None:
    net = create(architecture("efficientformerv2_s0"), recipe(64), CLASSES, seed=0).eval()
    embedding = net(torch.randn(2, 3, 64, 64)).embedding
    one, other = net.model.get_classifier()  # type: ignore[operator]
    torch.testing.assert_close(net.classifier(embedding), (one(embedding) + other(embedding)) / 2)
    assert not [name for name in net.state_dict() if not name.startswith("model.")]


COLLAPSING = [("resnet18", 32, "timm"), ("resnet18", 8, "small"), ("test_convnext", 32, "timm")]


@pytest.mark.parametrize(("model", "size", "stem"), COLLAPSING)
def test_a_last_map_of_one_pixel_is_refused_unless_it_is_meant(model: str, size: int, stem: str) -> None:
    net = architecture(model, {}, stem)
    with pytest.raises(UsageError, match=rf"'net': {size} x {size} images leave {model} a last map of 1 x 1") as raised:
        check(net, recipe(size))
    message = str(raised.value)
    assert "input_size" in message
    assert 'collapsed_map = "accept"' in message
    assert ('stem = "small"' in message) == (stem == "timm")
    accepted = net.model_copy(update={"collapsed_map": "accept"})
    assert check(accepted, recipe(size)).maps[-1][1:] == (1, 1)
    assert check(net, recipe(4 * size)).maps[-1][1:] != (1, 1)  # the remedies
    if stem == "timm":
        assert check(net.model_copy(update={"stem": "small"}), recipe(size)).maps[-1][1:] != (1, 1)


def test_one_pixel_at_the_size_that_a_network_is_built_for_is_no_collapse() -> None:
    assert check(architecture("cifar_mhgd_vgg7"), recipe(32)).maps[-1] == (512, 1, 1)
    with pytest.raises(UsageError, match="a last map of 1 x 1"):
        check(architecture("cifar_mobilenetv2"), recipe(16))


def test_accepting_a_collapsed_map_is_in_the_run_and_not_in_its_id() -> None:
    plain = architecture("resnet18")
    accepted = plain.model_copy(update={"collapsed_map": "accept"})
    assert accepted.identity() == plain.identity()
    assert accepted.model_dump()["collapsed_map"] == "accept"


@pytest.mark.parametrize(
    ("model", "size", "options", "stem", "message"),
    [
        ("resnet17", 32, {}, "timm", r"'resnet17': did you mean resnet18 .*valid: \d+ names, see --list models"),
        ("resnet18", 32, {"depth_of_field": 3}, "timm", "'net': timm's resnet18: .*depth_of_field"),
        ("resnet18", 32, {"layers": "many"}, "timm", "'net': timm's resnet18: "),
        ("test_vit", 8, {}, "timm", "'net' does not take 8 x 8 images"),
        ("inception_v3", 32, {}, "timm", "'net' does not take 32 x 32 images"),
        ("test_vit", 32, {}, "small", "test_vit has patches: set its patch_size"),
        ("dla34", 32, {}, "small", "dla34 has a small stem already"),
        ("coat_tiny", 64, {}, "timm", "timm's CoaT: its classifier does not read one vector"),
        ("volo_d1_224", 64, {}, "timm", "'net': timm's VOLO: .* but several tokens or scales"),
    ],
)
def test_what_cannot_be_built_or_tapped_is_a_usage_error(
    model: str, size: int, options: dict[str, Any], stem: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message) as raised:
        check(architecture(model, options, stem), recipe(size))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("limit", "value", "message"),
    [
        ("MOST_TENSORS", 20, "'net': timm's resnet18: .*more than 20 tensors: fewer layers"),
        ("free_memory", lambda device: 2**20, "more than the 0.0 GiB of memory that are free"),
    ],
)
def test_what_would_fill_the_memory_is_refused_while_it_is_built(
    limit: str, value: Any, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(creation, limit, value)
    with pytest.raises(UsageError, match=message):
        create(architecture("resnet18"), recipe(32), 10, 0)


def test_model_names_are_timms() -> None:
    assert {"resnet18", "test_vit"} <= set(model_names())
