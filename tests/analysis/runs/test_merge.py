"""Merging the records of several machines."""

import os
from pathlib import Path

import fake_results as fake
import pytest

from analysis.__main__ import main
from analysis.runs.load import load
from analysis.runs.merge import Merged, merge
from benchmark.ground.errors import UsageError
from benchmark.ground.files import FileError, write_bytes
from benchmark.records import Folder, Result

pytestmark = pytest.mark.usefixtures("undrawn")


def halves(tmp_path: Path, **second: object) -> tuple[Path, Path]:
    """One grid's runs on two machines, kd's seed 1 on both."""
    every = fake.records({"student": (80.0, 81.0, 82.0), "kd": (84.0, 85.0, 86.0)})
    others = fake.records({"student": (80.0, 81.0, 82.0), "kd": (84.0, 85.0, 86.0)}, **second)
    return fake.write(tmp_path / "a", *every[:5]), fake.write(tmp_path / "b", *others[4:])


def test_records_that_agree_become_one_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = halves(tmp_path)
    assert main([str(first), "--merge", str(second)]) == 0
    assert "1 record copied, 1 there already, 0 left out" in capsys.readouterr().out
    assert list(load([first]).runs.status) == ["done"] * 6
    assert len(list((first / "curves").iterdir())) == 6
    assert "**<u>85.00 ± 1.00</u>**" in (first / "tables/main.md").read_text(encoding="utf-8")


def test_a_record_stays_until_all_of_its_better_one_is_there(tmp_path: Path) -> None:
    """A student that was recorded without its teacher, and a predictions file that cannot be read."""
    run = fake.run("student", 1)
    unknown = dict(teacher_id=None, teacher_weights_sha256=None, teacher_top1=None)
    target, source = (
        Folder(fake.write(tmp_path / name, fake.record(run, 0.8, **result)))
        for name, result in (("a/grid", unknown), ("b/grid", {}))
    )
    assert target.lacks_teacher(run.id)
    source.predictions_path(run.id).parent.mkdir()
    os.mkfifo(source.predictions_path(run.id))
    with pytest.raises(FileError):
        merge(target.path, [source.path])
    assert target.lacks_teacher(run.id)
    source.predictions_path(run.id).unlink()
    assert merge(target.path, [source.path]).copied == 1
    assert target.state(run.id) == "done"
    assert not target.lacks_teacher(run.id)


def test_merging_starts_a_folder_where_there_is_none(tmp_path: Path) -> None:
    first, second = halves(tmp_path)
    target = tmp_path / "all"
    assert main([str(target), "--merge", str(first), str(second)]) == 0
    assert len(load([target]).runs) == 6


@pytest.mark.parametrize(
    ("second", "named"),
    [
        ({"teacher_weights_sha256": "bb"}, "the weights' hash of teacher digits-resnet_l-teacher-s0"),
        ({"data_sha256": "ee"}, "the hash of data set"),
        ({"weights_sha256": "ff"}, "the result of digits-resnet_l-resnet_s-kd-s1"),
    ],
)
def test_what_contradicts_is_named_left_out_and_nothing_overwritten(
    second: dict[str, object], named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, other = halves(tmp_path, **second)
    before = {path.name: path.read_bytes() for path in (first / "records").iterdir()}
    assert main([str(first), "--merge", str(other)]) == 1
    error = capsys.readouterr().err
    assert named in error
    assert str(other) in error
    assert str(first) in error
    assert {name: (first / "records" / name).read_bytes() for name in before} == before


def taught(path: Path, method: str, weights: str) -> tuple[Folder, Folder]:
    """A machine's results: a run, its teacher, and what both say of the test images."""
    run = fake.run(method)
    assert run.teacher is not None
    student, teacher = Folder(path / "grid"), Folder(path / "teachers")
    own = fake.record(run).model_copy(update={"run": run.teacher, "run_id": run.teacher.id})
    result = Result(top1=0.96, weights_sha256=weights, data_sha256="dd")
    fake.write(teacher.path, own.model_copy(update={"result": result}))
    fake.write(student.path, fake.record(run, teacher_weights_sha256=weights))
    for folder, run_id in ((student, run.id), (teacher, run.teacher.id)):
        write_bytes(folder.predictions_path(run_id), run_id.encode())
    write_bytes(teacher.weights_path(run.teacher.id), weights.encode())
    return student, teacher


def test_teachers_come_along_with_what_they_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    theirs, teachers = taught(tmp_path / "b", "kd", "aa")
    target = tmp_path / "a" / "grid"
    assert main([str(target), "--merge", str(theirs.path)]) == 0
    assert "1 record (and 1 teacher) copied, 0 there already" in capsys.readouterr().out
    parts = ("records", "curves", "predictions", "weights")
    copied = {path.relative_to(tmp_path / "a") for path in (tmp_path / "a" / "teachers").rglob("*.*")}
    assert copied == {path.relative_to(tmp_path / "b") for path in teachers.path.rglob("*.*")}
    assert {path.parent.name for path in copied} == set(parts)
    [predictions] = (tmp_path / "a" / "grid" / "predictions").iterdir()
    predictions.unlink()
    assert merge(target, [theirs.path]) == Merged(known=1)
    assert predictions.exists()


def test_students_of_a_teacher_that_was_trained_otherwise_here_stay_where_they_are(tmp_path: Path) -> None:
    theirs, _ = taught(tmp_path / "b", "kd", "bb")
    ours, teachers = taught(tmp_path / "a", "kd", "aa")
    [record] = (ours.path / "records").iterdir()
    record.unlink()
    before = {path: path.read_bytes() for path in teachers.path.rglob("*.*")}
    merged = merge(ours.path, [theirs.path])
    assert (merged.copied, merged.teachers, len(merged.conflicts)) == (0, 0, 2)
    assert all(
        "the weights' hash of teacher" in conflict or "the result of" in conflict for conflict in merged.conflicts
    )
    assert before == {path: path.read_bytes() for path in teachers.path.rglob("*.*")}


def test_holes_that_were_planned_elsewhere_stay_visible(tmp_path: Path) -> None:
    first = fake.write(tmp_path / "a", *fake.records({"kd": (84.0,)}), planned=(fake.run("kd", 1),))
    second = fake.write(tmp_path / "b", *fake.records({"student": (80.0,)}), planned=(fake.run("sp", 0),))
    merge(first, [second])
    runs = load([first]).runs
    assert {(m, s): state for m, s, state in zip(runs.method, runs.seed, runs.status, strict=True)} == {
        ("kd", 0): "done",
        ("kd", 1): "missing",
        ("sp", 0): "missing",
        ("student", 0): "done",
    }


def test_holes_of_a_folder_without_plans_stay_visible_beside_planned_runs(tmp_path: Path) -> None:
    values = {"student": (80.0, 81.0), "kd": (84.0,)}
    published = fake.write(tmp_path / "published", *fake.records(values))
    mine = fake.write(tmp_path / "mine", *fake.records({"sp": (82.0,)}), planned=(fake.run("sp", 0),))
    merge(published, [mine])
    runs = load([published]).runs
    assert {*zip(runs.method, runs.seed, runs.status, strict=True)} == {
        ("student", 0, "done"),
        ("student", 1, "done"),
        ("kd", 0, "done"),
        ("kd", 1, "missing"),
        ("sp", 0, "done"),
    }


def test_a_run_that_failed_here_and_finished_there_is_finished(tmp_path: Path) -> None:
    first, second = halves(tmp_path)
    [missing] = {path.stem for path in (second / "records").iterdir()} - {
        path.stem for path in (first / "records").iterdir()
    }
    Folder(first).fail(missing, "out of memory", log="")
    merge(first, [second])
    assert Folder(first).failure(missing) is None


def test_an_empty_source_is_refused_before_anything_is_copied(tmp_path: Path) -> None:
    first, second = halves(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no valid record in"):
        merge(first, [second, tmp_path / "empty"])
    assert len(list((first / "records").iterdir())) == 5
    assert main([str(first), "--merge", str(tmp_path / "nowhere")]) == 2


def test_a_record_with_its_teacher_takes_the_place_of_one_without(tmp_path: Path) -> None:
    whole = fake.record(fake.run("student"))
    alone = fake.record(whole.run, teacher_id=None, teacher_weights_sha256=None, teacher_top1=None)
    first, second = fake.write(tmp_path / "a", alone), fake.write(tmp_path / "b", whole)
    assert (merge(first, [second]).copied, merge(first, [second]).known) == (1, 1)
    assert Folder(first).record(whole.run_id) == whole
    third = fake.write(tmp_path / "c", alone)
    assert merge(first, [third]).known == 1
    assert Folder(first).record(whole.run_id) == whole
