"""Checkpoints: atomic, two kept, a damaged one passed over."""

import logging
import os
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from full_disk import files_end_at

from benchmark import files
from benchmark.errors import UsageError, machine_trouble
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
    found = checkpoints.newest(folder, "run", CPU)
    assert found is not None
    assert torch.equal(found["weights"], torch.full((50,), 12.0))


def test_none_where_there_is_none(tmp_path: Path) -> None:
    assert checkpoints.newest(tmp_path / "absent", "run", CPU) is None
    checkpoints.discard(tmp_path / "absent")


def flip_byte(data: bytes) -> bytes:
    """One byte of the weights: the file is still a readable archive of the same length."""
    place = data.index(torch.full((50,), 12.0).numpy().tobytes())
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda data: b"", id="empty"),
        pytest.param(lambda data: data[: len(data) // 2], id="truncated"),
        pytest.param(lambda data: data[:-1], id="one-byte-short"),
        pytest.param(lambda data: b"\x80garbage" * 100, id="garbage"),
        pytest.param(flip_byte, id="one-bit-flipped"),
    ],
)
def test_a_damaged_newest_falls_back_to_the_older(
    folder: Path, damage: Callable[[bytes], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    newest = folder / "000000012.pt"
    newest.write_bytes(damage(newest.read_bytes()))
    with caplog.at_level(logging.WARNING):
        assert step_of(checkpoints.newest(folder, "run", CPU)) == 5
    assert str(newest) in caplog.text
    (folder / "000000005.pt").write_bytes(b"")
    assert checkpoints.newest(folder, "run", CPU) is None


@pytest.mark.parametrize("stranger", [{"run_id": "another", "next_step": 99}, {"next_step": 99}, [1, 2], torch.ones(3)])
def test_another_runs_file_is_refused(folder: Path, stranger: object) -> None:
    torch.save(stranger, folder / "000000099.pt")
    assert step_of(checkpoints.newest(folder, "run", CPU)) == 12


def test_a_pickle_that_runs_code_is_refused(folder: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(folder / "evil"),)

    torch.save({"run_id": "run", "next_step": 99, "evil": Evil()}, folder / "000000099.pt")
    assert step_of(checkpoints.newest(folder, "run", CPU)) == 12
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
    assert step_of(checkpoints.newest(folder, "run", CPU)) == 12


def test_what_a_killed_writer_left_is_ignored_and_goes_with_the_rest(folder: Path) -> None:
    (folder / ".000000013.pt.abcdef").write_bytes(b"half")
    assert step_of(checkpoints.newest(folder, "run", CPU)) == 12
    checkpoints.discard(folder)
    assert not folder.exists()


def test_a_folder_that_cannot_be_made_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("in the way")
    with pytest.raises(UsageError, match=f"cannot write to {tmp_path / 'run'}"):
        checkpoints.save(tmp_path / "run", state(1))
