"""Files of weights, as runs and others leave them, and architectures that start from them."""

from pathlib import Path
from typing import Any

import pytest
import tiny
from torch import nn

from benchmark.ground.errors import UsageError
from benchmark.models import create
from benchmark.models.weights import pin, save_weights
from benchmark.spec import Architecture, Grid, Recipe


def grid_of(**architectures: Architecture) -> Grid:
    return tiny.GRID.model_copy(update={"architectures": architectures})


def pinned(architecture: Architecture) -> Architecture:
    return pin(grid_of(net=architecture)).architectures["net"]


def trained(seed: int = 7) -> nn.Module:
    """A network whose weights are not the ones that `create` would draw, batch statistics included."""
    model = create(tiny.RESNET, tiny.RECIPE, 10, seed).model
    for name, buffer in model.named_buffers():
        if name.endswith("running_mean"):
            buffer.fill_(0.1)
    return model


def exported(path: Path, **recipe: Any) -> Path:
    """What `--export` gives of a run with these fields of the recipe."""
    save_weights(path, trained(), tiny.run("student", **recipe))
    return path


def refused(message: str, architecture: Architecture, recipe: Recipe = tiny.RECIPE, classes: int = 10) -> None:
    with pytest.raises(UsageError, match=message) as raised:
        create(architecture, recipe, classes, seed=0)
    assert "\n" not in str(raised.value)
