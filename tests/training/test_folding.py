"""Folded batch normalisation: the same network, in fewer kernels."""

import pytest
import tiny
import torch
from torch import Tensor, nn

from benchmark.models import Network, create
from benchmark.spec import Architecture
from benchmark.training.device import autocast
from benchmark.training.folding import TAPS, folded, lean
from benchmark.training.teacher import Frozen

LEFT = {
    "cifar_resnet8": 0,
    "cifar_resnet8x4": 0,
    "cifar_vgg8": 0,
    "cifar_wrn_16_2": 7,
    "cifar_mobilenetv2": 0,
    "cifar_shufflenetv1": 0,
    "cifar_shufflenetv2": 0,
    "resnet10t": 0,
}
"""Normalisations that stay: of a wide residual network those of sums, which begin a block and end the network."""


def network(model: str) -> Network:
    """Untrained, with statistics as of training."""
    made = create(Architecture(name="one", model=model), tiny.RECIPE, 10, 0, pretrained=False)
    generator = torch.Generator().manual_seed(0)
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.running_mean, module.running_var, module.weight.data, module.bias.data):
                assert tensor is not None
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))
    return made.eval()


def images() -> Tensor:
    size, channels = tiny.RECIPE.input_size, tiny.RECIPE.channels
    return torch.randn(3, channels, size, size, generator=torch.Generator().manual_seed(1))


def norms(network: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())


@pytest.mark.parametrize("model", sorted(LEFT))
@torch.no_grad()
def test_a_folded_network_is_the_same_to_rounding(model: str) -> None:
    whole = network(model).double()
    lean = folded(whole, images()[:1].double())
    assert norms(lean) == LEFT[model]
    ours, theirs = (each(images().double(), TAPS) for each in (lean, whole))
    for tap in TAPS:
        torch.testing.assert_close(getattr(ours, tap), getattr(theirs, tap), rtol=1e-9, atol=1e-9)
    assert not any(parameter.requires_grad for parameter in lean.parameters())


@torch.no_grad()
def test_weights_in_bfloat16_are_what_autocast_makes_of_them() -> None:
    whole = folded(network("cifar_resnet8"), images()[:1])
    cast = lean(whole, images()[:1], "bfloat16")
    assert {p.dtype for p in cast.parameters()} == {torch.bfloat16}
    assert {p.dtype for p in lean(whole, images()[:1], "tf32").parameters()} == {torch.float32}
    with autocast(tiny.CPU, "bfloat16"):
        ours, theirs = (each(images()).logits for each in (cast, whole))
    assert torch.equal(ours, theirs)


def test_what_something_else_reads_is_not_folded() -> None:
    made = network("cifar_resnet8")
    made.model.layer1[0].conv2 = made.model.layer1[0].conv1  # called twice
    assert norms(folded(made, images()[:1])) == 2


class Standardised(nn.Conv2d):
    """By its weights divided by their spread, as timm's StdConv2d: of a factor in them nothing is left."""

    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(x, self.weight / self.weight.std((1, 2, 3), keepdim=True), self.bias)


@torch.no_grad()
def test_a_convolution_that_does_more_is_left_as_it_is() -> None:
    made = network("cifar_resnet8")
    made.model.layer1[0].conv1.__class__ = Standardised
    made.model.layer1[0].conv2.__class__ = Standardised
    cut = lean(made, images()[:1], "float32")
    assert norms(cut) == 2
    torch.testing.assert_close(cut(images()).logits, made(images()).logits, rtol=1e-4, atol=1e-4)
    kept = lean(made, images()[:1], "bfloat16").model.layer1[0]
    assert [kept.conv1.weight.dtype, kept.downsample] == [torch.float32, made.model.layer1[0].downsample]


@torch.no_grad()
def test_a_normalisation_of_two_names_is_folded_under_both() -> None:
    made = network("cifar_resnet8")
    made.model.norm = made.model.bn1
    cut = folded(made, images()[:1])
    assert [type(cut.model.norm), type(cut.model.bn1)] == [nn.Identity, nn.Identity]
    torch.testing.assert_close(cut(images()).logits, made(images()).logits, rtol=1e-4, atol=1e-4)


def test_a_cpu_keeps_the_network_and_a_gpu_folds_it_once_for_each_precision() -> None:
    made = network("cifar_resnet8")
    frozen = Frozen(made, tiny.CPU)
    assert frozen.serving(images(), "bfloat16") is made
    frozen.device = torch.device("cuda")
    first = frozen.serving(images(), "bfloat16")
    assert first is frozen.serving(images(), "bfloat16") is not frozen.serving(images(), "float32")
    assert norms(first) == 0 < norms(made)
