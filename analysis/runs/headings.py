"""What data sets are called where several have one name, so that no two of them ever share a heading."""

from collections.abc import Iterable, Mapping
from itertools import groupby

from benchmark.spec import Dataset, digest

Seen = tuple[str, str | None]
"""Hash of a data set's description and of its images, None where no run has seen them."""


def seen(dataset: Dataset, images: str | None = None) -> Seen:
    return digest(dataset.identified), images


def headings(found: Iterable[tuple[Dataset, str | None]]) -> Mapping[Seen, str]:
    """A heading for each data set and hash of its images: its name and, where others have the same, the fields in which
    they differ that are not at their default (`digits (train 200)`), then the images' hash. What was never seen goes
    with the first that was.
    """
    found = list(found)
    described = {digest(dataset.identified): dataset for dataset, _ in found}
    images: dict[str, list[str]] = {key: [] for key in described}
    for dataset, sha256 in found:
        if sha256 and sha256 not in images[digest(dataset.identified)]:
            images[digest(dataset.identified)].append(sha256)
    made: dict[Seen, str] = {}
    for _, members in groupby(sorted(described, key=lambda key: described[key].name), lambda key: described[key].name):
        keys = list(members)
        unlike = _unlike([described[key] for key in keys])
        for key in keys:
            name = _named(described[key], unlike)
            hashes = images[key]
            made |= {(key, each): name if len(hashes) == 1 else f"{name} (images {each[:8]})" for each in hashes}
            made[key, None] = made[key, hashes[0]] if hashes else name
    return made


def _unlike(datasets: list[Dataset]) -> list[str]:
    """Fields in which any two differ."""
    first, *others = [each.identified for each in datasets]
    return [name for name in type(datasets[0]).model_fields if any(first.get(name) != o.get(name) for o in others)]


def _named(dataset: Dataset, unlike: Iterable[str]) -> str:
    said = dataset.model_dump(include=set(unlike), exclude_defaults=True)
    listed = ", ".join(f"{name.replace('_', ' ')} {said[name]}" for name in unlike if name in said)
    return f"{dataset.name} ({listed})" if listed else dataset.name
