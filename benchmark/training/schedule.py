"""The learning rate as a pure function of the recipe and the step. No torch here."""

import math

from benchmark.spec import Recipe


def learning_rate(recipe: Recipe, step: int, steps: int = 1) -> float:
    """The rate of a step, counted from 0 over all epochs, of which each has so many steps.

    A linear warm-up comes first if the recipe has one, whose last epoch, or step, has the full rate; if rates change
    with the epoch, a warm-up of a single one therefore changes nothing. A step schedule multiplies by `decay` from each
    milestone on. Cosine falls from the full rate towards 0 at the end; the last of few epochs, if its rate is one, ends
    far from it.
    """
    epoch, ahead = (step // steps, 1.0) if recipe.rate_changes == "epoch" else (step / steps, 1 / steps)
    if epoch < recipe.warmup_epochs:
        return recipe.learning_rate * (epoch + ahead) / recipe.warmup_epochs
    if recipe.schedule == "step":
        return recipe.learning_rate * recipe.decay ** sum(epoch >= milestone for milestone in recipe.milestones)
    if recipe.schedule == "cosine":
        share = (epoch - recipe.warmup_epochs) / (recipe.epochs - recipe.warmup_epochs)
        return recipe.learning_rate * (1 + math.cos(math.pi * share)) / 2
    return recipe.learning_rate
