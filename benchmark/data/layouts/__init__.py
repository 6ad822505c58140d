"""Where a data set's images are: in the first of `LAYOUTS`, else in torchvision's own. A module each."""

from collections.abc import Callable
from pathlib import Path

from benchmark.data.layouts import folders, parquet, torchvision_layout
from benchmark.data.naming import enumerated, is_rubbish, refused
from benchmark.data.source import Source
from benchmark.ground.errors import UsageError, unknown
from benchmark.ground.files import expanded
from benchmark.spec import Dataset
from benchmark.spec.datasets import KNOWN

OWN = "digits"
"""Comes with scikit-learn."""

LAYOUTS: dict[str, Callable[[Path, Dataset], Source | None]] = {
    "train-*.parquet and test-*.parquet": parquet.find,
    "images as {train,val|test}/CLASS/*": lambda place, _: folders.find(place),
}
"""In which a folder may hold a data set, in words, and what finds one in it."""

PATH = 200
"""Characters of a path that a message shows."""


def names() -> list[str]:
    """The data sets that need no path."""
    return sorted([OWN, *KNOWN])


def find(dataset: Dataset, data_dir: Path | None, download: bool) -> Source:
    """The source of a data set: what its path names, else what lies below the data folder under its name.

    Raises UsageError for a name that is not known, if there are no images or they may not be read, and if columns are
    chosen of what has none. A data folder that is not there is not made: it may be a slip, and a download would land in
    it.
    """
    try:
        return _found(dataset, data_dir, download)
    except OSError as error:  # permissions, names that are too long, a network that is gone
        where = str(error.filename)[:PATH]
        raise refused(f"dataset {dataset.name!r}: {where} cannot be read: {error.strerror}") from None


def _found(dataset: Dataset, data_dir: Path | None, download: bool) -> Source:
    if data_dir is not None and dataset.name != OWN and not data_dir.is_dir():
        raise refused(f"the data folder {data_dir} does not exist; make it to have data sets downloaded there")
    known = KNOWN.get(dataset.name)
    if dataset.path is None and known is None and not (data_dir and (data_dir / dataset.name).is_dir()):
        raise refused(f"{unknown('dataset', dataset.name, names())}; any other needs path = ... in its entry")
    places = _places(dataset, data_dir)
    source = _first(dataset, places, data_dir, download)
    if source is None:
        raise _missing(dataset, data_dir, places)
    chosen = {"image_column": dataset.image_column, "label_column": dataset.label_column}
    if not source.choice and (columns := [f"{field} = {name!r}" for field, name in chosen.items() if name]):
        raise refused(
            f"dataset {dataset.name!r}: {' and '.join(columns)} chooses among the columns of Parquet files; "
            f"{source.location} holds none"
        )
    return source


def _first(dataset: Dataset, places: list[Path], data_dir: Path | None, download: bool) -> Source | None:
    known, roots = KNOWN.get(dataset.name), [place for place in places if place.is_dir()]
    for place in roots:
        for found_in in LAYOUTS.values():
            if source := found_in(place, dataset):
                return source
    if data_dir is not None and dataset.path is None:
        roots.append(data_dir)
    return torchvision_layout.find(roots, dataset.name, known, download) if known and roots else None


def _places(dataset: Dataset, data_dir: Path | None) -> list[Path]:
    path = expanded(dataset.path) if dataset.path is not None else None
    if path is not None and path.is_absolute():
        return [path]
    if data_dir is None:
        raise refused(f"dataset {dataset.name!r} needs --data-dir, the folder that holds it")
    if path is not None:
        return [data_dir / path]
    known = KNOWN.get(dataset.name)
    return [data_dir / folder for folder in (known.folders if known else (dataset.name,))]


def _missing(dataset: Dataset, data_dir: Path | None, places: list[Path]) -> UsageError:
    layouts = ", or ".join(LAYOUTS)
    known = KNOWN.get(dataset.name)
    found = " and ".join(map(_state, places))
    if dataset.path is not None or known is None:
        return refused(f"dataset {dataset.name!r}: {found}; needed is {layouts}")
    wanted = f"{layouts} in {' or '.join(map(str, places))}"
    if known.torchvision:
        wanted += (
            f", or what torchvision.datasets.{known.torchvision}({str(data_dir)!r}, download=True) leaves there, as "
            "--prepare does"
        )
    start = f"dataset {dataset.name!r} is not in {str(data_dir)!r}, or is damaged"
    return refused(f"{start}: needed is {wanted}; {found}")


def _state(place: Path) -> str:
    """What lies in a place where no data set was found."""
    if not place.is_dir():
        return f"{place} is {'no folder' if place.exists() or place.is_symlink() else 'not there'}"
    found = enumerated(sorted(path.name for path in place.iterdir() if not is_rubbish(path.name)), 5)
    return f"{place} holds {found or 'nothing'}, and no images with classes"
