"""A results folder whose files are put right in place."""

from pathlib import Path
from typing import Any

from benchmark.data import Splits, load
from benchmark.ground.console import Terminal
from benchmark.ground.errors import UsageError
from benchmark.ground.files import read_table, write_json
from benchmark.records import Folder, Record
from benchmark.spec import Dataset, digest, load_grid


class Results:
    """The folder, its grid if it says, its data sets, and how many of its records were changed."""

    def __init__(self, path: Path, data_dir: Path | None, dry_run: bool) -> None:
        """Raises UsageError for a folder that is not there."""
        if not path.is_dir():
            raise UsageError(f"results folder {str(path)!r} does not exist")
        self.folder, self.data_dir, self.dry_run = Folder(path), data_dir, dry_run
        self.say = Terminal().print
        self.grid = load_grid(str(path / "grid.toml")) if (path / "grid.toml").exists() else None
        self.changed = 0
        self._images: dict[str, Splits] = {}

    def records(self) -> list[Record]:
        """The valid ones; says which others stay as they are."""
        found, unreadable = self.folder.records()
        for problem in unreadable:
            self.say(f"left alone: {problem}")
        return found

    def images(self, dataset: Dataset) -> Splits:
        """Raises UsageError for images that cannot be had."""
        key = digest(dataset.identity())
        if key not in self._images:
            self._images[key] = load(self.grid.located(dataset) if self.grid else dataset, self.data_dir)
        return self._images[key]

    def change(self, run_id: str, part: str, values: dict[str, Any]) -> None:
        """Put values into a part of a record's file, whose other bytes stay."""
        self.changed += 1
        path = self.folder.record_path(run_id)
        raw = read_table(path)
        self.write(path, {**raw, part: {**raw[part], **values}})

    def write(self, path: Path, value: dict[str, Any]) -> None:
        if not self.dry_run:
            write_json(path, value)

    def close(self) -> None:
        """Derive the tables from the records again, and say how many have changed."""
        if self.changed and not self.dry_run:
            self.folder.write_tables()
        self.say(f"{self.folder.path}: {self.changed} records {'to change' if self.dry_run else 'changed'}")
