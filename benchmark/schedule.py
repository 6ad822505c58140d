"""The learning rate as a pure function of the recipe and the epoch. No torch here."""

import math

from benchmark.spec import Recipe


def learning_rate(recipe: Recipe, epoch: int) -> float:
    """The rate of an epoch, counted from 0.

    A linear warm-up comes first if the recipe has one, whose last epoch has the full rate: a single one changes
    nothing. A step schedule multiplies by `decay` from each milestone on. Cosine falls from the full rate towards 0 at
    the end; since the rate is an epoch's, the last of few epochs ends far from it.
    """
    if epoch < recipe.warmup_epochs:
        return recipe.learning_rate * (epoch + 1) / recipe.warmup_epochs
    if recipe.schedule == "step":
        return recipe.learning_rate * recipe.decay ** sum(epoch >= milestone for milestone in recipe.milestones)
    if recipe.schedule == "cosine":
        share = (epoch - recipe.warmup_epochs) / (recipe.epochs - recipe.warmup_epochs)
        return recipe.learning_rate * (1 + math.cos(math.pi * share)) / 2
    return recipe.learning_rate
