"""Records: written whole or not at all, read with a clear complaint, tabled the same however they were made."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import fake_results as fake
import pytest

from benchmark.ground.errors import UsageError
from benchmark.ground.files import atomic, write_json, write_rows
from benchmark.records import Folder, RecordError, read_record

ROOT = Path(__file__).parents[2]

WRITER = """
import sys, time
from pathlib import Path
from benchmark.ground.files import atomic, write_json
path = Path(sys.argv[1]) / "record.json"
if sys.argv[2] == "again":
    write_json(path, {"n": 1})
with atomic(path) as temporary:
    temporary.write_text('{"n": ')
    print("half", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(fake.write(tmp_path / "grid", fake.record(fake.run())))


def only_record(folder: Folder) -> Path:
    (path,) = (folder.path / "records").iterdir()
    return path


def edit(path: Path, **values: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.mark.parametrize(("time", "left"), [("first", []), ("again", [{"n": 1}])])
def test_a_writer_killed_in_the_middle_leaves_no_half_file(time: str, left: list[Any], tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    arguments = [sys.executable, "-c", WRITER, tmp_path, time]
    with subprocess.Popen(arguments, env=environment, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"half\n"
        writer.send_signal(signal.SIGKILL)
    assert [json.loads(path.read_text()) for path in tmp_path.glob("[!.]*")] == left


def test_who_reads_while_another_writes_sees_all_of_the_old(tmp_path: Path) -> None:
    write_json(tmp_path / "record.json", {"n": 1})
    with (tmp_path / "record.json").open() as reader:
        write_json(tmp_path / "record.json", {"n": 2})
        assert json.load(reader) == {"n": 1}
    assert json.loads((tmp_path / "record.json").read_text()) == {"n": 2}


def test_a_writer_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "record.json"
    write_json(path, {"n": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"n": float("nan")})
    with suppress(KeyboardInterrupt), atomic(path) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert json.loads(path.read_text()) == {"n": 1}
    assert list(path.parent.iterdir()) == [path]


def test_files_get_the_usual_permissions(tmp_path: Path) -> None:
    """Not the private ones of temporary files: results folders are shared."""
    (tmp_path / "usual").touch()
    write_json(tmp_path / "ours.json", {})
    assert (tmp_path / "ours.json").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"cannot write to .*/file/curves: Not a directory"):
        fake.write(tmp_path / "file", fake.record(fake.run()))


def test_a_record_reads_as_written(folder: Folder) -> None:
    assert folder.record(fake.run().id) == fake.record(fake.run())
    assert folder.records() == ([fake.record(fake.run())], [])


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "cannot be read"),
        ('{"schema_version": 1', "cannot be read"),
        ("[]", "schema version None; this suite reads 1"),
        ('{"schema_version": 2}', "schema version 2; this suite reads 1"),
        ('{"schema_version": 1}', "run_id: Field required"),
    ],
)
def test_a_record_that_cannot_be_read_is_named(text: str, complaint: str, folder: Folder) -> None:
    path = only_record(folder)
    path.write_text(text)
    with pytest.raises(RecordError) as caught:
        read_record(path)
    assert complaint in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert folder.state(path.stem) == "corrupt"
    assert len(folder.records()[1]) == 1
    assert path.read_text() == text


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("surprise", 1, "surprise"),
        ("status", "perfect", "status"),
        ("result", {"top1": "high"}, "result.top1"),
        ("run_id", "another", "says another"),
    ],
)
def test_a_record_with_a_wrong_field_is_refused(field: str, value: Any, complaint: str, folder: Folder) -> None:
    path = only_record(folder)
    edit(path, **{field: value})
    with pytest.raises(RecordError, match=complaint):
        read_record(path)


def test_a_record_of_another_run_under_this_name_is_refused(folder: Folder) -> None:
    path = only_record(folder)
    run = json.loads(path.read_text())["run"]
    edit(path, run={**run, "seed": 5})
    with pytest.raises(RecordError, match="its run hashes to"):
        read_record(path)
    shutil.copyfile(path, path.with_name("another.json"))
    with pytest.raises(RecordError, match="another"):
        read_record(path.with_name("another.json"))


def test_tables_do_not_depend_on_how_records_were_made(tmp_path: Path) -> None:
    runs = [fake.run(method, seed) for method in ("kd", "sp", "student") for seed in range(3)]
    tables = []
    for order in range(3):
        random.Random(order).shuffle(runs)
        folder = Folder(fake.write(tmp_path / str(order), *map(fake.record, runs)))
        folder.write_tables()
        folder.write_tables()
        tables.append([(folder.path / name).read_bytes() for name in ("runs.csv", "costs.csv")])
    assert tables[0] == tables[1] == tables[2]
    lines = tables[0][0].decode().splitlines()
    assert len(lines) == 1 + len(runs)
    assert lines[1:] == sorted(lines[1:])


def test_numbers_in_tables_are_exact(tmp_path: Path) -> None:
    write_rows(tmp_path / "t.csv", [{"a": 0.1 + 0.2, "b": None, "c": 1e-17}])
    assert (tmp_path / "t.csv").read_text() == "a,b,c\n0.30000000000000004,,1e-17\n"


def test_states(tmp_path: Path) -> None:
    done, diverged, failed, missing = (fake.run(seed=seed) for seed in range(4))
    records = (fake.record(done), fake.record(diverged, status="diverged"))
    folder = Folder(fake.write(tmp_path / "grid", *records, planned=(failed, missing)))
    folder.fail(failed.id, "ValueError: no", "Traceback")
    states = {run.seed: folder.state(run.id) for run in (done, diverged, failed, missing)}
    assert states == {0: "done", 1: "diverged", 2: "failed", 3: "missing"}
    assert folder.failure(failed.id) == "ValueError: no"
    assert folder.planned(missing.id) == missing
    assert folder.planned_ids() == sorted(run.id for run in (done, diverged, failed, missing))


def test_a_record_makes_up_for_an_earlier_failure(folder: Folder) -> None:
    run = fake.run(seed=1)
    folder.fail(run.id, "MemoryError: ", "")
    folder.finish(fake.record(run), [])
    assert folder.state(run.id) == "done"
    assert folder.failure(run.id) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}"])
def test_a_failure_note_that_cannot_be_read_is_still_a_failure(text: str, folder: Folder) -> None:
    folder.fail("run", "error", "log")
    folder.failure_path("run").write_text(text)
    assert folder.state("run") == "failed"


def test_leftovers_of_killed_writers_are_not_records(folder: Folder) -> None:
    (folder.path / "records" / ".half.json.x1y2").write_text("{")
    (folder.path / "records" / ".half.json").write_text("{")
    assert len(folder.records()[0]) == 1
    assert not folder.records()[1]


def test_teachers_lie_beside_a_folder_named_from_within(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "grid" / "records").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "grid" / "records")
    assert Folder(Path("..")).teachers.path == tmp_path / "teachers"
    monkeypatch.chdir(tmp_path / "grid")
    assert Folder(Path()).teachers.path == tmp_path / "teachers"
    assert Folder(Path("results/grid")).teachers.path == Path("results/teachers")


@pytest.mark.parametrize("kind", ["record_path", "weights_path"])
def test_a_failure_by_the_teachers_fault_stands_until_its_files_change(folder: Folder, kind: str) -> None:
    path: Path = getattr(folder.teachers, kind)("teacher")
    folder.fail("student", "TeacherError: bad", "", teacher_id="teacher")
    folder.fail("own", "ValueError: no", "")
    assert folder.failure("student") == "TeacherError: bad"
    path.parent.mkdir(parents=True)
    path.write_text("repaired")
    assert folder.failure("student") is None
    assert folder.state("student") == "missing"
    assert folder.failure("own") == "ValueError: no"
    folder.fail("student", "TeacherError: still bad", "", teacher_id="teacher")
    assert folder.failure("student") == "TeacherError: still bad"
    path.unlink()
    assert folder.failure("student") is None


@pytest.mark.parametrize("text", ["", "{}", "{", "null"])
def test_a_plan_that_cannot_be_read_is_written_anew(text: str, tmp_path: Path) -> None:
    folder, run = Folder(tmp_path / "grid"), fake.run()
    folder.plan(run)
    folder.planned_path(run.id).write_text(text)
    folder.plan(run)
    assert folder.planned(run.id) == run
