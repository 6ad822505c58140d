"""Runs on real digits that train in a fraction of a second, and what of them has to be the same to the bit."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import tomli_w
import torch
from safetensors.torch import load_file, save_file

import methods
from benchmark.data import Resident, load
from benchmark.launch.job import Job, Work
from benchmark.models.weights import weights_sha256
from benchmark.records import Folder, Record
from benchmark.records.record import OF_TRAINED
from benchmark.spec import Architecture, Dataset, Grid, Pair, Recipe, Run
from benchmark.training.cohort import run_cohort
from benchmark.training.member import Member, build_student
from benchmark.training.teacher import Teacher, checked_teacher
from methods.base import Task

CPU = torch.device("cpu")
DATA = Dataset(name="digits", train=100, validation=20, test=100)
RECIPE = Recipe(epochs=2, batch_size=40, learning_rate=0.05, input_size=8, crop_padding=1, mean=(0.305,), std=(0.376,))
STEPS = 3
"""Steps of an epoch: two whole batches and a half one."""


def resnet(name: str, *channels: int) -> Architecture:
    options = {"layers": [1, 1, 1, 1], "channels": list(channels)}
    return Architecture(name=name, model="resnet18", stem="small", options=options)


DROPS = {"drop_rate": 0.2, "drop_path_rate": 0.2}
"""Dropout before the classifier and stochastic depth, under timm's names."""

RESNET = resnet("resnet", 8, 8, 8, 8)
VIT = Architecture(name="vit", model="test_vit", options={"patch_size": 4, **DROPS})
EFFICIENTNET = Architecture(
    name="efficientnet", model="test_efficientnet", stem="small", options={"channel_multiplier": 0.25, **DROPS}
)
TEACHER = Run(
    dataset=DATA,
    student=resnet("teacher", 8, 8, 16, 16),
    method="student",
    options=methods.resolve("student"),
    revisions=methods.revisions("student"),
    recipe=RECIPE.model_copy(update={"epochs": 12, "batch_size": 20, "learning_rate": 0.1}),
    seed=0,
    label="teacher",
)
GRID = Grid(
    name="grid",
    datasets=(DATA,),
    architectures={"teacher": TEACHER.student, "resnet": RESNET},
    pairs=(Pair(teacher="teacher", student="resnet"),),
    methods=("student",),
    recipe=RECIPE,
    teacher_recipe=TEACHER.recipe,
)


def run(
    method: str = "student",
    student: Architecture = RESNET,
    *,
    seed: int = 0,
    teacher: Run = TEACHER,
    options: dict[str, dict[str, Any]] = {},
    **recipe: Any,
) -> Run:
    """A student's run; `recipe` changes fields of RECIPE."""
    return Run(
        dataset=DATA,
        student=student,
        method=method,
        options=methods.resolve(method, options),
        revisions=methods.revisions(method),
        recipe=RECIPE.model_copy(update=recipe),
        seed=seed,
        teacher=teacher,
        label=method,
    )


def train(
    folder: Path,
    *runs: Run,
    grid: Grid = GRID,
    stop: Callable[[], bool] = lambda: False,
    report: Callable[[Sequence[Member]], None] = lambda members: None,
) -> bool:
    """Train runs as one cohort; their teacher lies in the folder `teachers` beside."""
    return run_cohort(Folder(folder), runs, grid, CPU, None, stop, report)


def run_alone(folder: Path, *runs: Run, stop: Callable[[], bool] = lambda: False) -> bool:
    """Train runs on labels alone without their teacher."""
    return run_cohort(Folder(folder), runs, GRID, CPU, None, stop, alone=True)


def job_for(results: Path, runs: Sequence[Run]) -> Job:
    """A planned grid and the job that trains these runs of it."""
    folder = Folder(results / "grid")
    for run in runs:
        folder.plan(run)
    (folder.path / "grid.toml").write_text(tomli_w.dumps(GRID.as_toml()))
    work = Work(str(folder.path), tuple(run.id for run in runs), TEACHER.id)
    return Job(str(folder.path), (work,), device="cpu", threads=1)


def stop_after(steps: int) -> Callable[[], bool]:
    """Asks for a stop when that many steps have been made."""
    asked = iter(range(1, steps + 1))
    return lambda: next(asked) == steps


def record(folder: Path, run: Run) -> Record:
    found = Folder(folder).record(run.id)
    assert found is not None, f"{run.id} has no record"
    return found


def bits(folder: Path, *runs: Run) -> list[tuple[str, bytes]]:
    """What may not depend on scheduling: run and result of each record, which hold the weights' hash, and the curve."""
    compared = []
    for each in runs:
        raw = json.loads(Folder(folder).record_path(each.id).read_bytes())
        assert raw["status"] == "done"
        compared.append((json.dumps([raw["run"], raw["result"]]), Folder(folder).curve_path(each.id).read_bytes()))
    return compared


def trained_members(folder: Path, *runs: Run) -> list[Member]:
    """Train a cohort and give its members as they are after the last epoch."""
    last: list[Member] = []
    assert train(folder, *runs, report=lambda members: last.__setitem__(slice(None), members))
    return last


def teacher(results: Path) -> Teacher:
    return checked_teacher(run(), Folder(results / "teachers"), load(DATA), CPU, expected=None)


def task_of(results: Path, run: Run) -> Task:
    """What a run's method knows under the trained teacher."""
    network, images = teacher(results).network, torch.zeros(2, 1, 8, 8)
    shapes = build_student(run, 10, CPU).shapes(images), network.shapes(images)
    return Task(*shapes, load(DATA).train.labels, run.recipe.epochs, network.classifier)


def change_record(results: Path, *, status: str = "done", **result: Any) -> None:
    """Overwrite fields of the teacher's record."""
    folder = Folder(results / "teachers")
    old = record(folder.path, TEACHER)
    lost = {"top5": 1.0} if status == "done" else dict.fromkeys(OF_TRAINED)
    changed = {"status": status, "result": old.result.model_copy(update={**lost, **result})}
    folder.finish(old.model_copy(update=changed), [])


def change_weights(results: Path, change: Callable[[dict[str, torch.Tensor]], None], *, honest: bool) -> None:
    """Overwrite the teacher's weights; an honest change is followed by the record: new hash, new accuracy."""
    path = Folder(results / "teachers").weights_path(TEACHER.id)
    weights = load_file(path)
    change(weights)
    save_file(weights, path)
    if honest:
        network = build_student(TEACHER, 10, CPU).eval()
        network.model.load_state_dict(weights)
        test = Resident(load(DATA).test, TEACHER.recipe, CPU)
        with torch.no_grad():
            top1 = float((network(test.batch(0, len(test))[0]).logits.argmax(1) == test.labels).double().mean())
        change_record(results, top1=top1, weights_sha256=weights_sha256(network.model))
