"""Maps before their last activation, which a network gives only if asked."""

import pytest
import torch

from benchmark.models.network import Network
from benchmark.models.small_images import timm

NETWORKS = {
    "cifar_resnet8x4": {},
    "cifar_resnet50": {},
    "cifar_vgg8": {},
    "cifar_shufflenetv1": {},
    "cifar_shufflenetv2": {},
    "cifar_gkd_wrn_28_1": {},
    "cifar_mhgd_vgg7": {},
    "mlp_30": {"img_size": 28, "in_chans": 3},
    "cifar_mobilenetv2": {},
    "cifar_wrn_16_2": {},
}
LINEAR = {"cifar_mobilenetv2": range(1, 5), "cifar_wrn_16_2": range(1)}
"""Maps that no activation gives: they are their own pre-activations."""


def made(name: str) -> tuple[Network, torch.Tensor]:
    torch.manual_seed(0)
    size = 28 if name.startswith("mlp") else 32
    return Network(timm.create_model(name, **NETWORKS[name])).train(), torch.randn(2, 3, size, size)


@pytest.mark.parametrize("name", NETWORKS)
def test_maps_are_the_rectified_preactivations(name: str) -> None:
    """And nothing else of the network changes."""
    network, images = made(name)
    torch.manual_seed(1)
    plain = network(images)
    assert plain.preacts == ()
    network, images = made(name)
    torch.manual_seed(1)
    asked = network(images, {"preacts"})
    assert torch.equal(asked.logits, plain.logits)
    for i, (before, after) in enumerate(zip(asked.preacts, asked.maps, strict=True)):
        if i in LINEAR.get(name, ()):
            assert before is after
        elif "_wrn_16" not in name:
            assert torch.equal(before.relu(), after)
        assert (before < 0).any()


def test_a_wide_resnets_sums_are_normalised_as_the_next_block_does_it() -> None:
    network, images = made("cifar_wrn_16_2")
    outputs = network(images, {"preacts"})
    assert torch.equal(outputs.preacts[-1].relu(), outputs.pooled_map)
    after = {name: value.clone() for name, value in network.state_dict().items()}
    network, images = made("cifar_wrn_16_2")
    network(images)
    assert all(torch.equal(value, after[name]) for name, value in network.state_dict().items())
