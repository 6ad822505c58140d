"""A grid of two pairs, and records of what was planned of it, of runs that nobody trained."""

from typing import Any

import fake_results as fake

from benchmark.plan.values import Plan
from benchmark.records import Cost, Folder, Record, Result
from benchmark.spec import Architecture, Dataset, Grid, Pair, Run

METHODS = ("student", "kd", "sp")


def grid(**changes: Any) -> Grid:
    """Two pairs under one teacher, one under another."""
    pairs = [("l", "s"), ("l", "t"), ("m", "s")]
    values: dict[str, Any] = {
        "name": "g",
        "datasets": [Dataset(name="digits"), Dataset(name="mnist")],
        "pairs": [Pair(teacher=teacher, student=student) for teacher, student in pairs],
        "architectures": {name: Architecture(name=name, model=f"model_{name}") for name in "lmst"},
        "methods": METHODS,
        "seeds": (0, 1),
        "recipe": fake.RECIPE,
        "teacher_recipe": fake.RECIPE,
    }
    return Grid(**{**values, **changes})


RESULTS = {"done": Result(top1=0.5), "diverged": Result(reason="not finite", diverged_epoch=0)}


def record(run: Run, seconds: float | None = None, status: str = "done") -> Record:
    """A run's record, trained in a cohort of two."""
    like = fake.record(fake.run())
    cost = Cost(cohort_seconds=seconds, cohort_size=2)
    result = RESULTS[status].model_copy(update={"teacher_id": run.teacher.id if run.teacher else None})
    values = {"run_id": run.id, "run": run, "status": status, "result": result, "cost": cost}
    return like.model_copy(update=values)


def finish(folder: Folder, plan: Plan, seconds: float | None = None) -> None:
    """Records of everything."""
    fake.write(folder.path, *(record(run, seconds) for run in plan.runs))
    fake.write(folder.teachers.path, *(record(teacher, seconds) for teacher in plan.teachers))
