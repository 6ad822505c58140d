"""Training FLOPs of finished records and measurements, counted again where grouped convolutions are trained."""

from collections.abc import Iterator
from pathlib import Path

import torch

from benchmark.cost.isolated import IsolatedRun, noise
from benchmark.cost.remeasure.results import Results
from benchmark.ground.files import json_files, read_table
from benchmark.plan.cells import cells
from benchmark.records.measurements import read
from benchmark.spec import Grid, Run, load_grid
from benchmark.training.count import training_flops
from benchmark.training.untrained import untrained

CPU = torch.device("cpu")


def remeasure(results: Results) -> None:
    """Raises UsageError for data or networks that cannot be had, and for files that are damaged."""
    counts = Counts(results)
    for record in results.records():
        old = record.cost.training_flops
        new = counts.of(record.run, "training") if old else None
        if old and new and new != old:
            results.say(f"{record.run_id}: training_flops {old} -> {new}, {old / new:.2f} times as many")
            results.change(record.run_id, "cost", {"training_flops": new})
    for path in json_files(results.folder.part("measured")):
        _measurements(path, results, counts)
    results.close()


def _measurements(path: Path, results: Results, counts: "Counts") -> None:
    grid = results.grid or load_grid(read(path).grid)
    runs = {(run.dataset.name, run.pair, run.student.name, run.label): run for run in _every_cell(grid)}
    raw = read_table(path)
    changed = False
    for row in raw["measurements"]:
        cell = row["dataset"], row["pair"], row["student"], row["method"]
        new = counts.of(runs[cell], "step") if cell in runs else None
        if new is not None and new != row["step_flops"]:
            results.say(f"{path.name}: {' '.join(cell)}: step_flops {row['step_flops']} -> {new}")
            row["step_flops"], changed = new, True
    if changed:
        results.write(path, raw)


class Counts:
    """FLOPs of trainings and steps; of runs that differ in their seeds alone counted once."""

    def __init__(self, results: Results) -> None:
        self.results = results
        self._known: dict[tuple[str, str], int | None] = {}

    def of(self, run: Run, what: str) -> int | None:
        """Of a run's training, or of a step of its main schedule; None if nothing was counted wrong."""
        teacher = run.teacher and run.teacher.model_copy(update={"seed": 0})
        run = run.model_copy(update={"seed": 0, "teacher": teacher})
        key = run.hash, what
        if key not in self._known:
            self._known[key] = self._count(run, what) if _grouped(run) else None
        return self._known[key]

    def _count(self, run: Run, what: str) -> int:
        splits = self.results.images(run.dataset)
        alone = _isolated(run, splits.classes)
        if what == "step":
            return alone.count()[0]
        images = len(splits.train.without(run.recipe.without_classes))
        return training_flops(alone.member, alone.teacher, alone.data, images)


def _isolated(run: Run, classes: int) -> IsolatedRun:
    """A run with untrained networks, on noise, which changes no count."""
    data = noise(run.recipe, classes, CPU)
    return IsolatedRun(run, data, classes, untrained(run.teacher, data, classes) if run.teacher else None)


def _grouped(run: Run) -> bool:
    """Whether anything that is trained has a grouped convolution, of which small batches tell."""
    alone = _isolated(run.model_copy(update={"recipe": run.recipe.model_copy(update={"batch_size": 4})}), classes=10)
    trained = (*alone.member.network.modules(), *alone.member.method.modules())
    return any(getattr(module, "groups", 1) > 1 for module in trained)


def _every_cell(grid: Grid) -> Iterator[Run]:
    """A grid's runs of one seed, and their teachers."""
    for run in cells(grid.model_copy(update={"methods": grid.all_methods, "seeds": grid.seeds[:1]})):
        yield run
        if run.teacher:
            yield run.teacher
