"""How many kernels a training step starts, by the published protocol's first pair, resnet32x4 -> resnet8x4: the
teacher's forward, and each method's own step in the main schedule. Counted on a CPU by a tape, which leaves views and
allocations out; the batch's size does not matter, and the casts of a lower precision come on top.

python -P tests/launches.py writes the budget again, which only a commit that says why may do.
"""

import json
from functools import partial
from pathlib import Path
from unittest.mock import patch

import torch

import methods
from benchmark.cost.isolated import noise
from benchmark.models import create
from benchmark.plan.cells import cells
from benchmark.spec import load_grid
from benchmark.training.capture import GRAPHS
from benchmark.training.member import Member, build_student, build_task
from benchmark.training.step import step_inputs, supply
from benchmark.training.teacher import Frozen
from methods.check.tape import Tape

COMMITTED = Path(__file__).with_suffix(".json")
CPU, CLASSES = torch.device("cpu"), 100


def launches() -> dict[str, int]:
    grid = load_grid("cifar100")
    grid = grid.model_copy(update={"methods": tuple(methods.names(installed=False)), "seeds": (0,)})
    runs = [run for run in cells(grid) if run.pair == "resnet32x4_resnet8x4"]
    recipe = runs[0].recipe.model_copy(update={"batch_size": 2})
    data = noise(recipe, CLASSES, CPU, 2)
    assert runs[0].teacher is not None
    teacher = Frozen(create(runs[0].teacher.student, recipe, CLASSES, 0, pretrained=False), CPU)
    found: dict[str, int] = {}
    with patch.dict(GRAPHS, {"cpu": Tape}):
        for run in runs:
            run = run.model_copy(update={"recipe": recipe})
            network = build_student(run, CLASSES, CPU)
            member = Member(run, build_task(run, network, teacher.network, data), network, CPU, data.steps)
            now = step_inputs([member], data, data.views(0, 0), 0, 0)
            tape = Tape()
            supplied = tape.record(partial(supply, [member], teacher, now.images))
            found["the teacher's forward"] = max(found.get("the teacher's forward", 0), len(tape.calls))
            member.enter(0)
            compute = partial(member.compute, now.images, now.batch(member, teacher), supplied)
            member.announce()
            compute()  # what is made once is not counted
            tape = Tape()
            tape.record(compute)
            found[run.method] = len(tape.calls)
    return dict(sorted(found.items()))


if __name__ == "__main__":
    COMMITTED.write_text(json.dumps(launches(), indent=2) + "\n")
