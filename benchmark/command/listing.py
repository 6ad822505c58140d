"""What there is to choose from, and weights to take away. No torch here but for methods and models."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from benchmark.errors import COMPLETE, UsageError
from benchmark.spec import Scalar, grid_names, load_grid


def available(kind: str) -> list[str]:
    if kind == "grids":
        return [f"{name}: {load_grid(name).description}" for name in grid_names()]
    if kind == "models":
        from benchmark.models import model_names

        return model_names()
    import methods

    return [
        f"{name}{_defaults(methods.complete_options(name)[name])}: {methods.summary(name)}" for name in methods.names()
    ]


def _defaults(values: Mapping[str, Scalar]) -> str:
    """` (distance=0.0, angle=50.0)`: methods of one class differ in these alone."""
    return f" ({', '.join(f'{name}={value}' for name, value in values.items())})" if values else ""


def export(run_id: str, results: Path) -> int:
    """Copy a run's weights, which carry the run as metadata, to the working folder."""
    found = [path for path in results.glob("*/weights/*.safetensors") if path.stem == run_id]
    if not found:
        known = sorted(path.stem for path in results.glob("*/weights/*.safetensors"))
        shown = ", ".join(known[:5]) + (f" and {len(known) - 5} more" if len(known) > 5 else "")
        raise UsageError(
            f"no weights of run {run_id!r} below {results} (grids keep them with keep_weights = true); "
            f"kept: {shown or 'none'}"
        )
    target = Path(f"{run_id}.safetensors")
    if target.exists():
        raise UsageError(f"{target} exists; it is not overwritten")
    shutil.copyfile(found[0], target)
    print(f"wrote {target}; its metadata describes the run, its tensors load into the timm model named there")
    return COMPLETE
