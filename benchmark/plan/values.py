"""What planning comes to, as plain values. No torch here."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from benchmark.records import State
from benchmark.spec import Run


@dataclass(frozen=True)
class Selection:
    """Which cells of a grid are wanted; None means all of the grid's own."""

    methods: tuple[str, ...] | None = None
    seeds: tuple[int, ...] | None = None
    pairs: tuple[str, ...] | None = None
    datasets: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Cohort:
    """Runs that share data set, teacher, recipe and seed."""

    runs: tuple[Run, ...]

    @property
    def teacher(self) -> Run | None:
        return self.runs[0].teacher

    @property
    def name(self) -> str:
        first = self.runs[0]
        return f"{first.dataset.name} {first.teacher.student.name if first.teacher else 'teacher'} seed {first.seed}"


@dataclass(frozen=True)
class Plan:
    """Every wanted run with its state, and what is to be done: `cohorts` hold the missing ones, and those that are
    recorded without their teacher and may now be completed by it.

    aliases: labels of runs that are another label's, and that one.
    """

    runs: tuple[Run, ...]
    states: dict[str, State]
    teachers: tuple[Run, ...]
    teacher_states: dict[str, State]
    cohorts: tuple[Cohort, ...]
    aliases: Mapping[str, str] = field(default_factory=dict)

    @property
    def missing_teachers(self) -> tuple[Run, ...]:
        """Teachers that a run needs and that have to be trained first."""
        needed = {cohort.teacher.id for cohort in self.cohorts if cohort.teacher}
        return tuple(t for t in self.teachers if t.id in needed and self.teacher_states[t.id] == "missing")

    @property
    def missing(self) -> tuple[Run, ...]:
        """Runs to train."""
        return tuple(run for cohort in self.cohorts for run in cohort.runs if self.states[run.id] == "missing")

    @property
    def to_complete(self) -> int:
        """How many runs lack nothing but what is to be said of their teacher."""
        return sum(len(cohort.runs) for cohort in self.cohorts) - len(self.missing)


@dataclass(frozen=True)
class Forecast:
    """Device time of what a plan trains, one cohort after another, in seconds, and what it was computed from; without
    `unknown` runs, of whose kind nothing was measured."""

    seconds: float
    basis: tuple[str, ...]
    unknown: tuple[Run, ...]
