"""How long runs will take, from what runs of their kind took, or from measured steps. Imports torch for the method
registry, nothing else of it."""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import median

import methods
from benchmark.plan.values import Forecast, Plan
from benchmark.records import Folder, Record
from benchmark.records.measurements import Measurement, read_all
from benchmark.spec import Architecture, Dataset, Run, digest
from benchmark.spec.datasets import DIGITS_CLASSES, DIGITS_IMAGES, KNOWN

STEP_FIELDS = frozenset({"batch_size", "input_size", "mean", "precision", "teacher_precision", "channels_last"})
"""Fields of a recipe that the time of a step depends on; of `mean`, how many channels there are."""


@dataclass(frozen=True)
class Seconds:
    """A run's own device time, and the teacher's, which a cohort spends once."""

    own: float
    teacher: float
    origin: str

    @property
    def alone(self) -> float:
        return self.own + self.teacher


def step_key(run: Run) -> str:
    """Hash of what the time of a step depends on: networks, method, batches, precision. Options are left out."""
    teacher = run.teacher.student if run.teacher and _reads(run.method) else None
    recipe = {name: getattr(run.recipe, name) for name in sorted(STEP_FIELDS)} | {"mean": run.recipe.channels}
    return digest([_shape(run.student), teacher and _shape(teacher), run.method, recipe])


@lru_cache
def _reads(method: str) -> bool:
    """Of a method that is not installed any more, whatever: no run that can be planned is of its kind."""
    try:
        return bool(methods.reads(method))
    except methods.MethodError:
        return True


def _shape(architecture: Architecture) -> list[object]:
    return [architecture.model, architecture.options, architecture.stem]


def images_of_an_epoch(run: Run) -> int | None:
    """How many images an epoch shows, None if that is not known. Classes that are left out count as equally large, and
    for nothing where it is not known how many there are."""
    images, classes = training_images(run.dataset), _classes(run.dataset.name)
    if images is None or classes is None:
        return images
    return round(images * (1 - len(run.recipe.without_classes) / classes))


def _classes(dataset: str) -> int | None:
    if dataset == "digits":
        return DIGITS_CLASSES
    return KNOWN[dataset].classes if dataset in KNOWN else None


def training_images(dataset: Dataset) -> int | None:
    """How many there are; None for a data set that is not known by name and does not say."""
    if dataset.train is not None:
        return dataset.train
    if dataset.name in KNOWN:
        return KNOWN[dataset.name].train - dataset.validation
    if dataset.name == "digits":
        return DIGITS_IMAGES - dataset.validation - (dataset.test or 0)
    return None


def forecasts(runs: Sequence[Run], folder: Folder) -> dict[str, Seconds]:
    """By run id, for those runs of which something is known.

    The first of: records of the folder and its teachers, its measured steps, and both in the reference results of the
    same grid. Time is proportional to images x epochs, so that a run of another length or on another data set serves.
    """
    known: dict[str, Seconds] = {}
    reference = Folder(folder.path.parent / "reference" / folder.path.name)
    for source in (folder, reference):
        if len(known) < len(runs):
            known = _from_records(runs, [*source.records()[0], *source.teachers.records()[0]]) | known
        if len(known) < len(runs):
            known = _from_steps(runs, source) | known
    return known


def forecast(plan: Plan, folder: Folder, not_applicable: Container[str] = ()) -> Forecast:
    """Of a plan's missing teachers, then of its cohorts, each spending its teacher's time once. Runs that are known not
    to be applicable, by id, take none."""
    trained = [*((teacher,) for teacher in plan.missing_teachers), *(cohort.runs for cohort in plan.cohorts)]
    missing = {run.id for run in (*plan.missing_teachers, *plan.missing) if run.id not in not_applicable}
    cohorts = [[run for run in runs if run.id in missing] for runs in trained]
    runs = [run for cohort in cohorts for run in cohort]
    known = forecasts(runs, folder)
    costs = [[known[run.id] for run in cohort if run.id in known] for cohort in cohorts]
    seconds = sum(sum(cost.own for cost in each) + max(cost.teacher for cost in each) for each in costs if each)
    basis = tuple(dict.fromkeys(cost.origin for each in costs for cost in each))
    return Forecast(seconds, basis, tuple(run for run in runs if run.id not in known))


def _from_records(runs: Sequence[Run], records: Sequence[Record]) -> dict[str, Seconds]:
    """From runs of the same kind, on the same images if there are any; a cohort's seconds are shared out evenly. Of
    several the median, as some may have trained beside other work."""
    rates: dict[tuple[str, str | None], list[float]] = {}
    for record in records:
        run, cost = record.run, record.cost
        if cost.cohort_seconds is None or not cost.cohort_size or not run.recipe.epochs:
            continue
        epoch = cost.cohort_seconds / cost.cohort_size / run.recipe.epochs
        rates.setdefault((step_key(run), _shown(run)), []).append(epoch)
        if images := images_of_an_epoch(run):
            rates.setdefault((step_key(run), None), []).append(epoch / images)
    found = {}
    for run in runs if rates else ():
        images = images_of_an_epoch(run)
        if epoch_rates := rates.get((step_key(run), _shown(run))):
            found[run.id] = Seconds(run.recipe.epochs * median(epoch_rates), 0.0, "earlier runs")
        elif images and (image_rates := rates.get((step_key(run), None))):
            found[run.id] = Seconds(run.recipe.epochs * images * median(image_rates), 0.0, "earlier runs")
    return found


def _shown(run: Run) -> str:
    return digest([run.dataset.identified, run.recipe.without_classes])


def _from_steps(runs: Sequence[Run], folder: Folder) -> dict[str, Seconds]:
    """From the measured steps of the same kind, by the first device that has it."""
    steps: dict[str, tuple[Measurement, str]] = {}
    for measured in read_all(folder):
        for each in measured.measurements:
            steps.setdefault(each.kind, (each, measured.origin))
    found = {}
    for run in runs if steps else ():
        images = images_of_an_epoch(run)
        if images and (entry := steps.get(step_key(run))):
            each, origin = entry
            count = images / each.batch_size
            own = run.recipe.epochs * (each.step_seconds - each.teacher_seconds)
            own += each.phase_epochs * each.phase_step_seconds
            found[run.id] = Seconds(count * own, count * run.recipe.epochs * each.teacher_seconds, origin)
    return found
