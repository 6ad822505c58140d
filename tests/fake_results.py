"""Results folders with made-up numbers: a student's accuracy depends on its pair, method and seed."""

from pathlib import Path
from typing import Any

from benchmark.records import Cost, Folder, Provenance, Record, Result
from benchmark.records.measurements import Measured, Measurement
from benchmark.records.measurements import write as write_measured
from benchmark.spec import Architecture, Dataset, Recipe, Run

METHODS = ("student", "kd", "fitnet", "rkd_d", "rkd_a", "rkd_da", "sp", "gkd")
GAINS = dict(zip(METHODS, (0.0, 0.021, 0.008, 0.012, 0.015, 0.024, 0.017, 0.031), strict=True))
STUDENTS = {"resnet_s": (0.902, 12_400, 310_000), "mixer_s": (0.871, 30_100, 640_000)}
"""Accuracy alone, parameters and MACs."""

TEACHERS = {"resnet_l": (0.9639, 702_000, 14_800_000), "vit_l": (0.9694, 655_000, 21_300_000)}
PAIRS = (("resnet_l", "resnet_s"), ("vit_l", "mixer_s"))
RECIPE = Recipe(epochs=30, batch_size=64, learning_rate=0.05, input_size=16, mean=(0.3,), std=(0.3,))


def run(
    method: str = "kd",
    seed: int = 0,
    pair: tuple[str, str] = PAIRS[0],
    *,
    dataset: str = "digits",
    teacher_seed: int = 0,
    epochs: int = 30,
    **fields: Any,
) -> Run:
    teacher, student = (Architecture(name=name, model=name) for name in pair)
    data = Dataset(name=dataset, validation=200)
    taught_by = Run(dataset=data, student=teacher, method="student", recipe=RECIPE, seed=teacher_seed)
    recipe = RECIPE.model_copy(update={"epochs": epochs})
    names = {"pair": "_".join(pair), "label": method, **fields}
    return Run(dataset=data, student=student, method=method, recipe=recipe, seed=seed, teacher=taught_by, **names)


def records(values: dict[str, tuple[float, ...]], **result: Any) -> list[Record]:
    """Of runs with these accuracies in percent by method, a seed each."""
    return [
        record(run(method, seed), value / 100, **result)
        for method, accuracies in values.items()
        for seed, value in enumerate(accuracies)
    ]


def record(run: Run, top1: float | None = None, *, status: str = "done", **result: Any) -> Record:
    """A run's record; without a top1 the accuracy is made up from its pair, method and seed."""
    assert run.teacher is not None
    accuracy, parameters, macs = STUDENTS.get(run.student.name, (0.9, 20_000, 400_000))
    teacher_top1, teacher_parameters, teacher_macs = TEACHERS[run.teacher.student.name]
    if top1 is None:
        top1 = accuracy + GAINS.get(run.label, 0.01) + 0.001 * ((7 * run.seed + len(run.label)) % 5 - 2)
    images = 1_000 * run.recipe.epochs
    flops = images * (6 * macs + (0 if run.method == "student" else 2 * teacher_macs))
    why = {} if status == "done" else {"reason": "it was made up"}
    taught = {"teacher_id": run.teacher.id, "teacher_weights_sha256": "aa", "teacher_top1": teacher_top1}
    return Record(
        run_id=run.id,
        status=status,
        run=run,
        result=Result(**{"top1": top1 if status == "done" else None, "data_sha256": "dd", **taught, **why, **result}),
        cost=Cost(
            parameters=parameters,
            macs=macs,
            teacher_parameters=teacher_parameters,
            teacher_macs=teacher_macs,
            training_flops=flops,
            student_seconds=10.0 + run.seed,
            teacher_seconds=4.0,
            cohort_size=8,
        ),
        provenance=Provenance(
            finished="2025-01-01T00:00:00+00:00",
            host="laptop",
            device="2-core CPU",
            threads=2,
            deterministic=True,
            code="0000000",
            versions={},
        ),
    )


def write(path: Path, *records: Record, planned: tuple[Run, ...] = ()) -> Path:
    """A results folder of these records; with planned runs it says that those and the recorded ones were planned."""
    folder = Folder(path)
    for each in records:
        folder.finish(each, [{"epoch": 0, "train_loss": 1.0}])
    if planned:
        for each in (*planned, *(record.run for record in records)):
            folder.plan(each)
    return path


def full_grid(path: Path, *, dataset: str = "digits") -> Path:
    """Two pairs x eight methods x three seeds, all done."""
    runs = [run(method, seed, pair, dataset=dataset) for pair in PAIRS for method in METHODS for seed in range(3)]
    return write(path, *map(record, runs), planned=tuple(runs))


def measure(
    path: Path,
    device: str = "2-core CPU",
    *,
    methods: tuple[str, ...] = METHODS,
    times: float = 1.0,
    joules_per_flop: float | None = None,
) -> None:
    """What `benchmark.cost` might have measured of a folder's cells; `times` slower than the device that needs 1 ns for
    a MAC.
    """
    folder = Folder(path)
    cells = {(each.run.pair, each.run.label): each for each in folder.records()[0] if each.run.label in methods}
    [first, *_] = cells.values()
    found = Measured(
        grid=path.name,
        provenance=first.provenance.model_copy(update={"device": device}),
        clock="processor",
        measurements=tuple(_measurement(each, times, joules_per_flop) for each in cells.values()),
    )
    write_measured(folder, found)


def _measurement(record: Record, times: float, joules_per_flop: float | None) -> Measurement:
    run, cost = record.run, record.cost
    assert run.teacher
    assert cost.parameters
    assert cost.macs
    flops = 6 * cost.macs * run.recipe.batch_size
    step = 1e-9 * times * flops
    return Measurement(
        dataset=run.dataset.name,
        pair=run.pair,
        teacher=run.teacher.student.name,
        student=run.student.name,
        method=run.label,
        kind="",
        batch_size=run.recipe.batch_size,
        step_seconds=step,
        teacher_seconds=0.0,
        images_per_second=run.recipe.batch_size / step,
        phase_epochs=0,
        phase_step_seconds=0.0,
        step_flops=flops,
        step_joules=None if joules_per_flop is None else joules_per_flop * flops,
        memory_bytes=12 * cost.parameters + 1_000 * (METHODS.index(run.label) + 1),
        parameters=cost.parameters,
        macs=cost.macs,
        latency_seconds=1e-9 * times * cost.macs,
        inference_batch_size=128,
        inference_images_per_second=1e9 / times / cost.macs,
        rounds=3,
        busy=0.0,
    )
