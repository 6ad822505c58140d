"""Several methods as terms of one objective."""

import pytest
import torch
from method_tasks import STAGES, task

import methods
from methods.base import Batch, Outputs, Scalar
from methods.composition import Composition


def outputs(seed: int) -> Outputs:
    generator = torch.Generator().manual_seed(seed)
    maps = tuple(torch.randn(6, *shape, generator=generator) for shape in STAGES)
    return Outputs(torch.randn(6, 10, generator=generator), maps[-1].mean((2, 3)), maps, maps[-1])


def batch() -> Batch:
    return Batch(torch.arange(6) % 3, torch.arange(6), torch.tensor(0), torch.zeros(()), torch.Generator())


def test_composing_a_method_with_itself_is_an_error() -> None:
    with pytest.raises(methods.MethodError, match="with itself"):
        methods.components("kd+sp+kd")


def test_composition_uses_the_plain_sum_of_cross_entropy_and_terms() -> None:
    both = methods.load("kd+rkd_da", task())
    assert isinstance(both, Composition)
    assert both.ce_weight == 1
    assert methods.resolve("kd+rkd_da")["kd"] == {"temperature": 4.0, "ce": 1.0, "weight": 1.0, "t_squared": True}
    kd = methods.load("kd", task(), {"kd": {"weight": 1.0}})
    arguments = outputs(0), outputs(1), batch()
    expected = kd(*arguments) + methods.load("rkd_da", task())(*arguments)
    torch.testing.assert_close(both(*arguments), expected)


def test_kd_alone_weighs_cross_entropy() -> None:
    assert methods.load("kd", task()).ce_weight == 0.1
    assert methods.load("kd", task(), {"kd": {"ce": 0.5}}).ce_weight == 0.5


def test_an_override_wins_over_the_composed_default() -> None:
    resolved = methods.resolve("kd+sp", {"kd": {"weight": 0.3}, "fitnet": {"weight": 7.0}})
    assert resolved["kd"] == {"temperature": 4.0, "ce": 1.0, "weight": 0.3, "t_squared": True}
    assert resolved["sp"] == methods.resolve("sp")["sp"]
    resolved = methods.resolve("kd+sp", {"kd": {"t_squared": False}})
    assert resolved["kd"] == {"temperature": 4.0, "ce": 1.0, "weight": 1.0, "t_squared": False}


@pytest.mark.parametrize("name", ["kd", "fitnet_two_stage"])
def test_the_share_of_cross_entropy_is_a_methods_own_and_not_a_compositions(name: str) -> None:
    """It would be said in the record, the label and the run id, and change nothing."""
    overrides: dict[str, dict[str, Scalar]] = {name: {"ce": 0.5}}
    assert methods.load(name, task(), overrides).ce_weight == 0.5
    together = f"{name}+sp"
    assert methods.resolve(together, overrides) == methods.resolve(together)
    assert methods.label(together, methods.resolve(together, overrides)) == together
    assert methods.load(together, task(), overrides).ce_weight == 1
    with pytest.raises(methods.MethodError, match="ce"):
        methods.resolve(together, {name: {"ce": "much"}})


def test_composition_reads_what_its_terms_read() -> None:
    assert methods.reads("kd") == {"logits"}
    assert methods.reads("kd+rkd_da+sp") == {"logits", "embedding", "maps"}
    assert methods.revisions("kd+sp") == {"kd": 1, "sp": 1}


def test_own_parameters_of_terms_are_parameters_of_the_composition() -> None:
    own = dict(methods.load("kd+fitnet", task()).named_parameters())
    assert own
    assert all(".fitnet.regressor." in f".{name}" for name in own)
