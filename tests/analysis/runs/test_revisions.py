"""Records of an older revision: left out, named, and never pooled with newer ones."""

from pathlib import Path

import fake_results as fake

from analysis.runs.load import load
from analysis.statistics.cells import pool
from benchmark.records import Record


def revised(record: Record, revision: int) -> Record:
    """The same run by a later revision of its method."""
    run = record.run.model_copy(update={"revisions": {record.run.method: revision}})
    return record.model_copy(update={"run": run, "run_id": run.id})


def test_records_of_an_older_revision_are_left_out_and_named(tmp_path: Path) -> None:
    old = [fake.record(fake.run("kd", seed), 0.5) for seed in range(3)]
    records = [revised(old[0], 1), revised(old[0], 7), revised(old[1], 1), revised(old[2], 7)]
    path = fake.write(tmp_path / "grid", *records)
    results = load([path])
    assert list(results.runs.status) == ["done", "stale", "done"]
    assert "1 record is left out as stale (kd revision 1, now 7)" in results.problems[0]
    included = load([path], include_stale=True)
    assert list(included.runs.status) == ["done"] * 3
    assert list(included.runs.stale) == ["", "kd revision 1, now 7", ""]
    # Two revisions are not pooled, asked for or not.
    assert pool(included.runs)[1].state == "mixed"


def test_a_student_under_a_stale_teacher_is_stale(tmp_path: Path) -> None:
    newer = fake.run("sp", teacher_seed=0)
    assert newer.teacher is not None
    teacher = newer.teacher.model_copy(update={"protocol": newer.protocol + 1})
    newer = newer.model_copy(update={"protocol": newer.protocol + 1, "teacher": teacher})
    half = newer.model_copy(update={"teacher": fake.run().teacher, "method": "kd", "label": "kd"})
    runs = load([fake.write(tmp_path / "grid", fake.record(newer), fake.record(half))]).runs
    assert dict(zip(runs.method, runs.status, strict=True)) == {"kd": "stale", "sp": "done"}
    assert runs.reason[runs.method == "kd"].item() == f"its teacher's protocol revision {newer.protocol - 1}, now 2"


def test_the_suites_own_revisions_are_known_without_importing_it() -> None:
    from analysis.runs.revisions import Revisions

    assert Revisions.newest([]).methods["rkd_da"] >= 1
