"""The small-image networks: sizes as published, timm's interface, and maps where the published code taps them."""

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from waves import make_wavy, wave

from benchmark.ground.libraries import timm
from benchmark.models import Network, check, create, model_names
from benchmark.spec import Architecture, Recipe
from benchmark.training.count import inference_macs, parameter_count


def maps(*channels: int, sizes: tuple[int, ...] = (32, 32, 16, 8)) -> tuple[tuple[int, int, int], ...]:
    return tuple((c, size, size) for c, size in zip(channels, sizes, strict=True))


RESNET, X4 = maps(16, 16, 32, 64), maps(32, 64, 128, 256)
VGG = maps(64, 128, 256, 512, 512, sizes=(32, 16, 8, 4, 4))
MHGD_VGG = maps(64, 128, 256, 512, 512, sizes=(16, 8, 4, 2, 1))


MLPS = {"mlp_30": 24_790, "mlp_300": 328_810, "mlp_800": 1_276_810, "mlp_1200": 2_395_210}
"""Parameters of 784 pixels, two hidden layers and ten classes: 785 w + (w + 1) w + (w + 1) 10."""


def wide(width: float) -> tuple[tuple[int, int, int], ...]:
    return maps(16, *(int(c * width) for c in (16, 32, 64)))


# Parameters, MACs of one image and maps, counted in the published code run with 100 classes (graph distillation's: 10)
# on an image of 32 pixels; MHGD's VGGs, whose code is not public, by hand. Then the input of pooling and the embedding
# where they are not the last map's.
PUBLISHED: dict[str, tuple[Any, ...]] = {
    "resnet8": (83_892, 12_507_392, RESNET),
    "resnet14": (181_108, 26_663_168, RESNET),
    "resnet20": (278_324, 40_818_944, RESNET),
    "resnet32": (472_756, 69_130_496, RESNET),
    "resnet44": (667_188, 97_442_048, RESNET),
    "resnet56": (861_620, 125_753_600, RESNET),
    "resnet110": (1_736_564, 253_155_584, RESNET),
    "resnet8x4": (1_233_540, 177_071_104, X4),
    "resnet32x4": (7_433_860, 1_083_040_768, X4),
    "resnet50": (23_705_252, 1_298_014_208, maps(64, 256, 512, 1024, 2048, sizes=(32, 32, 16, 8, 4))),
    "wrn_10_4": (1_221_940, 166_142_976, wide(4)),
    "wrn_16_1": (180_916, 26_663_168, wide(1)),
    "wrn_16_2": (703_284, 101_118_464, wide(2)),
    "wrn_16_4": (2_772_020, 392_635_392, wide(4)),
    "wrn_16_8": (11_007_540, 1_548_191_744, wide(8)),
    "wrn_22_4": (4_322_100, 619_127_808, wide(4)),
    "wrn_28_10": (36_536_884, 5_243_386_368, wide(10)),
    "wrn_40_1": (569_780, 83_286_272, wide(1)),
    "wrn_40_2": (2_255_156, 327_610_880, wide(2)),
    "wrn_40_4": (8_972_340, 1_298_605_056, wide(4)),
    "vgg8": (3_965_028, 96_192_512, VGG),
    "vgg11": (9_277_284, 209_438_720, VGG),
    "vgg13": (9_462_180, 284_936_192, VGG),
    "vgg16": (14_774_436, 398_182_400, VGG),
    "vgg19": (20_086_692, 511_428_608, VGG),
    "mobilenetv2": (812_836, 6_523_648, maps(16, 12, 16, 48, 160, sizes=(16, 16, 8, 4, 2)), (1280, 2, 2), 1280),
    "shufflenetv1": (949_258, 38_691_456, maps(24, 240, 480, 960, sizes=(32, 16, 8, 4))),
    "shufflenetv2": (1_355_528, 44_504_448, maps(24, 116, 232, 464, sizes=(32, 16, 8, 4)), (1024, 4, 4), 1024),
    "gkd_wrn_28_0p5": (94_154, 14_795_072, wide(0.5)),
    "gkd_wrn_28_1": (369_690, 54_968_960, wide(1)),
    "gkd_wrn_28_10": (36_481_434, 5_243_328_768, wide(10)),
    "mhgd_resnet8": (1_233_540, 177_071_104, X4),
    "mhgd_resnet32": (7_433_860, 1_083_040_768, X4),
    "mhgd_vgg7": (4_538_596, 68_456_448, MHGD_VGG, (512, 1, 1), 1024),
    "mhgd_vgg16": (16_392_100, 314_871_808, MHGD_VGG, (512, 1, 1), 1024),
}

GENERAL = {"cifar_wrn": {"depth": 16, "width": 2}, "cifar_gkd_wrn": {"depth": 28, "width": 0.5}}
"""Entries that take any depth and width, and options that make them a published network."""

FAMILIES = ("resnet8", "resnet50", "wrn_16_1", "vgg8", "mobilenetv2", "shufflenetv1", "shufflenetv2", "mhgd_vgg7")
"""One network of every class."""


def network(name: str, classes: int = 100, **options: Any) -> nn.Module:
    torch.manual_seed(0)
    model: nn.Module = timm.create_model(f"cifar_{name}", num_classes=classes, **options)
    return model.eval()


def pictures(count: int = 2, size: int = 32) -> Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(0))


def test_every_small_image_network_is_listed_and_none_takes_a_name_of_timms() -> None:
    ours = set(timm.list_models(module="small_image_network"))
    assert ours == {f"cifar_{name}" for name in PUBLISHED} | set(GENERAL) | {"mlp", *MLPS}
    assert ours <= set(model_names())
    assert not [name for name in set(model_names()) - ours if name.startswith("cifar_")]


@pytest.mark.parametrize("name", PUBLISHED)
def test_sizes_are_the_published_ones(name: str) -> None:
    parameters, macs, shapes, *rest = PUBLISHED[name]
    pooled_map, embedding = rest or (shapes[-1], shapes[-1][0])
    tapped = Network(network(name, 10 if "gkd" in name else 100)).eval()
    assert parameter_count(tapped) == parameters
    assert inference_macs(tapped, pictures(1)) == macs
    found = tapped.shapes(pictures(1))
    assert (found.maps, found.pooled_map, found.embedding) == (shapes, pooled_map, embedding)
    assert found.stem == (0 if "mhgd_vgg" in name else 1)


@pytest.mark.parametrize(("entry", "name"), [("cifar_wrn", "wrn_16_2"), ("cifar_gkd_wrn", "gkd_wrn_28_0p5")])
def test_general_entries_take_any_depth_and_width(entry: str, name: str) -> None:
    general = timm.create_model(entry, num_classes=7, **GENERAL[entry])
    assert general.state_dict().keys() == network(name, 7).state_dict().keys()
    assert parameter_count(general) == parameter_count(network(name, 7))
    for depth in (4, 17, 20):
        with pytest.raises(ValueError, match=f"depth = {depth} is not 6n"):
            timm.create_model(entry, depth=depth)


@pytest.mark.parametrize("name", FAMILIES)
def test_they_obey_timms_interface(name: str) -> None:
    model: Any = network(name, 7)
    images = pictures()
    last, features = model.forward_intermediates(images)
    torch.testing.assert_close(model.forward_features(images), last)
    torch.testing.assert_close(model.forward_head(last), model(images))
    torch.testing.assert_close(model.get_classifier()(model.forward_head(last, pre_logits=True)), model(images))
    for info, feature in zip(model.feature_info, features, strict=True):
        assert feature.shape[1:] == (info["num_chs"], 32 // info["reduction"], 32 // info["reduction"])
        assert info["module"] == "stem" or model.get_submodule(info["module"]) is not None
    assert last.shape[1] == model.num_features
    assert model.forward_head(last, pre_logits=True).shape[1] == model.head_hidden_size
    chosen = model.forward_intermediates(images, indices=[1, -2], stop_early=True, intermediates_only=True)
    assert [id_of(chosen[i], features) for i in (0, 1)] == [1, len(features) - 2]
    assert len(model.forward_intermediates(images, indices=2, intermediates_only=True)) == 2
    model.reset_classifier(3)
    assert model(images).shape == (2, 3)
    model.reset_classifier(0)
    torch.testing.assert_close(model(images), model.forward_head(last, pre_logits=True))


def id_of(feature: Tensor, features: list[Tensor]) -> int:
    (found,) = (i for i, other in enumerate(features) if other.shape == feature.shape and torch.equal(other, feature))
    return found


@pytest.mark.parametrize("name", FAMILIES)
def test_they_take_grey_and_larger_images_and_dropout(name: str) -> None:
    model = network(name, 7, in_chans=1, drop_rate=0.5)
    images = pictures(2, 64)[:, :1]
    assert model(images).shape == (2, 7)
    assert torch.equal(model(images), model(images))
    assert not torch.equal(model.train()(images), model(images))


def test_vgg_pools_a_fourth_time_at_64_pixels_only() -> None:
    tapped = Network(network("vgg8"))
    for size, last in ((32, 4), (64, 4), (16, 2)):
        assert tapped.shapes(pictures(1, size)).maps[-1] == (512, last, last)


# What the published code gives, run in float64 and training mode on `waves`: the mean magnitude of every map and of the
# embedding (graph distillation's code gives two maps and the embedding), and three logits of the first image. Those of
# ResNet-50 are left out: on these inputs a change of 1e-15 in the images moves them by 5e-4, and so does a processor.
GOLDEN: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "resnet20": ((0.446756, 1.027806, 0.974804, 1.001147, 1.001147), (0.298204, -0.576509, -0.159561)),
    "resnet50": ((0.447458, 1.021474, 1.155562, 1.445890, 0.966849, 0.966849), ()),
    "wrn_16_2": ((1.417288, 5.581273, 0.456546, 0.198905, 0.338935), (-0.135947, 0.136878, -0.135700)),
    "vgg8": ((0.447458, 0.438373, 0.428423, 0.389929, 0.393939, 0.393939), (-0.033460, -0.004877, 0.026164)),
    "mobilenetv2": ((0.445050, 1.096085, 1.308534, 1.369904, 0.813026, 0.406849), (0.015739, -0.016121, 0.013123)),
    "shufflenetv1": ((0.450168, 1.109264, 1.800923, 1.436899, 1.436899), (0.501593, -0.154384, -0.630610)),
    "shufflenetv2": ((0.450168, 0.409075, 0.390543, 0.403950, 0.399521), (-0.005428, 0.032348, -0.031963)),
    "gkd_wrn_28_1": ((1.182143, 1.164344, 1.237405), (0.093459, -0.058576, -0.179030)),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_they_compute_what_the_published_code_computes(name: str) -> None:
    """Weights are waves too, numbered in the order of the parameters, which is the published one."""
    model: Any = network(name, 10).double().train()
    make_wavy(model)
    with torch.no_grad():
        last, features = model.forward_intermediates(wave(4 * 3 * 32 * 32, 0.13).view(4, 3, 32, 32))
        embedding = model.forward_head(last, pre_logits=True)
        logits = model.get_classifier()(embedding)[0]
    expected, head = GOLDEN[name]
    taps = features[1:-1] if name.startswith("gkd") else features
    assert [float(tap.abs().mean()) for tap in (*taps, embedding)] == pytest.approx(expected, abs=1e-6)
    assert logits[: len(head)].tolist() == pytest.approx(head, abs=1e-6)


SIGNED = {
    "resnet8": (False, False, False, False),
    "gkd_wrn_28_1": (False, False, False, False),
    "resnet50": (False,) * 5,
    "wrn_16_1": (True, True, True, True),
    "vgg8": (False,) * 5,
    "mhgd_vgg7": (False,) * 5,
    "mobilenetv2": (False, True, True, True, True),
    "shufflenetv1": (False,) * 4,
    "shufflenetv2": (False,) * 4,
}
"""Whether each map can be negative: raw sums in wide ResNets and linear bottlenecks, after a ReLU elsewhere."""


@pytest.mark.parametrize("name", SIGNED)
def test_maps_are_tapped_before_or_after_the_relu_as_published(name: str) -> None:
    model: Any = network(name)
    last, features = model.forward_intermediates(pictures())
    assert tuple(bool((feature < 0).any()) for feature in features) == SIGNED[name]
    assert all(bool((feature == 0).any()) for feature, signed in zip(features, SIGNED[name], strict=True) if not signed)
    assert (last >= 0).all()
    assert (model.forward_head(last, pre_logits=True) >= 0).all()


def test_a_wide_resnet_normalises_and_rectifies_before_pooling() -> None:
    """Its last map is the raw sum of the last block; its shortcut reads what the first ReLU gives."""
    model: Any = network("wrn_16_2")
    model.bn1.running_mean.fill_(0.3)
    last, features = model.forward_intermediates(pictures())
    torch.testing.assert_close(last, model.bn1(features[-1]).relu())
    assert not torch.equal(last, features[-1].relu())
    first, x = model.block2.layer[0], features[1]
    rectified = first.bn1(x).relu()
    residual = first.conv2(first.bn2(first.conv1(rectified)).relu())
    torch.testing.assert_close(first(x), first.convShortcut(rectified) + residual)


def convolutions(model: nn.Module) -> Iterator[nn.Conv2d]:
    """The ones with enough weights to tell their standard deviation."""
    found = (module for module in model.modules() if isinstance(module, nn.Conv2d))
    return (module for module in found if module.weight.numel() > 1000)


@pytest.mark.parametrize("name", FAMILIES)
def test_convolutions_start_as_published(name: str) -> None:
    """Fan-out normal, except for MHGD's fan-in truncated normal and PyTorch's uniform in the ShuffleNets."""
    for convolution in convolutions(network(name)):
        weight, area = convolution.weight.detach(), math.prod(convolution.kernel_size)
        expected = math.sqrt(2 / (area * convolution.out_channels))
        if name.startswith("mhgd"):
            expected = math.sqrt(2 / (area * convolution.in_channels))
        if name.startswith("shufflenet"):
            expected = math.sqrt(1 / (3 * area * weight.shape[1]))
            assert weight.abs().max() <= expected * math.sqrt(3) * 1.0001
        assert float(weight.std()) == pytest.approx(expected, rel=0.12)
        if convolution.bias is not None:
            assert not convolution.bias.any()


@pytest.mark.parametrize(
    ("name", "std", "biased"),
    [
        ("resnet20", 1 / math.sqrt(3 * 64), True),
        ("wrn_16_1", 1 / math.sqrt(3 * 64), False),
        ("vgg8", 0.01, False),
        ("mobilenetv2", 0.01, False),
        ("shufflenetv1", 1 / math.sqrt(3 * 960), True),
        ("mhgd_resnet8", math.sqrt(2 / 100), False),
        ("gkd_wrn_28_1", 1 / math.sqrt(3 * 64), True),
    ],
)
def test_classifiers_start_as_published(name: str, std: float, biased: bool) -> None:
    classifier = network(name).get_classifier()  # type: ignore[operator]
    assert float(classifier.weight.detach().std()) == pytest.approx(std, rel=0.05)
    assert bool(classifier.bias.any()) == biased


@pytest.mark.parametrize("name", ["resnet20", "resnet50"])
def test_no_residual_branch_starts_at_zero(name: str) -> None:
    norms = [module for module in network(name).modules() if isinstance(module, nn.BatchNorm2d)]
    assert all(bool((norm.weight == 1).all()) for norm in norms)


def test_they_are_architectures_of_a_grid() -> None:
    recipe = Recipe(epochs=1, batch_size=2, learning_rate=0.1, input_size=16, mean=(0.5,) * 3, std=(0.5,) * 3)
    architecture = Architecture(name="net", model="cifar_wrn", options={"depth": 10, "width": 1})
    assert check(architecture, recipe, classes=5).maps == maps(16, 16, 32, 64, sizes=(16, 16, 8, 4))


@pytest.mark.parametrize("name", MLPS)
def test_a_perceptrons_hidden_layers_are_its_maps_and_embedding(name: str) -> None:
    width, recipe = int(name.partition("_")[2]), perceptron_recipe(28)
    architecture = Architecture(name=name, model=name)
    shapes = check(architecture, recipe)
    assert (shapes.maps, shapes.embedding, shapes.stem) == (((width, 1, 1),) * 2, width, 0)
    network = create(architecture, recipe, 10, seed=0).eval()
    assert parameter_count(network) == MLPS[name]
    images = wave(3 * 28 * 28, 0.1).view(3, 1, 28, 28).float()
    first, second = (layer.weight for layer in network.model.hidden)
    biases = [layer.bias for layer in network.model.hidden]
    hidden = (images.flatten(1) @ first.T + biases[0]).relu()
    expected = (hidden @ second.T + biases[1]).relu()
    outputs = network(images)
    torch.testing.assert_close(outputs.maps[0][:, :, 0, 0], hidden)
    torch.testing.assert_close(outputs.embedding, expected)
    torch.testing.assert_close(outputs.logits, network.classifier(expected))


def test_a_perceptron_of_other_images_and_layers() -> None:
    options = {"hidden": [50, 40, 30]}
    shapes = check(Architecture(name="own", model="mlp", options=options, collapsed_map="accept"), perceptron_recipe(8))
    assert shapes.maps == ((50, 1, 1), (40, 1, 1), (30, 1, 1))


def test_a_perceptrons_dropout_is_of_pixels_and_of_hidden_units() -> None:
    options = {"drop_rate": 0.5, "input_drop_rate": 0.2}
    network = create(Architecture(name="own", model="mlp_300", options=options), perceptron_recipe(28), 10, 0).train()
    images = torch.ones(400, 1, 28, 28)
    seen: list[Tensor] = []
    for layer in (*network.model.hidden, network.classifier):
        layer.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    outputs = network(images)
    kept = [float((x > 0).float().mean()) for x in seen]
    before = [1.0, *(float((m > 0).float().mean()) for m in outputs.maps)]
    expected = [0.8 * before[0], 0.5 * before[1], 0.5 * before[2]]
    assert kept == pytest.approx(expected, abs=0.01)
    torch.testing.assert_close(seen[0].max(), torch.tensor(1 / 0.8))


def perceptron_recipe(size: int) -> Recipe:
    return Recipe(epochs=1, batch_size=4, learning_rate=0.1, input_size=size, mean=(0.13,), std=(0.31,))
