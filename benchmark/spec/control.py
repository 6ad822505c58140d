"""Controls: some of a grid's methods under another recipe, teacher or options, to see what a gain is due to."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StrictBool, StrictFloat, model_validator

from benchmark.ground.errors import unknown
from benchmark.spec.run import LABELS_ONLY, Run
from benchmark.spec.value import Fields, Name, Options, Size, Value, Word

ALL = "all"
"""Among a control's methods: those of the grid, the student alone aside."""

MATCHED = "matched"

STANDARD: dict[str, dict[str, Any]] = {
    "random": {"methods": [ALL], "teacher": "untrained"},
    "shuffled": {"methods": [ALL], "shuffled": True},
    "born_again": {"methods": [ALL], "teacher": "student"},
    "label_smoothing": {"recipe": {"label_smoothing": 0.1}},
    "longer": {"times": 2.0},
    MATCHED: {"methods": [ALL]},
}
"""What the controls are that a grid may switch on by name: `control = ["random"]`. A table that says more of one than
its methods says all of it."""

TUNED = "tuned"
"""The name of the control whose options were chosen by tuning."""


class Control(Value):
    """What a comparison needs beside methods: some of a grid's methods under another recipe, teacher or options.

    `METHOD@NAME` names its runs; "all" among its methods are the grid's that have a teacher. recipe: fields that differ
    from the grid's; times: how many times the epochs; options: those that differ, by method; teacher "student" is the
    born-again one, the student's architecture trained alone by the student's recipe, "untrained" the pair's own with
    random weights; shuffled gives every image the teacher's outputs for another image of its batch; flops_of names the
    method for whose training FLOPs the student alone trains.
    """

    name: Name
    methods: tuple[str, ...] = (LABELS_ONLY,)
    recipe: Fields = {}
    times: Annotated[StrictFloat, Field(gt=0)] | None = None
    options: Options = {}
    teacher: Literal["pair", "student", "untrained"] = "pair"
    shuffled: StrictBool = False
    flops_of: Word | None = None
    epochs: dict[str, dict[str, Size]] | None = None
    """How many make a match, by data set and pair: counted when a grid is prepared or begun, then kept."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.flops_of is None and self.epochs is not None:
            raise ValueError(
                "epochs are counted, of a control that matches a method; recipe = { epochs = ... } sets them"
            )
        if self.flops_of is not None and (self.methods, self.times) != ((LABELS_ONLY,), None):
            raise ValueError(f"flops_of = {self.flops_of!r} trains the student alone, for as long as was counted")
        if self.flops_of is not None and not self.name.startswith(MATCHED):
            raise ValueError(f"name {self.name!r} has to begin with {MATCHED!r}, by which tables know it")
        return self

    def identity(self) -> dict[str, Any]:
        """Without what says which runs there are, or is counted once and kept."""
        return {name: value for name, value in super().identity().items() if name not in ("methods", "epochs")}

    def counted(self, dataset: str, pair: str) -> int | None:
        """The epochs that match on a pair; None where they are not counted, as for a method that cannot serve it."""
        return (self.epochs or {}).get(dataset, {}).get(pair)

    def with_counts(self, more: Mapping[str, Mapping[str, int]]) -> Self:
        """The control with epochs for more places; those that it has stay."""
        own = self.epochs or {}
        found = {name: {**more.get(name, {}), **own.get(name, {})} for name in {**more, **own}}
        return self.model_copy(update={"epochs": found}) if found else self


@dataclass(frozen=True)
class Match:
    """On one pair: the student alone under a control as it is before its epochs are known, and the method to match."""

    control: str
    alone: Run
    method: Run


def written_out(entry: Any, methods: Any) -> Iterator[Any]:
    """A control as a grid file names it, in full; `methods` are the grid's. A match is one control for each method.
    What is not of the right kind is left to the validation; raises ValueError for a name that is none of STANDARD's."""
    if isinstance(entry, str):
        if entry not in STANDARD:
            raise ValueError(str(unknown("control", entry, STANDARD)))
        entry = {"name": entry}
    name = entry.get("name") if isinstance(entry, Mapping) and entry.keys() <= {"name", "methods"} else None
    if isinstance(name, str) and name in STANDARD:
        entry = {**STANDARD[name], **entry}
        if entry["name"] == MATCHED and _names(entry["methods"]) and _names(methods):
            for method in taught(entry["methods"], methods):
                # A plus in a label is a composition's.
                yield {"name": f"{MATCHED}_{method.replace('+', '_and_')}", "flops_of": method}
            return
    yield entry


def taught(names: Iterable[str], methods: Iterable[str]) -> list[str]:
    """A control's methods, ALL among them written out as those of the grid that have a teacher."""
    known = [name for name in methods if name != LABELS_ONLY and "@" not in name]
    return list(dict.fromkeys(each for name in names for each in (known if name == ALL else [name])))


def _names(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(name, str) for name in value)
