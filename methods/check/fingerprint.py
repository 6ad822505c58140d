"""Loss fingerprints: a method's losses in five steps on fixed data, so that no change of its numbers goes unnoticed.

`fingerprints.json` keeps them for the suite's own methods, with the revision that they belong to.
"""

import json
from pathlib import Path
from typing import Any

import torch

import methods
from methods.check.standins import CheckError, NotApplicableError, Subject, candidates, networks, steps, task

FILE = Path(__file__).parents[1] / "fingerprints.json"
TOLERANCE = 1e-4
"""Relative, and of the largest loss: rounding differs between machines by less than a hundredth of this."""


def fingerprint(name: str, dtype: torch.dtype = torch.float32) -> dict[str, list[float]]:
    """The losses on every pair of stand-ins that the method serves."""
    found = {}
    for pair in candidates(name):
        if methods.unsupported(name, task(pair)) is None:
            losses = steps(Subject(name, pair).build().to(dtype), pair, networks(pair)[0].to(dtype))
            found[pair.name] = [float(f"{value:.7g}") for value in losses]
    return found


def committed() -> dict[str, Any]:
    return json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}


def same(ours: dict[str, list[float]], theirs: dict[str, list[float]]) -> bool:
    if ours.keys() != theirs.keys() or any(len(ours[pair]) != len(theirs[pair]) for pair in ours):
        return False
    return all(
        abs(a - b) <= TOLERANCE * max(map(abs, theirs[pair]), default=0.0)
        for pair in ours
        for a, b in zip(ours[pair], theirs[pair], strict=True)
    )


def unchanged(name: str) -> str:
    """The losses are the committed ones of this revision."""
    parts = methods.components(name)
    if len(parts) > 1:
        raise NotApplicableError("kept for single methods")
    entry, known = methods.entry(name), committed().get(name)
    update = f"python -m methods.check {name} --update"
    if known is None:
        own = name in methods.names(installed=False)
        raise NotApplicableError(f"none committed yet: {update}" if own else "a method from another package")
    revision, equal = entry.method.revision, same(fingerprint(name), known["losses"])
    if revision == known["revision"] and not equal:
        where = f"{entry.method.__module__}.{entry.method.__qualname__}"
        remedy = f"unless this is a mistake, raise `revision` of {where} to {revision + 1}, then: {update}"
        raise CheckError(f"the loss is no longer that of revision {revision}", remedy)
    if revision != known["revision"]:
        seen = f"revision is {revision}, the committed fingerprint is of revision {known['revision']}"
        raise CheckError(seen, update)
    return f"as committed for revision {revision}"


def update(name: str) -> str:
    """Commit a method's fingerprint. Raises CheckError where the loss changed and the revision did not."""
    if name not in methods.names(installed=False):
        raise CheckError(f"{name} is no method of the suite's own", "fingerprints.json keeps single, own methods")
    known, entry = committed(), methods.entry(name)
    new = {"revision": entry.method.revision, "losses": fingerprint(name)}
    old = known.get(name)
    if old and old["revision"] == new["revision"]:
        return unchanged(name)
    lines = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in sorted({**known, name: new}.items())]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    return f"committed for revision {new['revision']}"
