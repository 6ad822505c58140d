"""How jobs are submitted: a profile of sbatch options, from a file and the command line. No torch here."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmark.ground.errors import UsageError, set_once, unknown
from benchmark.ground.files import say_once
from benchmark.launch.slurm.scheduler import sbatch_options
from benchmark.spec import Value, parse
from benchmark.spec.value import Size, file_or_shipped, read_toml

PROFILES = Path(__file__).parents[2] / "profiles"

OWN_OPTIONS = """
    array chdir dependency error input job-name kill-on-invalid-dep nodes no-requeue ntasks ntasks-per-core
    ntasks-per-gpu ntasks-per-node ntasks-per-socket open-mode output parsable requeue signal test-only wait wrap
""".split()  # noqa: SIM905
"""Options of sbatch that the suite sets, or that would break what it builds on them."""

DEFAULTS: dict[str, Any] = {"time": "12:00:00", "mem": "8G"}
JOB_MINUTES = 30
TIME = re.compile(r"(?:(?P<days>\d+)-)?(?P<parts>\d+(?::\d+){0,2})")

Option = bool | int | str


class Profile(Value):
    """sbatch's own options, and four of the suite's.

    `setup`: lines of shell before the worker starts. `max_parallel`: how many jobs of an array may run at once; a grid
    has an array for each teacher. `workers`: how many share a job and its GPU. `job_minutes`: small cohorts are packed
    into jobs of this length, as far as the forecast is known.
    """

    sbatch: dict[str, Option]
    setup: tuple[str, ...] = ()
    max_parallel: Size | None = None
    workers: Size = 1
    job_minutes: Size = JOB_MINUTES

    @property
    def minutes(self) -> int:
        """The time limit, in whole minutes as submitit wants it."""
        return minutes_of(self.sbatch["time"])


def load_profile(name_or_file: str | None, settings: Sequence[str] = (), changes: Mapping[str, Any] = {}) -> Profile:
    """A profile by its name in `benchmark/profiles` or from a TOML file, None for the defaults alone; then `KEY=VALUE`
    settings of sbatch, then `changes` of the suite's own keys that are not None.

    Raises UsageError for a file that cannot be read, and for a key or value that is not valid.
    """
    raw = read_toml(file_or_shipped(name_or_file, PROFILES, "profile"), "profile") if name_or_file else {}
    own = {key: raw.pop(key) for key in list(raw) if key in Profile.model_fields and key != "sbatch"}
    source = name_or_file or "--slurm"
    known = sbatch_options() if raw or settings else frozenset()
    sbatch = _joined([(_checked(key, source, known), value) for key, value in raw.items()], source)
    sbatch |= _joined([_setting(text, known) for text in settings], "--slurm")
    if sbatch and not known:
        say_once(f"not checked, since no sbatch lists its options here: {', '.join(sorted(sbatch))}")
    for key in DEFAULTS.keys() - sbatch.keys():
        if key != "mem" or not {"mem-per-cpu", "mem-per-gpu"} & sbatch.keys():
            sbatch[key] = DEFAULTS[key]
    sbatch = {key: value for key, value in sbatch.items() if value is not False}
    cpus = sbatch.get("cpus-per-task", 1)
    if isinstance(cpus, bool) or not re.fullmatch("[1-9][0-9]*", str(cpus)):
        raise UsageError(f"{source}: cpus-per-task = {cpus!r} is not a whole number of threads from 1 on")
    own |= {key: value for key, value in changes.items() if value is not None}
    profile = parse(Profile, {"sbatch": sbatch, **own}, source)
    minutes_of(profile.sbatch["time"])
    return profile


def minutes_of(time: Option) -> int:
    """sbatch's MINUTES, M:S, H:M:S, D-H, D-H:M or D-H:M:S in minutes, rounded up; UsageError for another form."""
    match = TIME.fullmatch(str(time))
    if match is None or isinstance(time, bool):
        raise UsageError(f"time = {time!r} is not a time limit such as 90, 1:30:00 or 2-12")
    parts = [int(part) for part in match["parts"].split(":")]
    if match["days"]:
        hours, minutes, seconds = (*parts, 0, 0)[:3]
    elif len(parts) == 3:
        hours, minutes, seconds = parts
    else:
        hours, minutes, seconds = 0, *(*parts, 0)[:2]
    total = -(-(((int(match["days"] or 0) * 24 + hours) * 60 + minutes) * 60 + seconds) // 60)
    if total == 0:
        raise UsageError(f"time = {time!r}: jobs need a time limit above 0")
    return total


def _joined(pairs: Sequence[tuple[str, Option]], source: str) -> dict[str, Option]:
    """Raises UsageError for an option with two values."""
    found: dict[str, Option] = {}
    for name, value in pairs:
        set_once(found, name, value, f"{source}: {name}")
    return found


def _setting(text: str, known: frozenset[str]) -> tuple[str, Option]:
    """`KEY=VALUE`, or `KEY` alone for an option without a value."""
    key, given, value = text.removeprefix("--").partition("=")
    if given and not value:
        raise UsageError(f"--slurm {text!r} has no value; an option without one is given as --slurm {key}")
    return _checked(key, "--slurm", known), value if given else True


def _checked(key: str, source: str, known: frozenset[str]) -> str:
    """The option's name as sbatch spells it. Where nothing is known of sbatch's, none is refused but the suite's."""
    name = key.replace("_", "-")
    if name in OWN_OPTIONS:
        raise UsageError(f"{source}: {key!r} is set by the suite itself")
    if known and name not in known:
        own = [key for key in Profile.model_fields if key != "sbatch"]
        raise UsageError(f"{source}: {unknown('sbatch option', key, [*known.difference(OWN_OPTIONS), *own])}")
    return name
