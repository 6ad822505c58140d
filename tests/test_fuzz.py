"""Grids, profiles, expectations, command lines and everything in a results folder, changed at random: every command
ends in time, in one of its documented ways, without a traceback, and finished records stay as they are.

`--fuzz-minutes 10 --fuzz-seed 7` for longer and other draws.
"""

import csv
import io
import json
import random
import resource
import shutil
import signal
import sys
import time
import tomllib
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import fake_results as fake
import mutation
import numpy as np
import pytest
import torch
from command_line import write_grid

import analysis.__main__
import analysis.verify
import benchmark.cost.__main__
import benchmark.grid
import benchmark.speed.__main__
import methods.check.__main__
from benchmark.ground.command import run_command
from benchmark.ground.errors import UsageError
from benchmark.ground.files import write_bytes
from benchmark.ground.text import visible
from benchmark.launch.slurm.profile import load_profile
from benchmark.records import Folder, Record, ledger
from benchmark.records.claims import identity
from benchmark.records.predictions import Predictions
from benchmark.spec import load_grid
from benchmark.training import checkpoints

SECONDS = 120
"""Nothing here takes a hundredth of that on a quiet machine, if it ends."""

SHORT = 30
"""Draws of each kind in the short form."""

ROOT = Path(__file__).parent.parent

GRID, ANALYSIS, VERIFY, CHECK = {0, 1, 2, 3}, {0, 1, 2}, {0, 1, 2, 3}, {0, 2}
"""Exit codes that are documented."""


class BrokenError(AssertionError):
    """What a command did that none may do."""


@contextmanager
def in_time() -> Iterator[None]:
    def too_long(*_: Any) -> None:
        raise BrokenError(f"no end within {SECONDS} s:\n{''.join(traceback.format_stack(limit=12))}")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def command(main: Callable[[list[str]], int], arguments: list[Any], codes: set[int]) -> int:
    """Run a command as people do, in this process; its exit code."""
    printed, complained = io.StringIO(), io.StringIO()
    words, interrupt = [str(each) for each in arguments], signal.getsignal(signal.SIGINT)
    try:
        with in_time(), redirect_stdout(printed), redirect_stderr(complained):
            run_command(lambda _: main(words))
    except SystemExit as end:
        code = end.code
    finally:
        signal.signal(signal.SIGINT, interrupt)
    shown, errors = printed.getvalue(), complained.getvalue()
    if code not in codes or not isinstance(code, int) or "Traceback" in shown + errors:
        raise BrokenError(f"{words}: {code}\n{shown[-2000:]}\n{errors[-2000:]}")
    if visible(shown + errors) != shown + errors:
        raise BrokenError(f"{words}: steers the terminal: {shown + errors!r}")
    if code == 2 and not errors.strip():
        raise BrokenError(f"{words}: no word of what is wrong")
    return code


class Place:
    """A results folder with something of every kind, and a grid file for it."""

    def __init__(self, home: Path) -> None:
        self.home, self.results = home, home / "results"
        home.mkdir()
        self.file = write_grid(home / "grid.toml", name="grid", seeds=[0, 1], keep_predictions=True)
        grid = load_grid(str(self.file))
        folder = Folder(self.results / "grid")
        from benchmark.plan.cells import cells
        from benchmark.plan.frozen import freeze

        freeze(grid, folder, write=True)
        runs = cells(grid)
        teacher = runs[0].teacher
        assert teacher
        for run in runs[:-1]:
            made = fake.record(fake.run()).model_copy(update={"run": run, "run_id": run.id})
            result = made.result.model_copy(update={"teacher_id": teacher.id})
            folder.finish(Record.model_validate(made.model_copy(update={"result": result}).model_dump()), CURVE)
            write_bytes(folder.predictions_path(run.id), Predictions(np.eye(4, 10), np.arange(4)).content())
        for run in runs:
            folder.plan(run)
        folder.fail(runs[-1].id, "RuntimeError: it broke", "Traceback ...", teacher.id)
        folder.teachers.plan(teacher)
        fake.measure(folder.path)
        entry = ledger.Entry("17_0", "slurm", (runs[-1].id,), "grid/logs/a/17_0_log.out", cluster="here")
        ledger.note(folder, [entry, entry])
        log = self.results / entry.log
        log.parent.mkdir(parents=True)
        log.write_text("a\x1b[2Jb\n")
        for part, content in (("claims", {**identity(1), "token": "x"}), ("progress", _progress(runs[-1].id))):
            (folder.path / part).mkdir()
            (folder.path / part / f"{runs[-1].id}.json").write_text(json.dumps(content))
        (folder.path / "splits").mkdir()
        (folder.path / "splits" / "digits-0.json").write_text('{"sha256": "dd", "positions": {}}')
        self.folder = folder
        self.open_run = runs[-1].id

    def state(self) -> list[Path]:
        """Every file of the results."""
        return sorted(path for path in self.results.rglob("*") if path.is_file())


CURVE = [{"epoch": n, "train_loss": 1.0, "train_top1": 0.5, "validation_top1": 0.5} for n in range(2)]


def _progress(run_id: str) -> dict[str, Any]:
    entry = {"cohort": "digits · a · seed 0", "epoch": 0.5, "epochs": 2, "run_ids": [run_id]}
    return {**entry, "shares": {run_id: 0.5}, "train_top1": {"a_b kd": "51.2"}}


@contextmanager
def copied(place: Place) -> Iterator[Path]:
    """A copy of the place to be spoilt."""
    home = place.home.parent / "copy"
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(place.home, home, symlinks=True)
    try:
        yield home
    finally:
        shutil.rmtree(home)


def records(results: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in results.glob("*/records/[!.]*.json") if path.is_file()}


def grid_files(draw: random.Random, place: Place) -> None:
    raw = tomllib.loads(place.file.read_text())
    file = place.home / "changed.toml"
    file.write_bytes(mutation.toml(mutation.value(draw, raw)))
    if draw.random() < 0.3:
        file.write_bytes(mutation.content(draw, place.file.read_bytes()))
    where = ["--grid", file, "--results-dir", place.home / "other"]
    command(benchmark.grid.main, [*where, draw.choice(("--dry-run", "--status")), "--executor", "inline"], GRID)


def profiles(draw: random.Random, place: Place) -> None:
    profile = {"partition": "gpu", "gpus": 1, "time": "1:30:00", "setup": ["module load x"], "workers": 2}
    file = place.home / "profile.toml"
    file.write_bytes(mutation.toml(mutation.value(draw, profile)))
    settings = [_word(draw, ("time=2:00", "partition=a", "exclusive", "gpus=2", "--mem=4G"))]
    try:
        with in_time(), redirect_stderr(io.StringIO()):
            loaded = load_profile(str(file), settings)
    except UsageError:
        return
    assert loaded.minutes > 0


def expectations(draw: random.Random, place: Place) -> None:
    cell = {"dataset": "digits", "pair": "resnet_m_resnet_s", "method": "sp", "top1_percent": 91.0, "std_percent": 0.3}
    file = place.home / draw.choice(("wanted.toml", "wanted.csv"))
    text = io.StringIO()
    writer = csv.DictWriter(text, list(cell))
    writer.writeheader()
    writer.writerow(cell)
    file.write_text(text.getvalue())
    if file.suffix == ".toml":
        file.write_bytes(mutation.toml(mutation.value(draw, {"cell": [cell]})))
    if file.suffix == ".csv" or draw.random() < 0.3:
        file.write_bytes(mutation.content(draw, file.read_bytes()))
    command(analysis.verify.main, [place.folder.path, "--against", file], VERIFY)


WORDS = (
    *(
        "",
        "0",
        "-1",
        "3",
        "1,2",
        "1000000000",
        "9" * 400,
        "20231123",
        "0,",
        "all",
        "installed",
        "tuned",
        "kd",
        "kd+sp",
        "kd@x",
    ),
    *(
        "kd+",
        "@",
        "nan",
        "1e999",
        "9m",
        "0s",
        "kd.temperature=2",
        "kd.temperature=" + "1" * 400,
        "kd.x=1",
        "a=b",
        "=",
        ".",
    ),
    *(
        "~",
        "$HOME",
        "/dev/zero",
        "/dev/null",
        "x" * 300,
        "\x1b[2J",
        "größe",
        "\udcff",
        "a\nb",
        "--",
        "-x",
        "digits",
        "cuda",
    ),
)


def _word(draw: random.Random, good: tuple[str, ...]) -> str:
    return draw.choice(good) if draw.random() < 0.5 else draw.choice(WORDS)


def _line(draw: random.Random, options: dict[str, tuple[str, ...]]) -> list[str]:
    """Options with good values and others, in any order, some of them twice."""
    words = []
    for option in draw.choices(sorted(options), k=draw.randrange(5)):
        words += [option, *(_word(draw, options[option]) for _ in range(draw.choice((1, 1, 1, 2))) if options[option])]
    return words


def command_lines(draw: random.Random, place: Place) -> None:
    common = {"--methods": ("student", "sp"), "--pairs": ("resnet_m_resnet_s",), "--datasets": ("digits",)}
    where = ["--grid", str(place.file), "--results-dir", str(place.results)]
    options = {
        **common,
        "--seeds": ("2", "0,1"),
        "--option": ("sp.weight=2", "kd.temperature=3"),
        "--threads": ("1",),
        "--executor": ("inline", "local"),
        "--stop-after": ("9m",),
        "--retry": ("failed", "lost"),
        "--profile": ("cpu",),
        "--slurm": ("time=2:00",),
        "--max-parallel": ("2",),
        "--export": (place.open_run,),
        "--tune": (),
    }
    last = draw.choice((["--dry-run"], ["--dry-run"], ["--status"], ["--list", "grids"]))
    command(benchmark.grid.main, [*where, *_line(draw, options), *last], GRID)
    for main in (benchmark.cost.__main__.main, benchmark.speed.__main__.main):
        command(main, ["--grid", place.file, *_line(draw, {**common, "--rounds": ("2",), "--threads": ("1",)})], CHECK)
    names = [
        name for name in _line(draw, {"--template": (), "--update": ("nosuch",)}) if name not in ("all", "kd", "kd+sp")
    ]
    command(methods.check.__main__.main, [*names, draw.choice(("--template", "nosuch", "kd+", ""))], CHECK)
    lines = {"--against": (str(place.folder.path),), "--include-stale": (), "--merge": ("nowhere",)}
    command(analysis.verify.main, [_word(draw, (str(place.folder.path),)), *_line(draw, lines)], VERIFY)
    with copied(place) as home:
        words = [str(home / "results/grid"), "--out", str(home / "out"), *_line(draw, lines)]
        command(analysis.__main__.main, words, ANALYSIS)


def states(draw: random.Random, place: Place) -> None:
    with copied(place) as home:
        path = draw.choice(sorted(path for path in (home / "results").rglob("*") if path.is_file()))
        mutation.file(draw, path)
        results = home / "results"
        before = records(results)
        where = ["--grid", home / "grid.toml", "--results-dir", results, "--executor", "inline"]
        command(benchmark.grid.main, [*where, "--status"], GRID)
        command(benchmark.grid.main, [*where, "--dry-run"], GRID)
        command(benchmark.grid.main, [*where, "--prepare", "--retry", "failed"], GRID)  # which sweeps
        command(analysis.verify.main, [results / "grid", "--against", place.folder.path], VERIFY)
        command(analysis.__main__.main, [results / "grid", "--out", home / "out"], ANALYSIS)
        command(analysis.__main__.main, [home / "whole", "--merge", results / "grid", "--out", home / "out"], ANALYSIS)
        if records(results) != before:
            raise BrokenError(f"{path}: records were lost or changed")


def saved_states(draw: random.Random, place: Place) -> None:
    folder = place.home.parent / "checkpoints" / "run"
    shutil.rmtree(folder, ignore_errors=True)
    for step in (1, 2):
        checkpoints.save(folder, {"run_id": "run", "next_step": step, "weights": torch.arange(6.0) * step})
    newest = checkpoints.files(folder)[-1]
    whole = newest.read_bytes()
    mutation.file(draw, newest)
    with in_time():
        found = next(checkpoints.newest_first(folder, "run", torch.device("cpu")), None)
    assert found is not None, "the older checkpoint is whole"
    same = newest.is_file() and newest.stat().st_size == len(whole) and newest.read_bytes() == whole
    assert found["next_step"] == (2 if same else 1), "a changed file was gone on from"


KINDS = (grid_files, profiles, expectations, command_lines, states, saved_states)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    home = tmp_path_factory.mktemp("fuzz")
    made = Place(home / "place")
    shutil.copytree(made.folder.path, made.home / "whole")
    return made


@pytest.fixture(autouse=True)
def _small() -> Iterator[None]:
    """No file and no memory without bounds, whatever a link to a device leads to."""
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else 0
    limits = {resource.RLIMIT_FSIZE: 1 << 26, resource.RLIMIT_AS: pages * resource.getpagesize() + (4 << 30)}
    before = {kind: resource.getrlimit(kind) for kind in limits}
    for kind, most in limits.items():
        resource.setrlimit(kind, (most, before[kind][1]))
    yield
    for kind, former in before.items():
        resource.setrlimit(kind, former)


@pytest.fixture
def shallow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands that stop short of what takes long and is tested elsewhere: networks, measurements, figures."""
    monkeypatch.setattr("benchmark.training.preflight.check_runs", lambda *_, **__: {})
    monkeypatch.setattr("benchmark.cost.__main__.measure", lambda *_: None)
    monkeypatch.setattr("benchmark.speed.__main__.run", lambda options, _: load_grid(options.grid))
    monkeypatch.setattr("analysis.figures.draw_figures", lambda *_, **__: ([], []))


@pytest.mark.usefixtures("shallow", "surroundings")
def test_nothing_ends_in_a_traceback_or_never(pytestconfig: pytest.Config, place: Place) -> None:
    minutes, seed = pytestconfig.getoption("fuzz_minutes"), pytestconfig.getoption("fuzz_seed")
    end, made, faults = time.monotonic() + 60 * minutes, Counter[str](), dict[str, str]()
    draws = 0
    while draws < SHORT or time.monotonic() < end:
        for kind in KINDS:
            made[kind.__name__] += 1
            number = f"{kind.__name__} {seed} {draws}"
            try:
                kind(random.Random(number), place)
            except Exception as error:
                frames = [f for f in traceback.extract_tb(error.__traceback__) if str(ROOT) in f.filename]
                where = f"{type(error).__name__} at {frames[-1].filename}:{frames[-1].lineno} {str(error)[:60]!r}"
                faults.setdefault(where, f"{number}\n{traceback.format_exc()}")
        draws += 1
    print(f"{sum(made.values())} draws, seed {seed}: {dict(made)}", file=sys.__stderr__)
    assert not faults, "\n\n".join([*faults.values(), f"{len(faults)} kinds of faults"])
