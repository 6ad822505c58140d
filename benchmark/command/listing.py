"""What there is to choose from, and weights to take away. No torch here but for methods and models."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.ground.errors import COMPLETE, UsageError, first_of, unknown
from benchmark.launch.slurm.profile import PROFILES
from benchmark.spec import GRIDS, STANDARD, Control, Grid, grid_names, load_grid
from benchmark.spec.datasets import DIGITS_IMAGES, KNOWN, DatasetInfo

if TYPE_CHECKING:
    from benchmark.metrics import Metric


def available(kind: str, grid: str) -> list[str]:
    """A line for each: grids, methods, models, metrics, data sets known by name, and the controls of a grid."""
    if kind == "controls":
        return _controls(load_grid(grid), grid)
    if kind == "grids":
        return [f"{name}: {load_grid(name).description}" for name in grid_names()]
    if kind == "datasets":
        own = f"digits: 10 classes, {DIGITS_IMAGES:,} images, comes with scikit-learn"
        return [own, *(f"{name}: {_sizes(known)}" for name, known in sorted(KNOWN.items()))]
    if kind == "metrics":
        from benchmark.metrics import METRICS

        return [_metric(metric) for metric in METRICS.values()]
    if kind == "models":
        from benchmark.models import model_names

        return model_names()
    import methods

    return [
        " ".join(filter(None, (f"{name}{_defaults(name)}:", methods.idea(name), methods.summary(name))))
        for name in methods.names()
    ]


def _defaults(method: str) -> str:
    """` (distance=0.0, angle=50.0)`: methods of one class differ in these alone."""
    import methods

    values = methods.complete_options(method)[method]
    return f" ({', '.join(f'{name}={value}' for name, value in values.items())})" if values else ""


def _sizes(known: DatasetInfo) -> str:
    places = f"DIR/{known.folders[0]}" + (", else as torchvision downloads it" if known.torchvision else "")
    return f"{known.classes} classes, {known.train:,} training and {known.test:,} test images; {places}"


def _metric(metric: "Metric") -> str:
    """`nll (nats × 100, lower is better): negative log-likelihood ...; needs logits, labels`."""
    needs = ", ".join(metric.needs)
    return f"{metric.name} ({metric.unit.symbol}, {metric.better} is better): {metric.meaning}; needs {needs}"


def _controls(grid: Grid, name: str) -> list[str]:
    own = [_control(grid, control) for control in grid.control] or [f"grid {name!r} has no [[control]]"]
    return [*own, f'by name, as control = ["random"], any grid has: {", ".join(STANDARD)}']


def _control(grid: Grid, control: Control) -> str:
    """`kd@born_again: teacher = 'student'`: what differs from the method alone."""
    differs = control.model_dump(exclude={"name", "methods"}, exclude_defaults=True)
    names = ", ".join(f"{method}@{control.name}" for method in grid.under(control))
    return f"{names}: {', '.join(f'{key} = {value}' for key, value in differs.items())}"


def shown(name: str) -> str:
    """A grid or profile that comes with the suite, as it stands, but that it names its schema wherever it is copied to.

    Raises UsageError for a name that neither has.
    """
    found = {path.stem: path for folder in (GRIDS, PROFILES) for path in folder.glob("*.toml")}
    if name not in found:
        raise unknown("grid or profile", name, found)
    schema, _, text = found[name].read_text(encoding="utf-8").partition("\n")
    start, _, place = schema.partition(" ")
    return f"{start} {(found[name].parent / place).resolve().as_uri()}\n{text}"


def export(run_id: str, results: Path) -> int:
    """Copy a run's weights, which carry the run as metadata, to the working folder."""
    found = [path for path in results.glob("*/weights/*.safetensors") if path.stem == run_id]
    if not found:
        known = sorted(path.stem for path in results.glob("*/weights/*.safetensors"))
        raise UsageError(
            f"no weights of run {run_id!r} below {results} (grids keep them with keep_weights = true); "
            f"kept: {first_of(known, 5) or 'none'}"
        )
    target = Path(f"{run_id}.safetensors")
    if target.exists():
        raise UsageError(f"{target} exists; it is not overwritten")
    shutil.copyfile(found[0], target)
    print(f"wrote {target}; its metadata describes the run, its tensors load into the timm model named there")
    return COMPLETE
