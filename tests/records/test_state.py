"""State on disk that is damaged, planted or left behind: what commands make of it."""

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import fake_results as fake
import pytest
from command_line import cli, contents, files, write_grid
from damage import DAMAGES

from benchmark.ground.errors import COMPLETE, FAILED, USAGE, UsageError
from benchmark.ground.files import FileError, write_json
from benchmark.launch.job import Settings, job_of
from benchmark.plan.values import Cohort
from benchmark.records import Folder, ledger
from benchmark.records.cleanup import SAFE_SECONDS, clean_up
from benchmark.records.ledger import Entry
from benchmark.records.process import identity

REFERENCE = Path(__file__).parents[2] / "results" / "reference"


# --- damaged ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A grid of two runs, one of them without a record, with every kind of state beside."""
    home = tmp_path_factory.mktemp("finished")
    grid = write_grid(home / "small.toml")
    assert cli("--grid", grid, "--results-dir", home / "results") == COMPLETE
    folder = Folder(home / "results" / "small")
    [done, undone] = folder.known_ids()
    folder.record_path(undone).unlink()
    folder.fail(undone, "ValueError: no", "Traceback")
    write_json(folder.claim_path(undone), identity(1) | {"host": "elsewhere"})
    write_json(
        folder.path / "progress" / f"{undone}.json",
        {"cohort": "c", "epoch": 0.5, "epochs": 2, "run_ids": [undone], "shares": {undone: 0.1}, "train_top1": {}},
    )
    ledger.note(folder, [Entry("7", "local", (done,), "small/logs/7"), Entry("8", "local", (undone,), "small/logs/8")])
    return home


KINDS = ("claims", "progress", "records", "failures", "planned", "splits", "grid.toml", "jobs.jsonl")


def damaged(finished: Path, home: Path, kind: str, damage: str) -> Path:
    """A copy of the finished grid, with one file of a kind replaced."""
    shutil.copytree(finished / "results", home / "results")
    shutil.copy(finished / "small.toml", home)
    folder = home / "results" / "small"
    path = folder / kind if (folder / kind).is_file() else sorted((folder / kind).iterdir())[0]
    DAMAGES[damage](path)
    return path


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("surroundings")
def test_status_never_fails_on_what_is_damaged(
    kind: str, damage: str, finished: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = damaged(finished, tmp_path, kind, damage)
    where = ("--grid", tmp_path / "small.toml", "--results-dir", tmp_path / "results")
    code = cli(*where, "--status")
    said = capfd.readouterr()
    assert "Traceback" not in said.out + said.err
    assert code == COMPLETE or (code == USAGE and str(path) in said.err and said.err.count("\n") == 1)
    if kind == "records":
        assert f"not used: record {path}" in said.out


@pytest.mark.parametrize("damage", ["half", "too deep", "not UTF-8", "a folder"])
@pytest.mark.parametrize("kind", ["planned", "splits", "failures", "grid.toml", "jobs.jsonl", "records"])
@pytest.mark.usefixtures("surroundings")
def test_the_command_goes_on_or_names_what_is_damaged(
    kind: str,
    damage: str,
    finished: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = damaged(finished, tmp_path, kind, damage)
    shutil.rmtree(tmp_path / "results" / "small" / "claims")
    where = ("--grid", tmp_path / "small.toml", "--results-dir", tmp_path / "results", "--retry", "failed")
    code = cli(*where)
    said = capfd.readouterr()
    if code == COMPLETE:
        made, whole = contents(tmp_path / "results" / "small"), contents(finished / "results" / "small")
        assert len(made) == 2
        assert whole.items() <= made.items()
    else:
        assert code in (FAILED, USAGE)
        assert str(path) in said.out + said.err
        assert "Traceback" not in said.out + said.err.replace(caplog.text, "")


def test_a_ledger_without_its_last_newline_swallows_nothing(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "grid")
    folder.path.mkdir()
    first, second = (Entry(number, "slurm", ("run",), "grid/logs/a/1_log.out", submitted="1") for number in "12")
    ledger.note(folder, [first])
    path = folder.path / "jobs.jsonl"
    for cut in range(1, path.stat().st_size):
        path.write_bytes(path.read_bytes()[:-cut])
        ledger.note(folder, [second])
        assert ledger.entries(folder)[-1] == second
        path.unlink()
        ledger.note(folder, [first])
    path.write_bytes(path.read_bytes()[:-1])
    ledger.note(folder, [second])
    assert ledger.entries(folder) == [first, second]
    assert path.read_bytes().count(b"\n") == 2


LINES = {
    "another type": "[]",
    "no table": "7",
    "cut short": '{"job_id": "5", "exec',
    "too deep": "[" * 50_000,
    "an id of another type": '{"job_id": 5, "executor": "slurm", "run_ids": ["run"], "log": ""}',
    "an id that is an option": '{"job_id": "--me", "executor": "slurm", "run_ids": ["run"], "log": ""}',
    "runs of another type": '{"job_id": "5", "executor": "slurm", "run_ids": "run", "log": ""}',
    "runs elsewhere": '{"job_id": "5", "executor": "slurm", "run_ids": ["../../run"], "log": ""}',
    "a log elsewhere": '{"job_id": "5", "executor": "slurm", "run_ids": ["run"], "log": "../../etc/passwd"}',
    "an absolute log": '{"job_id": "5", "executor": "slurm", "run_ids": ["run"], "log": "/etc/passwd"}',
    "a time of another type": '{"job_id": "5", "executor": "slurm", "run_ids": ["run"], "log": "", "submitted": 5}',
}


@pytest.mark.parametrize("line", LINES)
def test_a_damaged_line_of_a_ledger_is_named_and_passed_over(
    line: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = Folder(tmp_path / "grid")
    folder.path.mkdir()
    entry = Entry("1", "slurm", ("run",), "")
    ledger.note(folder, [entry])
    with (folder.path / "jobs.jsonl").open("a") as file:
        file.write(LINES[line] + "\n")
    ledger.note(folder, [entry])
    assert ledger.entries(folder) == [entry, entry]
    assert f"passed over: line 2 of {folder.path / 'jobs.jsonl'}" in caplog.text


def test_fields_that_a_later_suite_adds_to_a_ledger_are_left_alone(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "grid")
    folder.path.mkdir()
    raw = {"job_id": "1", "executor": "slurm", "run_ids": ["run"], "log": "", "submitted": "1", "later": 1}
    (folder.path / "jobs.jsonl").write_text(json.dumps(raw) + "\n")
    assert [entry.job_id for entry in ledger.entries(folder)] == ["1"]


# --- planted ----------------------------------------------------------------------------------------------------------

PARTS = ("records", "planned", "curves", "failures", "weights", "predictions", "checkpoints", "claims")


@pytest.mark.parametrize("part", PARTS)
def test_no_part_of_a_results_folder_may_lead_out_of_it(part: str, tmp_path: Path) -> None:
    folder, elsewhere = Folder(tmp_path / "results" / "grid"), tmp_path / "elsewhere"
    elsewhere.mkdir()
    folder.path.mkdir(parents=True)
    (folder.path / part).symlink_to(elsewhere)
    place: Callable[[str], Path] = getattr(folder, f"{part.removesuffix('s')}_path", folder.part)
    place = {"failures": folder.failure_path, "checkpoints": folder.checkpoints_path}.get(part, place)
    place = {"weights": folder.weights_path, "predictions": folder.predictions_path}.get(part, place)
    with pytest.raises(FileError, match=f"{folder.path / part} is a link that leads out of {folder.path}"):
        place("run" if place != folder.part else part)
    assert not list(elsewhere.iterdir())


@pytest.mark.parametrize("part", ["", "records", "curves", "progress", "splits", "logs"])
def test_what_lies_in_a_folders_place_is_named_before_anything_is_trained(part: str, tmp_path: Path) -> None:
    folder = Folder(tmp_path / "grid")
    folder.check_parts()  # what is missing will be made
    place = folder.path / part
    place.parent.mkdir(exist_ok=True)
    place.write_text("")
    with pytest.raises(FileError, match=f"{place} is no folder; move it away"):
        folder.check_parts()


def test_checkpoints_of_a_run_may_not_lead_out(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "grid")
    (folder.path / "checkpoints").mkdir(parents=True)
    (folder.path / "checkpoints" / "run").symlink_to(tmp_path)
    with pytest.raises(FileError, match="leads out"):
        folder.checkpoints_path("run")
    (folder.path / "checkpoints" / "other").symlink_to("run2")
    assert folder.checkpoints_path("other") == folder.path / "checkpoints" / "other"


def test_the_results_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "grid").symlink_to(tmp_path / "disk")
    run = fake.run()
    folder = Folder(fake.write(tmp_path / "grid", fake.record(run)))
    assert folder.state(run.id) == "done"
    # Its teachers lie beside the link, for workers too, and its jobs go by its name.
    assert run.teacher
    whole = job_of([Cohort((run.teacher,)), Cohort((run,))], folder, Settings("cpu"), 1)
    assert whole.grid_folder == str(tmp_path / "grid")
    assert [work.folder for work in whole.work] == [str(tmp_path / "teachers"), str(tmp_path / "grid")]
    log = (folder.path / "logs" / "array" / "1_0_log.out").resolve()
    assert ledger.log_name(log, folder) == "grid/logs/array/1_0_log.out"


@pytest.mark.parametrize("target", ["theirs", "absent"])
def test_a_ledger_that_is_a_link_is_not_written_through(target: str, tmp_path: Path) -> None:
    folder = Folder(tmp_path / "grid")
    folder.path.mkdir()
    (tmp_path / "theirs").write_text("another user's")
    (folder.path / "jobs.jsonl").symlink_to(tmp_path / target)
    with pytest.raises(UsageError, match=f"{folder.path / 'jobs.jsonl'} is a link"):
        ledger.note(folder, [Entry("1", "slurm", ("run",), "")])
    assert (tmp_path / "theirs").read_text() == "another user's"
    assert not (tmp_path / "absent").exists()


# --- left behind ------------------------------------------------------------------------------------------------------


@pytest.fixture
def littered(tmp_path: Path) -> tuple[Folder, list[Path], list[Path]]:
    """A folder in which every kind of kill has left something: what is to go, and what is to stay."""
    done, half, busy = (fake.run(seed=seed) for seed in range(3))
    folder = Folder(fake.write(tmp_path / "grid", fake.record(done), planned=(done, half, busy)))
    gone, kept = [], []

    def put(path: Path, age: float, bin: list[Path], text: str = "") -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.utime(path, (time.time() - age,) * 2)
        bin.append(path)

    dead, alive = identity(os.getpid()) | {"started": "0"}, identity(os.getpid())
    put(folder.claim_path(done.id), 0, gone, json.dumps(dead))
    put(folder.claim_path(half.id), 0, gone, json.dumps(dead))
    put(folder.claim_path(busy.id), 0, kept, json.dumps(alive))
    put(folder.failure_path(done.id), 0, gone, "{}")
    put(folder.failure_path(half.id), 0, kept, "{}")
    put(folder.checkpoints_path(done.id) / "000000001.pt", 0, gone)
    put(folder.checkpoints_path(half.id) / "000000001.pt", 0, kept)
    put(folder.checkpoints_path(half.id) / ".000000002.pt.a1b2c3d4.partial", 0, gone)
    put(folder.checkpoints_path(busy.id) / ".000000002.pt.a1b2c3d4.partial", 0, kept)
    for part in ("records", "curves", "weights", "predictions"):
        put(folder.path / part / f".{half.id}.json.a1b2c3d4.partial", 0, gone)
        put(folder.path / part / f".{busy.id}.json.a1b2c3d4.partial", 0, kept)
        put(folder.path / part / ".hidden", 2 * SAFE_SECONDS, kept)
    for part in ("", "planned", "splits", "progress", "measured"):
        put(folder.path / part / ".x.json.a1b2c3d4.partial", 2 * SAFE_SECONDS, gone)
        put(folder.path / part / ".y.json.a1b2c3d4.partial", 0.5 * SAFE_SECONDS, kept)
    for name in (".env.template", ".runs.csv.original", ".notes.turn", ".git.disabled/config"):
        put(folder.path / name, 2 * SAFE_SECONDS, kept)  # a user's own
    entry = {"cohort": "c", "epoch": 0.5, "epochs": 2}
    put(folder.path / "progress" / "left.json", 0, gone, json.dumps({**entry, "run_ids": [half.id]}))
    put(folder.path / "progress" / "on.json", 0, kept, json.dumps({**entry, "run_ids": [busy.id]}))
    return folder, gone, kept


def test_the_next_command_sweeps_what_kills_left(littered: tuple[Folder, list[Path], list[Path]]) -> None:
    folder, gone, kept = littered
    others = files(folder.path).keys() - set(gone) - set(kept)
    clean_up(folder)
    assert [path for path in gone if path.exists()] == []
    assert [path for path in kept if not path.exists()] == []
    assert files(folder.path).keys() == others | set(kept)
    assert not folder.checkpoints_path(fake.run().id).exists()


def test_nothing_of_another_folder_is_swept(littered: tuple[Folder, list[Path], list[Path]], tmp_path: Path) -> None:
    folder, _, _ = littered
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(folder.path / "checkpoints", elsewhere)
    before = files(elsewhere)
    shutil.rmtree(folder.path / "checkpoints")
    (folder.path / "checkpoints").symlink_to(elsewhere)
    with pytest.raises(FileError, match="leads out"):
        clean_up(folder)
    assert files(elsewhere) == before
