"""Learning rates, by the epoch and by the step."""

import pytest
import tiny
from hypothesis import given
from hypothesis import strategies as st

from benchmark.spec import Recipe
from benchmark.training.schedule import learning_rate


def recipe(**values: object) -> Recipe:
    return Recipe.model_validate({**tiny.RECIPE.model_dump(), "learning_rate": 1.0, **values})


@st.composite
def recipes(draw: st.DrawFn) -> Recipe:
    epochs = draw(st.integers(1, 12))
    schedule = draw(st.sampled_from(["constant", "cosine", "step"] if epochs > 1 else ["constant", "cosine"]))
    milestones = draw(st.sets(st.integers(1, epochs - 1), min_size=1)) if schedule == "step" else ()
    warmup = draw(st.integers(0, epochs - 1))
    return recipe(epochs=epochs, schedule=schedule, milestones=sorted(milestones), warmup_epochs=warmup)


@given(recipes(), st.integers(1, 20))
def test_both_ways_agree_where_an_epoch_begins(by_epoch: Recipe, steps: int) -> None:
    """After the warm-up, whose steps rise from 0 to the full rate where its epochs rise from its first to it."""
    by_step = by_epoch.model_copy(update={"rate_changes": "step"})
    for epoch in range(by_epoch.epochs):
        rates = [learning_rate(by_epoch, epoch * steps + step, steps) for step in range(steps)]
        assert len(set(rates)) == 1, "of one epoch"
        assert 0 < rates[0] <= 1.0
        if epoch >= by_epoch.warmup_epochs:
            assert learning_rate(by_step, epoch * steps, steps) == pytest.approx(rates[0])
        else:
            assert learning_rate(by_step, (epoch + 1) * steps - 1, steps) == pytest.approx(rates[0])


@given(recipes(), st.integers(1, 20))
def test_rates_rise_to_the_full_one_and_never_rise_again(drawn: Recipe, steps: int) -> None:
    by_step = drawn.model_copy(update={"rate_changes": "step"})
    warmup = drawn.warmup_epochs * steps
    rates = [learning_rate(by_step, step, steps) for step in range(drawn.epochs * steps)]
    assert rates[:warmup] == sorted(rates[:warmup])
    assert rates[warmup:] == sorted(rates[warmup:], reverse=True)
    assert max(rates) <= 1.0 + 1e-12
    assert min(rates) > 0


def test_cosine_over_few_epochs_comes_down_only_step_by_step() -> None:
    last = {unit: learning_rate(recipe(epochs=2, rate_changes=unit), 199, 100) for unit in ("epoch", "step")}
    assert last["epoch"] == pytest.approx(0.5)
    assert last["step"] < 1e-3
