"""How far workers are, from the files that they write: a live panel on a terminal, plain lines elsewhere. No torch."""

import math
import time
from collections.abc import Sequence
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from benchmark.ground.files import json_files
from benchmark.records import Folder
from benchmark.records.claims import say_if_quiet
from benchmark.records.progress import Entry, under_way

LINE_SECONDS = 15.0
"""Between reports where there is no terminal, in the first ten minutes; later they get rarer in proportion, up to one
in a quarter of an hour."""


class Display:
    """The watcher's side: a live panel on a terminal, plain lines elsewhere."""

    def __init__(self, folder: Folder, run_ids: Sequence[str], console: Console) -> None:
        self._folder, self._console = folder, console
        self._total = len(run_ids)
        self._open = {run_id for run_id in run_ids if not folder.record_path(run_id).exists()}
        self._started = time.monotonic()
        self._first_sight: float | None = None  # when one of these runs was first seen training
        self._at_first: dict[str, float] = {}  # how much of its training each had behind it when it was first seen
        self._reached: dict[str, float] = {}  # and by now
        self._last_line, self._shown = -math.inf, -1
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._live:
            self._live.stop()

    def tick(self) -> None:
        """Look at the files and show what has changed, and whose claims are waited for, which workers say to their logs
        alone."""
        for home, run_ids in ((self._folder, self._open), (self._folder.teachers, None)):
            for path in json_files(home.part("claims")):
                if run_ids is None or path.stem in run_ids:
                    say_if_quiet(path)
        current = under_way(self._folder)
        self._look(current)
        if self._live:
            self._live.update(self._panel(current), refresh=True)
        elif self._line_is_due():
            for line in self._lines(current):
                self._console.print(line)
            self._shown, self._last_line = self._finished, time.monotonic()

    def _line_is_due(self) -> bool:
        now = time.monotonic()
        pause = LINE_SECONDS * min(max(1.0, (now - self._started) / 600), 60.0)
        return now - self._last_line > pause or self._finished == self._total != self._shown

    @property
    def _finished(self) -> int:
        return self._total - len(self._open)

    def _look(self, current: list[Entry]) -> None:
        """Which runs have ended, and how far the others are; one that needs no training does not count as trained."""
        for run_id in [run_id for run_id in self._open if self._folder.record_path(run_id).exists()]:
            self._open.remove(run_id)
            self._reached[run_id] = float(self._folder.state(run_id) != "not_applicable")
        for run_id, share in (each for entry in current for each in entry.shares.items()):
            if run_id in self._open:
                self._reached[run_id] = share
                self._at_first.setdefault(run_id, share)
                self._first_sight = self._first_sight or time.monotonic()

    def _ahead(self) -> float:
        """Runs that are to be trained, parts of a run included."""
        return sum(1.0 - self._reached.get(run_id, 0.0) for run_id in self._open)

    def _time_left(self) -> str:
        """From the pace since training was first seen, of which what a resumed run has behind it tells nothing.
        rich.progress's pace is that of its last thousand changes, and begins anew where a total changes."""
        trained = sum(self._reached.values()) - sum(self._at_first.values())
        if self._first_sight is None or trained <= 0:
            return "time left unknown"
        return f"{clock((time.monotonic() - self._first_sight) / trained * self._ahead())} left"

    def _lines(self, current: list[Entry]) -> list[str]:
        elapsed = clock(time.monotonic() - self._started)
        lines = [f"[{elapsed}] {self._finished}/{self._total} runs done, {self._time_left()}"]
        for entry in current:
            lines.append(f"  {entry.cohort}: {position(entry)}, training top-1 %:")
            for pair, row in _by_pair(entry).items():
                accuracies = ", ".join(f"{label} {top1}" for label, top1 in row.items())
                lines.append(f"    {pair}: {accuracies}")
        return lines

    def _panel(self, current: list[Entry]) -> RenderableType:
        head = Table.grid(padding=(0, 1))
        head.add_row(
            f"{self._finished}/{self._total} runs",
            ProgressBar(total=self._total, completed=self._total - self._ahead(), width=40),
            f"{clock(time.monotonic() - self._started)} elapsed",
            self._time_left(),
        )
        return Group(head, *(_cohort_panel(entry) for entry in current))


def _cohort_panel(entry: Entry) -> RenderableType:
    """Where a cohort is, and the training accuracy of each of its runs, a row per pair."""
    table = Table()
    rows = _by_pair(entry)
    labels = list(dict.fromkeys(label for row in rows.values() for label in row))
    table.add_column("training top-1 %")
    for label in labels:
        table.add_column(label, justify="right")
    for pair, row in rows.items():
        table.add_row(pair, *(row.get(label, "") for label in labels))
    return Group(Text(f"{entry.cohort}: {position(entry)}"), table)


def _by_pair(entry: Entry) -> dict[str, dict[str, str]]:
    """Training accuracy by pair and method."""
    rows: dict[str, dict[str, str]] = {}
    for name, top1 in entry.train_top1.items():
        pair, _, label = name.rpartition(" ")
        rows.setdefault(pair, {})[label] = top1
    return rows


def position(entry: Entry) -> str:
    """Where a cohort's slowest member is, in epochs of the main schedule."""
    if entry.epoch < 0:
        return f"{-entry.epoch:.1f} epochs before the main schedule"
    return f"epoch {entry.epoch:.1f}/{entry.epochs}"


def clock(seconds: float) -> str:
    """Seconds as 1:05 or 2:03:00; as days if they are many."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 100:
        return f"{hours / 24:.1f} days"
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
