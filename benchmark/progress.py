"""Progress, by way of files: workers write what they are at, whoever watches reads it. No torch here."""

import json
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from benchmark.claims import is_claimed
from benchmark.records import Folder, write_json
from benchmark.spec import Run

WRITE_SECONDS = 0.3
LINE_SECONDS = 15.0


class Trained(Protocol):
    """What a reporter needs of a member of a cohort."""

    run: Run
    curve: list[dict[str, Any]]
    diverged_epoch: int | None


class Reporter:
    """A worker's side: one small file per cohort under way, gone when the block ends."""

    def __init__(self, grid_folder: Path, runs: Sequence[Run]) -> None:
        self._path = grid_folder / "progress" / f"{runs[0].cohort_key}.json"
        self._runs = runs
        self._run_ids = [run.id for run in runs]
        self._written = 0.0

    def __enter__(self) -> "Reporter":
        self._write(0, ())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._path.unlink(missing_ok=True)

    def report(self, epoch: int, members: Sequence[Trained]) -> None:
        """Called after every epoch, counted from 0."""
        if time.monotonic() - self._written > WRITE_SECONDS:
            self._write(epoch + 1, members)

    def _write(self, epochs_done: int, members: Iterable[Trained]) -> None:
        first = self._runs[0]
        top1 = {}
        for member in members:
            name = f"{member.run.pair or member.run.student.name} {member.run.label}"
            top1[name] = _training_top1(member)
        teacher = first.teacher.student.name if first.teacher else f"teacher {first.student.name}"
        write_json(
            self._path,
            {
                "cohort": f"{first.dataset.name} · {teacher} · seed {first.seed}",
                "epoch": epochs_done,
                "epochs": first.recipe.epochs,
                "runs": len(self._runs),
                "run_ids": self._run_ids,
                "train_top1": top1,
            },
        )
        self._written = time.monotonic()


class Display:
    """The watcher's side: a live panel on a terminal, plain lines elsewhere."""

    def __init__(self, folder: Folder, run_ids: Sequence[str], console: Console) -> None:
        self._folder = folder
        self._run_ids = set(run_ids)
        self._console = console
        self._started = time.monotonic()
        self._at_start = self._finished()
        self._last_line = -LINE_SECONDS
        self._shown = -1
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None

    def __enter__(self) -> "Display":
        if self._live:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._live:
            self._live.stop()

    def tick(self) -> None:
        """Look at the files and show what has changed."""
        finished, current = self._finished(), under_way(self._folder)
        if self._live:
            self._live.update(self._panel(finished, current), refresh=True)
            return
        if time.monotonic() - self._last_line > LINE_SECONDS or finished == len(self._run_ids) != self._shown:
            for line in self._lines(finished, current):
                self._console.print(line, soft_wrap=True, highlight=False, markup=False)
            self._shown, self._last_line = finished, time.monotonic()

    def _finished(self) -> int:
        return sum(self._folder.record_path(run_id).exists() for run_id in self._run_ids)

    def _share(self, finished: int, current: list[dict[str, Any]]) -> float:
        """Runs done, the ones under way counted by their epochs."""
        return finished + sum(entry["runs"] * max(0, entry["epoch"]) / max(1, entry["epochs"]) for entry in current)

    def _time_left(self, finished: int, current: list[dict[str, Any]]) -> str:
        done = self._share(finished, current) - self._at_start
        if done <= 0:
            return "time left unknown"
        seconds = (time.monotonic() - self._started) / done * (len(self._run_ids) - self._share(finished, current))
        return f"{clock(max(0.0, seconds))} left"

    def _lines(self, finished: int, current: list[dict[str, Any]]) -> list[str]:
        elapsed = clock(time.monotonic() - self._started)
        lines = [f"[{elapsed}] {finished}/{len(self._run_ids)} runs done, {self._time_left(finished, current)}"]
        for entry in current:
            lines.append(f"  {entry['cohort']}: epoch {entry['epoch']}/{entry['epochs']}, training top-1 %:")
            for pair, row in _by_pair(entry).items():
                accuracies = ", ".join(f"{label} {top1}" for label, top1 in row.items())
                lines.append(f"    {pair}: {accuracies}")
        return lines

    def _panel(self, finished: int, current: list[dict[str, Any]]) -> RenderableType:
        total = len(self._run_ids)
        head = Table.grid(padding=(0, 1))
        head.add_row(
            f"{finished}/{total} runs",
            ProgressBar(total=total, completed=self._share(finished, current), width=40),
            f"{clock(time.monotonic() - self._started)} elapsed",
            self._time_left(finished, current),
        )
        return Group(head, *(_cohort_table(entry) for entry in current))


def under_way(folder: Folder) -> list[dict[str, Any]]:
    """What workers last said of their cohorts; not of those whose worker is gone, which leaves its file behind."""
    entries = []
    for path in sorted((folder.path / "progress").glob("[!.]*.json")):
        try:
            entry = json.loads(path.read_bytes())
        except (OSError, ValueError):  # finished in this very moment
            continue
        if any(
            is_claimed(home.claim_path(run_id)) for run_id in entry["run_ids"] for home in (folder, folder.teachers)
        ):
            entries.append(entry)
    return entries


def _cohort_table(entry: dict[str, Any]) -> Table:
    """Training accuracy of every run of a cohort, a row per pair."""
    table = Table(title=f"{entry['cohort']}: epoch {entry['epoch']}/{entry['epochs']}", title_justify="left")
    rows = _by_pair(entry)
    labels = list(dict.fromkeys(label for row in rows.values() for label in row))
    table.add_column("training top-1 %")
    for label in labels:
        table.add_column(label, justify="right")
    for pair, row in rows.items():
        table.add_row(pair, *(row.get(label, "") for label in labels))
    return table


def _by_pair(entry: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Training accuracy by pair and method."""
    rows: dict[str, dict[str, str]] = {}
    for name, top1 in entry["train_top1"].items():
        pair, _, label = name.rpartition(" ")
        rows.setdefault(pair, {})[label] = top1
    return rows


def _training_top1(member: Trained) -> str:
    """What is shown of a run: its latest training accuracy in percent, or why there is none."""
    if member.diverged_epoch is not None:
        return "diverged"
    if not member.curve:
        return "waits"
    top1 = member.curve[-1]["train_top1"]
    return "teacher only" if top1 is None else f"{100 * top1:.1f}"


def clock(seconds: float) -> str:
    """Seconds as 1:05 or 2:03:00; as days if they are many."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 100:
        return f"{hours / 24:.1f} days"
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
