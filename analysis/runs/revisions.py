"""Which records are stale: made by code that has been revised since, so that it would give other numbers now."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from benchmark.spec import PROTOCOL_REVISION, Run


@dataclass(frozen=True)
class Revisions:
    """The newest revisions known: of the protocol, of methods by name, of architectures by their model."""

    protocol: int
    methods: Mapping[str, int]
    models: Mapping[str, int]

    @classmethod
    def newest(cls, runs: Iterable[Run]) -> "Revisions":
        """Of the installed suite and of these runs, whichever is newer: others' methods are known by runs only."""
        protocol, methods, models = PROTOCOL_REVISION, dict(_installed()), dict[str, int]()
        for run in runs:
            protocol = max(protocol, run.protocol)
            for name, revision in run.revisions.items():
                methods[name] = max(revision, methods.get(name, 0))
            for network in (run.student, *([run.teacher.student] if run.teacher else [])):
                models[network.model] = max(network.revision, models.get(network.model, 0))
        return cls(protocol, methods, models)

    def stale(self, run: Run) -> str:
        """Why a run is stale, itself or by its teacher; empty if it is not."""
        if run.protocol < self.protocol:
            return f"protocol revision {run.protocol}, now {self.protocol}"
        for name, revision in run.revisions.items():
            if revision < self.methods.get(name, 0):
                return f"{name} revision {revision}, now {self.methods[name]}"
        if run.student.revision < self.models.get(run.student.model, 0):
            return f"{run.student.model} revision {run.student.revision}, now {self.models[run.student.model]}"
        reason = self.stale(run.teacher) if run.teacher else ""
        return f"its teacher's {reason}" if reason else ""


def _installed() -> Mapping[str, int]:
    """Revisions of the suite's own methods, from their loss fingerprints: importing the methods would import torch."""
    found = find_spec("methods")
    if found is None or found.origin is None:
        return {}
    file = Path(found.origin).with_name("fingerprints.json")
    return {name: entry["revision"] for name, entry in json.loads(file.read_text(encoding="utf-8")).items()}
