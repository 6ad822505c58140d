"""On a real SLURM: jobs that cannot end well, what is said of them, and that all is made once the cause is gone.

Jobs take long to start, so that tests share them: a fixture does to every job what harms it, while the others go on,
and each test looks at one.
"""

import shutil
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

import pytest
from command_line import contents, write_grid
from slurm_places import EPOCHS, Place, said, shown, wait_until

from benchmark.ground.errors import COMPLETE, FAILED, INCOMPLETE
from benchmark.launch.slurm import scheduler
from benchmark.records import Folder, ledger

pytestmark = [pytest.mark.slurm, pytest.mark.usefixtures("trial", "surroundings")]


@dataclass
class Mended:
    """A place whose job cannot end well, what is said of it then, and the same once the cause is gone."""

    place: Place
    status: str = ""
    retried: str = ""
    ends: list[str] = field(default_factory=list)
    failures: list[str | None] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)


@pytest.fixture(scope="module")
def mended(taught: Callable[[str], Place]) -> dict[str, Mended]:
    found = {name: Mended(taught(name)) for name in ("fault", "memory", "disk", "weights")}
    fault, memory, disk, weights = (each.place for each in found.values())
    write_grid(fault.home / "long.toml", methods=["faulty", "slow"], recipe__epochs=EPOCHS)
    fault.pace.with_suffix(".fault").touch()
    fault.set_pace(0.5)
    assert fault.grid() == INCOMPLETE

    assert memory.grid("--seeds", "1", memory="mem=60M") == INCOMPLETE

    shutil.rmtree(disk.results / "teachers")
    (disk.home / "full.toml").write_text('setup = ["ulimit -f 20"]\n')
    assert disk.grid("--seeds", "1", "--profile", str(disk.home / "full.toml")) == INCOMPLETE

    (teacher,) = (weights.results / "teachers" / "weights").iterdir()
    away = teacher.rename(weights.home / "away")
    assert weights.grid("--seeds", "1") == INCOMPLETE

    wait_until(fault.training(0))
    fault.pace.with_suffix(".fault").unlink()
    with redirect_stdout(StringIO()) as retried:
        assert fault.grid("--retry", "failed") == INCOMPLETE
    found["fault"].retried = retried.getvalue()
    fault.set_pace(0)
    for each in found.values():
        wait_until(each.place.gone)
        folder = Folder(each.place.folder)
        each.status, each.ends = each.place.status(), list(scheduler.endings(ledger.entries(folder)).values())
        each.failures = [folder.failure(run_id) for run_id in folder.planned_ids()]
        assert len(contents(each.place.folder)) == (each.place is fault)
    away.rename(teacher)
    teacher.touch()
    found["fault"].codes = [fault.grid(), fault.grid("--retry", "failed")]
    for place in (memory, disk, weights):
        assert place.grid("--seeds", "1") == INCOMPLETE
    local = ("--executor", "inline", "--results-dir", str(fault.home / "local"))
    assert fault.grid(*local) == COMPLETE
    wait_until(lambda: all(each.place.gone() for each in found.values()))
    return found


def test_a_run_fails_alone_and_is_left_alone_until_its_job_has_ended(mended: dict[str, Mended]) -> None:
    """Of two runs of a cohort one failed at once and the other went on."""
    fault = mended["fault"]
    first, _ = fault.place.jobs()
    assert f"left alone: 1 failed runs, until their job {first} is done with its others" in fault.retried
    assert "nothing to submit" in fault.retried
    assert fault.ends == ["FAILED"]
    assert "1 done, 1 failed" in fault.status
    assert "RuntimeError: a fault" in fault.status
    assert fault.codes == [FAILED, INCOMPLETE]
    assert contents(fault.place.folder) == contents(fault.place.home / "local" / "long")


def test_out_of_memory(mended: dict[str, Mended], undisturbed: Place) -> None:
    assert "1 lost" in mended["memory"].status
    assert "memory" in mended["memory"].status.lower()
    mended["memory"].place.assert_as(undisturbed, 0)


def test_a_full_disk_fails_nothing_for_good(mended: dict[str, Mended], undisturbed: Place) -> None:
    """No file may grow beyond 20 KiB: the teacher's weights do not fit, and its student does not wait for ever."""
    disk = mended["disk"]
    assert disk.status.count(": 1 lost") == 2  # the teacher and its student
    assert disk.failures == [None]
    assert not list(disk.place.folder.glob("code/**/*.pyc"))  # one that is cut short ends every later job
    disk.place.assert_as(undisturbed, 0)
    assert contents(disk.place.results / "teachers") == contents(undisturbed.results / "teachers")


def test_a_failed_teacher_is_repaired(mended: dict[str, Mended], undisturbed: Place) -> None:
    """Its weights are gone: the student fails by its fault, and is to be made again once they are back."""
    assert "but no weights at" in str(mended["weights"].failures[0])
    assert mended["weights"].ends == ["FAILED"]
    mended["weights"].place.assert_as(undisturbed, 0)


def test_what_reads_nothing_is_trained_though_its_teacher_cannot_serve(tmp_path: Path) -> None:
    """The students' job waits for the teacher's to end, however it does; the gate says what is wrong with the teacher;
    once the grid accepts it, the record of `student` is completed and `sp` is trained, to a local run's records."""
    place = Place(tmp_path, "gate")
    write_grid(place.home / "gate.toml", seeds=[0], expected_accuracy={"digits": {"resnet_m": 1.0}})
    assert place.grid("--slurm", "hold") == INCOMPLETE
    teacher, students = place.jobs()
    assert shown(students, "Dependency").startswith(f"afterany:{teacher}")
    for job_id in (teacher, students):
        said("scontrol", "release", job_id)
    wait_until(place.gone)
    folder = Folder(place.folder)
    sp, student = sorted(folder.planned_ids())
    assert [folder.state(run_id) for run_id in (student, sp)] == ["done", "failed"]
    assert folder.lacks_teacher(student)
    assert "the grid's expected_accuracy is 1.0000" in str(folder.failure(sp))
    assert folder.failure(sp) == folder.why_without_teacher(student)
    assert str(folder.failure(sp)) in place.status()

    write_grid(place.home / "gate.toml", seeds=[0])
    assert place.grid("--retry", "failed") == INCOMPLETE
    wait_until(place.gone)
    assert place.grid("--executor", "inline", "--results-dir", str(tmp_path / "local")) == COMPLETE
    assert contents(place.folder) == contents(tmp_path / "local" / "gate")
    assert not list(place.folder.glob("checkpoints/*"))
