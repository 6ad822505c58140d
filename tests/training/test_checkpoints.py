"""Checkpoints: atomic, two kept, a damaged one passed over."""

import logging
import os
import pickle
import shutil
import threading
import zipfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from full_disk import files_end_at

from benchmark.ground import files
from benchmark.ground.errors import UsageError, machine_trouble
from benchmark.training import checkpoints

CPU = torch.device("cpu")


def state(step: int, run_id: str = "run") -> dict[str, object]:
    return {"run_id": run_id, "next_step": step, "weights": torch.full((50,), float(step))}


def step_of(found: dict[str, object] | None) -> object:
    return found and found["next_step"]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Checkpoints of steps 5 and 12, the two that are kept of four."""
    for step in (1, 2, 5, 12):
        checkpoints.save(tmp_path / "run", state(step))
    return tmp_path / "run"


def test_two_are_kept_and_the_newest_is_found(folder: Path) -> None:
    assert names(folder) == ["000000005.pt", "000000012.pt"]
    found = next(checkpoints.newest_first(folder, "run", CPU), None)
    assert found is not None
    assert torch.equal(found["weights"], torch.full((50,), 12.0))


def test_none_where_there_is_none(tmp_path: Path) -> None:
    assert next(checkpoints.newest_first(tmp_path / "absent", "run", CPU), None) is None
    checkpoints.discard(tmp_path / "absent")


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "truncated": lambda data: data[: len(data) // 2],
    "one byte short": lambda data: data[:-1],
    "one byte long": lambda data: data + b"\0",
    "without its digest": lambda data: data[: -checkpoints.COMMENT],
    "with a digest of another file": lambda data: data[:-64] + b"0" * 64,
    "garbage": lambda data: b"\x80garbage" * 100,
    "a pickle": lambda data: pickle.dumps({"run_id": "run", "next_step": 12}),
    "twice": lambda data: data + data[:-1],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_newest_falls_back_to_the_older(folder: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    newest = folder / "000000012.pt"
    newest.write_bytes(DAMAGES[damage](newest.read_bytes()))
    with caplog.at_level(logging.WARNING):
        assert step_of(next(checkpoints.newest_first(folder, "run", CPU), None)) == 5
    assert str(newest) in caplog.text
    (folder / "000000005.pt").write_bytes(b"")
    assert next(checkpoints.newest_first(folder, "run", CPU), None) is None


def test_no_flipped_bit_is_ever_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor parsed: the zip's own directory has no checksum."""
    newest = folder / "000000012.pt"
    data = newest.read_bytes()
    loaded: list[str] = []
    load = torch.load
    monkeypatch.setattr(torch, "load", lambda file, **how: (loaded.append(file.name), load(file, **how))[1])
    for bit in range(0, 8 * len(data), 5):
        newest.write_bytes(data[: bit // 8] + bytes([data[bit // 8] ^ 1 << bit % 8]) + data[bit // 8 + 1 :])
        assert step_of(next(checkpoints.newest_first(folder, "run", CPU), None)) == 5
    assert set(loaded) == {str(folder / "000000005.pt")}


@pytest.mark.parametrize("kind", ["a folder", "a pipe", "a dangling link", "a device", "a loop"])
def test_what_is_no_file_is_passed_over_and_stays(folder: Path, kind: str) -> None:
    newest = folder / "000000099.pt"
    if kind == "a folder":
        newest.mkdir()
    elif kind == "a pipe":
        os.mkfifo(newest)
    else:
        newest.symlink_to({"a device": "/dev/zero", "a loop": newest.name}.get(kind, "nowhere"))
    assert step_of(next(checkpoints.newest_first(folder, "run", CPU), None)) == 12
    checkpoints.save(folder, state(13))
    assert step_of(next(checkpoints.newest_first(folder, "run", CPU), None)) == 13


@pytest.mark.parametrize("name", ["last.pt", "1e9.pt", "٣.pt", ".000000099.pt", "9" * 30 + ".pt"])
def test_what_has_another_name_is_none(folder: Path, name: str) -> None:
    shutil.copy(folder / "000000005.pt", folder / name)
    assert step_of(next(checkpoints.newest_first(folder, "run", CPU), None)) == 12


def test_one_from_before_there_was_a_digest_is_gone_on_from(folder: Path) -> None:
    """Interrupted runs keep what they have, as far as the archive's own checksums are right."""
    newest = folder / "000000020.pt"
    torch.save(state(20), newest)
    assert step_of(next(checkpoints.newest_first(folder, "run", CPU), None)) == 20
    data = newest.read_bytes()
    place = data.index(torch.full((50,), 20.0).numpy().tobytes())
    newest.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    assert step_of(next(checkpoints.newest_first(folder, "run", CPU), None)) == 12


def test_the_suite_from_before_reads_those_with_a_digest(folder: Path) -> None:
    """Jobs run the code that they were submitted with, and share folders with later ones."""
    newest = folder / "000000012.pt"
    assert zipfile.ZipFile(newest).testzip() is None
    assert step_of(torch.load(newest, weights_only=True)) == 12


def test_after_going_back_the_later_ones_do_not_push_out_the_new(folder: Path) -> None:
    for path in folder.iterdir():
        path.write_bytes(b"")
    checkpoints.save(folder, state(1))
    assert names(folder) == ["000000001.pt"]
    checkpoints.save(folder, state(2))
    assert step_of(next(checkpoints.newest_first(folder, "run", CPU), None)) == 2


def test_a_folder_that_is_a_link_to_elsewhere_is_not_followed(folder: Path, tmp_path: Path) -> None:
    elsewhere, link = tmp_path / "elsewhere", tmp_path / "checkpoints" / "run"
    elsewhere.mkdir()
    link.parent.mkdir()
    (elsewhere / "000000001.pt").write_text("another user's")
    link.symlink_to(elsewhere)
    for act in (
        lambda: checkpoints.save(link, state(9)),
        lambda: next(checkpoints.newest_first(link, "run", CPU), None),
    ):
        with pytest.raises(UsageError, match=f"{link} is a link that leads out of"):
            act()
    checkpoints.discard(link)
    assert not link.is_symlink()
    assert names(elsewhere) == ["000000001.pt"]


@pytest.mark.parametrize("stranger", [{"run_id": "another", "next_step": 99}, {"next_step": 99}, [1, 2], torch.ones(3)])
def test_another_runs_file_is_refused(folder: Path, stranger: object) -> None:
    torch.save(stranger, folder / "000000099.pt")
    assert step_of(next(checkpoints.newest_first(folder, "run", CPU), None)) == 12


def test_a_pickle_that_runs_code_is_refused(folder: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(folder / "evil"),)

    torch.save({"run_id": "run", "next_step": 99, "evil": Evil()}, folder / "000000099.pt")
    assert step_of(next(checkpoints.newest_first(folder, "run", CPU), None)) == 12
    assert not (folder / "evil").exists()


@pytest.mark.parametrize("instant", ["writing", "renaming"])
def test_a_failed_save_leaves_no_trace(folder: Path, monkeypatch: pytest.MonkeyPatch, instant: str) -> None:
    before, full = names(folder), files_end_at(100) if instant == "writing" else nullcontext()

    def refuse(*args: object) -> None:
        raise OSError(5, "Input/output error")

    if instant == "renaming":
        monkeypatch.setattr(files.os, "replace", refuse)
    with full, pytest.raises(OSError, match=r"File too large|Input/output error") as caught:
        checkpoints.save(folder, state(13))
    assert machine_trouble(caught.value)
    assert names(folder) == before
    assert step_of(next(checkpoints.newest_first(folder, "run", CPU), None)) == 12


def test_what_a_killed_writer_left_is_ignored_and_goes_with_the_rest(folder: Path) -> None:
    (folder / ".000000013.pt.abcdef").write_bytes(b"half")
    assert step_of(next(checkpoints.newest_first(folder, "run", CPU), None)) == 12
    checkpoints.discard(folder)
    assert not folder.exists()


def test_a_folder_that_cannot_be_made_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("in the way")
    with pytest.raises(UsageError, match=f"cannot write to {tmp_path / 'run'}"):
        checkpoints.save(tmp_path / "run", state(1))


def test_what_is_written_behind_is_what_was_there_when_it_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, may_go_on, really = threading.Event(), threading.Event(), checkpoints.save

    def slowly(folder: Path, given: dict[str, object]) -> None:
        begun.set()
        assert may_go_on.wait(60)
        really(folder, given)

    monkeypatch.setattr(checkpoints, "save", slowly)
    module = torch.nn.BatchNorm1d(3)
    training = {**state(1), "network": module.state_dict(), "curve": [{"epoch": 0}]}
    with checkpoints.Writer(behind=True) as writer:
        writer.save({tmp_path / "run": training})
        assert begun.wait(60)
        training["weights"].zero_()  # type: ignore[attr-defined]
        training["curve"].append({"epoch": 1})  # type: ignore[attr-defined]
        torch.nn.init.constant_(module.weight, 7)
        may_go_on.set()
    (found,) = checkpoints.newest_first(tmp_path / "run", "run", CPU)
    assert found["weights"].tolist() == [1.0] * 50
    assert found["curve"] == [{"epoch": 0}]
    assert found["network"]["weight"].tolist() == [1.0] * 3
    assert checkpoints.on_host(module.state_dict())._metadata == module.state_dict()._metadata  # type: ignore[attr-defined]


@pytest.mark.parametrize("behind", [False, True])
def test_a_full_disk_is_told_however_it_is_written(tmp_path: Path, behind: bool) -> None:
    def saved() -> None:
        writer.save({tmp_path / "run": state(2)})
        writer.wait()

    with checkpoints.Writer(behind=behind) as writer:
        writer.save({tmp_path / "run": state(1)})
        writer.wait()
        with files_end_at(50), pytest.raises(OSError, match="large") as raised:
            saved()
        assert machine_trouble(raised.value)
        saved()
    assert names(tmp_path / "run") == ["000000001.pt", "000000002.pt"]


def test_a_finished_training_outlives_checkpoints_that_cannot_be_written(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with files_end_at(50), checkpoints.Writer(behind=True) as writer:
        writer.save({tmp_path / "run": state(1)})
    assert "the last checkpoints could not be written" in caplog.text
