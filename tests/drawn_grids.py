"""Results folders that stretch the figures: a published grid in full, tiny ones, long names, holes. Numbers made up."""

import math
from collections.abc import Sequence
from pathlib import Path
from random import Random

import fake_results as fake

from benchmark.records import Folder, Record
from benchmark.spec import Architecture, Dataset, Recipe, Run

STUDENTS = {
    "resnet20": (69.1, 278_324, 41_200_000),
    "resnet32": (71.1, 472_756, 69_900_000),
    "wrn_40_1": (72.0, 569_780, 84_200_000),
    "wrn_16_2": (73.3, 703_284, 101_900_000),
    "mobilenet_v2": (64.6, 812_836, 6_600_000),
    "shufflenet_v1": (70.5, 949_258, 41_000_000),
    "resnet8x4": (72.5, 1_233_540, 177_900_000),
    "shufflenet_v2": (71.8, 1_355_528, 46_200_000),
    "vgg8": (70.4, 3_965_028, 96_600_000),
}
"""Accuracy alone in percent, parameters, MACs."""

TEACHERS = {
    "wrn_40_2": (75.6, 2_255_156, 329_000_000),
    "resnet56": (72.3, 861_620, 127_000_000),
    "resnet110": (74.3, 1_736_564, 255_000_000),
    "resnet32x4": (79.4, 7_433_860, 1_083_000_000),
    "vgg13": (74.6, 9_462_180, 285_000_000),
    "resnet50": (79.3, 23_705_252, 1_305_000_000),
}

PAIRS = (
    ("wrn_40_2", "wrn_16_2"),
    ("wrn_40_2", "wrn_40_1"),
    ("resnet56", "resnet20"),
    ("resnet110", "resnet20"),
    ("resnet110", "resnet32"),
    ("resnet32x4", "resnet8x4"),
    ("vgg13", "vgg8"),
    ("vgg13", "mobilenet_v2"),
    ("resnet50", "mobilenet_v2"),
    ("resnet50", "vgg8"),
    ("resnet32x4", "shufflenet_v1"),
    ("resnet32x4", "shufflenet_v2"),
    ("wrn_40_2", "shufflenet_v1"),
)
"""The thirteen pairs that the field compares on CIFAR-100."""

GAINS = {
    "student": 0.0,
    "kd": 1.6,
    "fitnet": 0.2,
    "fitnet_two_stage": 0.9,
    "rkd_d": 0.9,
    "rkd_a": 0.7,
    "rkd_da": 1.1,
    "sp": 1.3,
    "gkd": -0.4,
    "mhgd": 0.8,
    "kd+rkd_da": 2.3,
    "crd": 2.6,
}
"""Points that a method adds on average."""

RECIPE = Recipe(epochs=60, batch_size=64, learning_rate=0.05, input_size=32, mean=(0.5,) * 3, std=(0.3,) * 3)


def record(dataset: str, pair: tuple[str, str], method: str, seed: int) -> Record:
    """A finished run; an average method gains more where its pair suits it, and the more the more it transfers."""
    names = [Architecture(name=name, model=name) for name in pair]
    data = Dataset(name=dataset)
    teacher = Run(dataset=data, student=names[0], method="student", recipe=RECIPE, seed=0)
    run = Run(
        dataset=data,
        student=names[1],
        method=method,
        label=method,
        pair="_".join(pair),
        recipe=RECIPE,
        seed=seed,
        teacher=teacher,
    )
    alone, parameters, macs = STUDENTS.get(pair[1], (70.0, 500_000, 50_000_000))
    teacher_accuracy, teacher_parameters, teacher_macs = TEACHERS.get(pair[0], (77.0, 5_000_000, 500_000_000))
    suits = Random(f"{dataset} {pair} {method}").gauss(0, 0.7 if method != "student" else 0)
    luck = Random(f"{dataset} {pair} {method} {seed}").gauss(0, 0.25) + Random(f"{pair} {seed}").gauss(0, 0.2)
    gain = GAINS.get(method, 0.5) + suits
    noise = Random(f"{run.id} relation")
    relation = {
        name: min(1.0, base + slope * gain + noise.gauss(0, 0.03))
        for name, base, slope in (
            ("distance_correlation", 0.55, 0.06),
            ("angle_correlation", 0.6, 0.04),
            ("cka", 0.7, 0.03),
            ("neighbour_overlap", 0.35, 0.02),
        )
    }
    made = fake.record(
        fake.run(seed=seed),
        (alone + gain + luck) / 100,
        teacher_top1=teacher_accuracy / 100,
        teacher_weights_sha256=pair[0],
        **relation,
    )
    images = 50_000 * RECIPE.epochs
    extra = Random(f"{pair} {method} cost").uniform(1.0, 1.15)
    flops = images * (6 * macs * extra + (0 if method == "student" else 2 * teacher_macs))
    cost = made.cost.model_copy(
        update={
            "parameters": parameters,
            "macs": macs,
            "teacher_parameters": teacher_parameters,
            "teacher_macs": teacher_macs,
            "training_flops": round(flops),
            "student_seconds": images * macs * extra / 2e11,
            "teacher_seconds": images * teacher_macs / 6e11,
        }
    )
    result = made.result.model_copy(update={"teacher_id": teacher.id})
    return made.model_copy(update={"run": run, "run_id": run.id, "cost": cost, "result": result})


def curve(record: Record) -> list[dict[str, float | int | None]]:
    """Accuracies that rise to the record's, noisily and ever more slowly; validation every fifth epoch."""
    noise = Random(record.run_id)
    last = record.result.top1 or 0.1
    rows = []
    for epoch in range(RECIPE.epochs):
        reached = last * (1 - 0.8 * math.exp(-epoch / 9)) * (1 - 0.02 * noise.random() * (1 - epoch / RECIPE.epochs))
        validated = (epoch + 1) % 5 == 0
        rows.append(
            {
                "epoch": epoch,
                "learning_rate": 0.05,
                "train_loss": 3 * (1 - reached),
                "train_top1": min(1.0, reached * 1.1),
                "validation_top1": reached if validated else None,
            }
        )
    return rows


def write(
    path: Path,
    pairs: Sequence[tuple[str, str]] = PAIRS,
    methods: Sequence[str] = tuple(GAINS),
    seeds: int = 5,
    *,
    dataset: str = "cifar100",
) -> Path:
    """A results folder of every pair x method x seed, with curves."""
    folder = Folder(path)
    for pair in pairs:
        for method in methods:
            for seed in range(seeds):
                made = record(dataset, pair, method, seed)
                folder.finish(made, curve(made))
    return path
