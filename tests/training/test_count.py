"""FLOPs of training steps by count: grouped convolutions cost what they compute."""

import pytest
import tiny
import torch
from torch import nn

from benchmark.cost.measure import IsolatedRun, noise
from benchmark.spec import Architecture
from benchmark.training.count import flop_counter, inference_macs
from benchmark.training.untrained import untrained


def forward_and_step(network: nn.Module, images: torch.Tensor) -> tuple[int, int]:
    """FLOPs of a forward, and of a forward with the backward that follows."""
    with flop_counter() as forward, torch.no_grad():
        network(images)
    with flop_counter() as whole:
        network(images).sum().backward()
    return forward.get_total_flops(), whole.get_total_flops()


@pytest.mark.parametrize("kind", [nn.Conv2d, nn.ConvTranspose2d])
@pytest.mark.parametrize("groups", [1, 4, 64])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_grouped_convolutions_step_is_three_forwards(kind: type[nn.Conv2d], groups: int, stride: int) -> None:
    """Forward, gradient of the images, gradient of the weight: each the same products."""
    layer = kind(64, 64, 3, stride=stride, padding=1, groups=groups)
    forward, whole = forward_and_step(layer, torch.zeros(2, 64, 8, 8, requires_grad=True))
    places = 4 * 4 if (kind, stride) == (nn.Conv2d, 2) else 8 * 8  # of the map that the kernel moves over
    assert forward == 2 * 2 * places * 64 * (64 // groups) * 9
    assert whole == 3 * forward


def test_what_needs_no_gradient_is_not_counted() -> None:
    layer = nn.Conv2d(8, 8, 3, groups=8)
    forward, whole = forward_and_step(layer, torch.zeros(1, 8, 5, 5))
    assert whole == 2 * forward
    layer.weight.requires_grad_(False)
    assert forward_and_step(layer, torch.zeros(1, 8, 5, 5, requires_grad=True))[1] == 2 * forward


def test_a_depthwise_networks_step_is_three_forwards_less_the_gradient_of_its_images() -> None:
    mobile = Architecture(name="mobile", model="cifar_mobilenetv2")
    run = tiny.run("student", mobile, batch_size=2, input_size=32)
    data = noise(run.recipe, 10, tiny.CPU)
    assert run.teacher
    alone = IsolatedRun(run, data, 10, untrained(run.teacher, data, 10))
    stem = next(each for each in alone.member.network.modules() if isinstance(each, nn.Conv2d))
    macs = inference_macs(alone.member.network, data.batch(0, 1)[0])
    of_stem = 16 * 16 * stem.weight.numel()
    assert alone.count()[0] == run.recipe.batch_size * 2 * (3 * macs - of_stem)
