"""The command line: end to end, interrupted and resumed, and every kind of wrong usage."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from benchmark import job
from benchmark.grid import COMPLETE, FAILED, INCOMPLETE, INTERRUPTED, USAGE, main, method_options, seed_list
from benchmark.grid_file import GRIDS, load_grid

ROOT = Path(__file__).parent.parent
ESCAPE = "\x1b"
ODD_NAME = 'it\'s a "földer" '
METHODS = ("student", "sp")
EPOCHS = 50


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands and their workers run in the test's folder, on this tree and one thread, without a GPU."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


@pytest.fixture(scope="session", autouse=True)
def shipped_signals() -> Iterator[None]:
    """Commands started from here get Ctrl-C even if the tests themselves run in the background of a shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def write_grid(path: Path, **changes: Any) -> Path:
    """A grid of two methods, two epochs and one teacher of any accuracy; `recipe__epochs=3` changes a nested value."""
    raw = tomllib.loads((GRIDS / "smoke.toml").read_text())
    raw |= {"methods": list(METHODS), "expected_accuracy": {"digits": {"resnet_m": 0.0}}}
    raw["datasets"][0]["test"] = 60
    raw["recipe"]["epochs"] = raw["teacher_recipe"]["epochs"] = 2
    for name, value in changes.items():
        *tables, key = name.split("__")
        table = raw
        for part in tables:
            table = table[int(part) if part.isdigit() else part]
        table[key] = value
    if "datasets__0__name" in changes:
        raw["expected_accuracy"] = {}
    path.write_text(tomli_w.dumps(raw))
    return path


def cli(*arguments: str | Path, executor: str = "inline") -> int:
    return main([str(a) for a in arguments] + ["--executor", executor, "--threads", "1"])


def contents(folder: Path) -> dict[str, tuple[Any, Any, str]]:
    """What is compared of every record, the run and its result, and the curve beside it."""
    found = {}
    for path in (folder / "records").glob("*.json"):
        record = json.loads(path.read_text())
        curve = (folder / "curves" / f"{path.stem}.csv").read_text()
        found[path.stem] = (record["run"], record["result"], curve)
    return found


def runs(folder: Path) -> list[Any]:
    return [run for run, _, _ in contents(folder).values()]


def files(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def one_line(text: str) -> str:
    assert text.count("\n") == 1, text
    return text


# --- end to end -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results folder of the smoke grid, run once as it ships."""
    results = tmp_path_factory.mktemp("smoke")
    assert cli("--grid", "smoke", "--results-dir", results) == COMPLETE
    return results / "smoke"


def test_smoke_grid_records_tables_and_prints_every_method(smoke: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = files(smoke / "records")
    assert cli("--grid", "smoke", "--results-dir", smoke.parent) == COMPLETE
    assert files(smoke / "records") == before  # the second time there is nothing to do
    printed = capsys.readouterr().out
    assert all(
        name in printed for name in ("KD", "FitNet", "SP", "RKD-D", "RKD-A", "RKD-DA", "GKD", "MHGD", "Student alone")
    )
    assert {run["method"] for run in runs(smoke)} == set(load_grid("smoke").methods)
    assert len((smoke / "runs.csv").read_text().splitlines()) == 1 + 9
    assert not list((smoke / "claims").iterdir())
    assert not list((smoke / "progress").iterdir())
    assert not list((smoke / "checkpoints").glob("*"))


def test_only_a_missing_record_is_made_again(smoke: Path, tmp_path: Path) -> None:
    shutil.copytree(smoke.parent, tmp_path / "results")
    folder = tmp_path / "results" / "smoke"
    lost = next((folder / "records").glob("*-kd-*"))
    lost.unlink()
    before = files(folder / "records")
    assert cli("--grid", "smoke") == COMPLETE
    after = files(folder / "records")
    assert after.pop(lost)
    assert after == before
    assert contents(folder) == contents(smoke)  # alone as in company


def test_a_corrupt_record_is_kept_and_named_and_the_rest_goes_on(
    smoke: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(smoke.parent, tmp_path / "results")
    folder = tmp_path / "results" / "smoke"
    corrupt, lost = sorted((folder / "records").iterdir())[:2]
    corrupt.write_text(corrupt.read_text()[:100])
    lost.unlink()
    assert cli("--grid", "smoke") == FAILED
    assert corrupt.stat().st_size == 100
    assert lost.exists()
    assert str(corrupt.relative_to(tmp_path)) in capsys.readouterr().out
    assert main(["--grid", "smoke", "--status"]) == COMPLETE
    assert "8 done, 1 corrupt" in capsys.readouterr().out


# --- interrupted and resumed ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a grid long enough to be interrupted, beside its TOML file."""
    home = tmp_path_factory.mktemp("undisturbed")
    grid = write_grid(home / "long.toml", recipe__epochs=EPOCHS)
    assert cli("--grid", grid, "--results-dir", home / "results") == COMPLETE
    return home


@pytest.fixture
def begun(undisturbed: Path, tmp_path: Path) -> Path:
    """A results folder in which the teacher is there and the students are to come; its name asks for quoting."""
    results = tmp_path / ODD_NAME
    shutil.copytree(undisturbed / "results" / "teachers", results / "teachers")
    return results


@pytest.mark.parametrize(
    ("number", "code", "again"),
    [(signal.SIGINT, INTERRUPTED, "inline"), (signal.SIGKILL, -signal.SIGKILL, "local")],
    ids=["Ctrl-C", "kill -9"],
)
def test_a_signal_to_all_processes_costs_no_numbers(
    number: signal.Signals,
    code: int,
    again: str,
    undisturbed: Path,
    begun: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    where = ["--grid", undisturbed / "long.toml", "--results-dir", begun]
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmark.grid", *where, "--executor", "local", "--threads", "1"],
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for_an_epoch(begun / "long", process.poll)
    os.killpg(process.pid, number)
    _, errors = process.communicate()
    assert process.returncode == code, errors
    assert not contents(begun / "long")
    if number == signal.SIGINT:
        assert "run the same command again" in one_line(errors)
        assert_stopped_cleanly(begun / "long")
    assert cli(*where, executor=again) == COMPLETE
    assert contents(begun / "long") == contents(undisturbed / "results" / "long")
    said = capsys.readouterr()
    assert "2/2 runs done" in said.out
    assert ESCAPE not in said.out + said.err
    jobs = [json.loads(line) for line in (begun / "long" / "jobs.jsonl").read_text().splitlines()]
    assert [len(job["run_ids"]) for job in jobs] == [2] * (1 + (again == "local"))


@pytest.mark.parametrize("executor", ["local", "inline"])
def test_an_interrupt_of_the_command_alone_costs_no_numbers(
    executor: str, undisturbed: Path, begun: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = undisturbed / "long.toml"
    with during_training(begun / "long", lambda: os.kill(os.getpid(), signal.SIGINT)):
        assert cli("--grid", grid, "--results-dir", begun, executor=executor) == INTERRUPTED
    assert "run the same command again" in one_line(capsys.readouterr().err)
    assert_stopped_cleanly(begun / "long")
    assert cli("--grid", grid, "--results-dir", begun) == COMPLETE
    assert contents(begun / "long") == contents(undisturbed / "results" / "long")


def test_a_worker_killed_from_outside_is_made_up_for(
    undisturbed: Path, begun: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the system does when memory runs out: the worker goes, the command stays and says what is missing."""

    def kill_worker() -> None:
        claim = json.loads(next((begun / "long" / "claims").glob("[!.]*.json")).read_text())
        os.kill(claim["pid"], signal.SIGKILL)

    grid = undisturbed / "long.toml"
    with during_training(begun / "long", kill_worker):
        assert cli("--grid", grid, "--results-dir", begun, executor="local") == INCOMPLETE
    output = capsys.readouterr().out
    assert "2 runs are still to be made" in output
    assert re.search(r"worker \d+ ended early; its log: .*_log\.err", output)
    assert cli("--grid", grid, "--results-dir", begun) == COMPLETE
    assert contents(begun / "long") == contents(undisturbed / "results" / "long")


def assert_stopped_cleanly(folder: Path) -> None:
    """Nobody works on, and every student has left a checkpoint."""
    assert not contents(folder)
    assert not list((folder / "claims").iterdir())
    assert not list((folder / "progress").iterdir())
    assert len(list((folder / "checkpoints").glob("*/*.pt"))) == len(METHODS)


@contextmanager
def during_training(folder: Path, act: Callable[[], None]) -> Iterator[None]:
    """Do something from another thread while the block trains."""
    over = threading.Event()

    def wait_and_act() -> None:
        wait_for_an_epoch(folder, lambda: over.is_set() or None)
        act()

    thread = threading.Thread(target=wait_and_act)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def wait_for_an_epoch(folder: Path, over: Callable[[], object]) -> None:
    """Block until a worker says that some, but not all epochs are made."""
    while over() is None:
        for path in (folder / "progress").glob("[!.]*.json"):
            try:
                state = json.loads(path.read_text())
            except FileNotFoundError:
                continue
            if 0 < state["epoch"] < state["epochs"] == EPOCHS:
                return
        time.sleep(0.02)
    raise AssertionError("training was over too early")


def test_stopped_runs_end_with_the_same_numbers(
    undisturbed: Path, begun: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = iter(range(100))
    with monkeypatch.context() as patch:
        patch.setattr(job.Stop, "now", lambda self, deadline: deadline is not None and next(asked, 100) >= 100)
        grid = undisturbed / "long.toml"
        assert cli("--grid", grid, "--results-dir", begun, "--stop-after", "0.1s") == INCOMPLETE
    assert "2 runs are still to be made" in capsys.readouterr().out
    assert len(list((begun / "long" / "checkpoints").glob("*/*.pt"))) == len(METHODS)
    assert cli("--grid", grid, "--results-dir", begun) == COMPLETE
    assert contents(begun / "long") == contents(undisturbed / "results" / "long")
    provenance = [json.loads(path.read_text())["provenance"] for path in (begun / "long" / "records").iterdir()]
    assert [entry["resumed"] for entry in provenance] == [1, 1]


# --- failures ---------------------------------------------------------------------------------------------------------


def test_a_failed_teacher_fails_its_students_alone_and_can_be_retried(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs = [{"teacher": teacher, "student": "resnet_s"} for teacher in ("resnet_m", "resnet_s")]
    good = {"resnet_m": 0.0, "resnet_s": 0.0}
    grid = write_grid(tmp_path / "two.toml", pairs=pairs, expected_accuracy={"digits": {**good, "resnet_m": 1.0}})
    assert cli("--grid", grid) == FAILED
    printed = capsys.readouterr().out
    assert re.search(
        r"2 failed: TeacherError: teacher digits-resnet_m-.* the grid's expected_accuracy is 1.0000", printed
    )
    assert {run["pair"] for run in runs(tmp_path / "results" / "two")} == {"resnet_s_resnet_s"}

    write_grid(grid, pairs=pairs, expected_accuracy={"digits": good})
    before = files(tmp_path / "results" / "two" / "records")
    assert cli("--grid", grid) == FAILED  # left alone
    assert files(tmp_path / "results" / "two" / "records") == before
    assert cli("--grid", grid, "--retry", "failed") == COMPLETE
    assert len(contents(tmp_path / "results" / "two")) == 4


def test_what_a_method_cannot_serve_is_said_in_the_plan_and_in_the_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = write_grid(tmp_path / "pairs.toml", seeds=[0, 1], methods=["student", "sp"])
    arguments = ("--grid", grid, "--option", "sp.stages=9")
    assert cli(*arguments, "--dry-run") == COMPLETE
    planned = capsys.readouterr().out
    assert "n/a: sp[stages=9] on resnet_m_resnet_s: student: the network has 4 stages, 9 are needed" in planned
    assert cli(*arguments) == COMPLETE
    tabled = " ".join(capsys.readouterr().out.split())  # however the table is wrapped
    assert "n/a [" in tabled
    assert "the network has 4 stages, 9 are needed" in tabled


# --- instead of running -----------------------------------------------------------------------------------------------


def test_dry_run_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli("--grid", "smoke", "--seeds", "2", "--dry-run") == COMPLETE
    printed = capsys.readouterr().out
    assert "18 missing" in printed
    assert "forecast time: unknown" in printed
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("kind", "expected"), [("methods", "rkd_da: "), ("grids", "digits: "), ("models", "test_efficientnet")]
)
def test_lists(kind: str, expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list", kind]) == COMPLETE
    assert any(line.startswith(expected) for line in capsys.readouterr().out.splitlines())


def test_status_of_a_folder_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--grid", "smoke", "--status"]) == COMPLETE
    assert "nothing was run yet" in capsys.readouterr().out


def test_exported_weights_load_into_the_model_that_their_metadata_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from safetensors import safe_open

    from benchmark.models import timm

    grid = write_grid(tmp_path / "kept.toml", keep_weights=True, architectures__resnet_s__stem="timm")
    assert cli("--grid", grid, "--methods", "sp") == COMPLETE
    (run_id,) = contents(tmp_path / "results" / "kept")
    capsys.readouterr()
    assert main(["--export", run_id]) == COMPLETE
    with safe_open(f"{run_id}.safetensors", "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        run = json.loads(file.metadata()["run"])
    student = run["student"]
    model = timm().create_model(student["model"], num_classes=10, in_chans=1, **student["options"])
    model.load_state_dict(tensors)

    capsys.readouterr()
    assert main(["--export", run_id]) == USAGE
    assert "exists" in one_line(capsys.readouterr().err)
    assert main(["--export", "*"]) == USAGE
    assert run_id in one_line(capsys.readouterr().err)


# --- arguments --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seeds"), [("3", (0, 1, 2)), ("0,3,7", (0, 3, 7)), ("7,", (7,)), ("3,3", (3,)), ("0,", (0,)), (None, None)]
)
def test_seeds(text: str | None, seeds: tuple[int, ...] | None) -> None:
    assert seed_list(text) == seeds


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["all"], METHODS),
        (["kd,gkd"], ("kd", "gkd")),
        (["kd", "gkd"], ("kd", "gkd")),
        (["kd gkd, kd"], ("kd", "gkd")),
        (["kd+rkd_da"], ("kd+rkd_da",)),
        (["all", "kd"], (*METHODS, "kd")),
    ],
)
def test_methods(
    given: list[str], expected: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli("--grid", write_grid(tmp_path / "tiny.toml"), "--methods", *given, "--dry-run") == COMPLETE
    cohort = next(line for line in capsys.readouterr().out.splitlines() if "seed 0" in line and "resnet_s" in line)
    assert cohort.replace("│", " ").rstrip().endswith(" ".join(expected))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("rkd_da.distance=10", 10),
        ("rkd_da.distance=1e-3", 0.001),
        ("gkd.edges=inter", "inter"),
        ("fitnet.relu=False", False),
        ("a.b=nan", "nan"),
        ("a.b=x=y", "x=y"),
    ],
)
def test_option_values(text: str, value: object) -> None:
    ((_, options),) = method_options([text]).items()
    ((_, found),) = options.items()
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["--grid", "digitz"], "unknown grid 'digitz': did you mean digits?"),
        (["--grid", "absent.toml"], "absent.toml"),
        (["--methods", "kdd"], "unknown method 'kdd': did you mean kd"),
        (["--methods", "kd+rdk_da"], "unknown method 'rdk_da': did you mean rkd_da"),
        (["--methods", "kd+kd"], "kd+kd"),
        (["--methods", ","], "--methods"),
        (["--pairs", "resnet_m_resnet_x"], "did you mean resnet_m_resnet_s?"),
        (["--pairs", ""], "--pairs"),
        (["--datasets", "digit"], "did you mean digits?"),
        (["--seeds", "0"], "--seeds '0'"),
        (["--seeds", "-1"], "--seeds"),
        (["--seeds", "1.5"], "--seeds '1.5'"),
        (["--seeds", "0;3"], "--seeds '0;3'"),
        (["--seeds", ""], "--seeds ''"),
        (["--option", "kd"], "--option 'kd' is not METHOD.NAME=VALUE"),
        (["--option", "kd.temperature="], "--option 'kd.temperature='"),
        (["--option", "kdd.temperature=1"], "unknown method 'kdd': did you mean kd"),
        (
            ["--option", "kd.temprature=1"],
            "method 'kd' has no option 'temprature'; valid: ce, t_squared, temperature, weight",
        ),
        (["--option", "kd.temperature=hot"], "kd.temperature = 'hot' is not a float"),
        (["--option", "kd.temperature=nan"], "kd.temperature = 'nan'"),
        (["--option", "gkd.edges=foo"], "gkd.edges = 'foo' is none of all, intra, inter"),
        (["--dry-run", "--option", "gkd.edges=foo"], "gkd.edges = 'foo' is none of all, intra, inter"),
        (["--option", "fitnet.stage=9"], "fitnet.stage = 9 is not in 1, ..., 3"),
        (
            ["--methods", "student", "--option", "kd.temperature=2"],
            "'kd', which is not among this run's methods: student",
        ),
        (["--device", "gpu"], "'gpu' (choose from"),
        (["--stop-after", "9"], "'9' is not a time such as 90s, 9m or 2h"),
        (["--stop-after", "0s"], "'0s'"),
        (["--threads", "0"], "'0' is not a number above 0"),
        (["--executor", "cloud"], "'cloud' (choose from"),
        (["--frobnicate"], "--frobnicate"),
        (["--results-dir", "a file"], "cannot write to a file/smoke: Not a directory"),
        (["--export", "no-such-run"], "no weights of run 'no-such-run'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage_is_one_line_and_nothing_is_written(
    arguments: list[str], names: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a file").write_text("in the way")
    try:
        code = main(["--grid", "smoke", "--executor", "inline", "--threads", "1", *arguments])
    except SystemExit as exit_:
        code = int(exit_.code or 0)
    assert code == USAGE
    said = capsys.readouterr()
    assert names in one_line(said.err)
    assert not said.out
    assert [path.name for path in tmp_path.iterdir()] == ["a file"]


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"recipe__epoch": 3}, "recipe.epoch: unknown key 'epoch': did you mean epochs"),
        ({"methods": ["kd", "nope"]}, "unknown method 'nope'"),
        ({"options": {"kdd": {"temperature": 2.0}}}, "unknown method 'kdd'"),
        ({"options": {"kd": {"temp": 2.0}}}, "method 'kd' has no option 'temp'"),
        ({"datasets__0__name": "digitz"}, "unknown dataset 'digitz': did you mean digits?"),
        ({"datasets__0__name": "cifar10"}, "--data-dir"),
        ({"datasets__0__train": 5000}, "'digits'"),
        ({"architectures__resnet_s__model": "resnet19"}, "unknown model 'resnet19': did you mean resnet1"),
        ({"architectures__resnet_s__options": {"depth": 3}}, "architecture 'resnet_s'"),
        (
            {"recipes": {"resnet_s": {"input_size": 16}}},
            "student on resnet_m_resnet_s: its teacher resnet_m gets input_size = 8, it gets 16",
        ),
        (
            {"recipe__crop_scale": [0.5, 1.0]},
            "crop_scale = [0.5, 1.0] is for storage = 'streamed'; images of 'digits' are resident",
        ),
    ],
    ids=str,
)
def test_a_wrong_grid_file_is_one_line_and_nothing_is_written(
    changes: dict[str, Any], names: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = write_grid(tmp_path / "wrong.toml", **changes)
    assert cli("--grid", grid) == USAGE
    said = capsys.readouterr()
    assert names in one_line(said.err)
    assert [path.name for path in tmp_path.iterdir()] == ["wrong.toml"]


def test_a_full_disk_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], file_limit: Callable[[int], None]
) -> None:
    grid = write_grid(tmp_path / "tiny.toml")
    file_limit(10)
    assert cli("--grid", grid) == USAGE
    file_limit(-1)
    assert one_line(capsys.readouterr().err) == "error: cannot write below results: File too large\n"


def test_a_missing_data_folder_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grid = write_grid(tmp_path / "cifar.toml", datasets__0__name="cifar10")
    assert cli("--grid", grid, "--data-dir", tmp_path / "absent") == USAGE
    assert str(tmp_path / "absent") in one_line(capsys.readouterr().err)
    assert [path.name for path in tmp_path.iterdir()] == ["cifar.toml"]


def test_another_protocol_under_the_same_name_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grid = write_grid(tmp_path / "tiny.toml")
    assert cli("--grid", grid, "--methods", "student") == COMPLETE
    before = files(tmp_path / "results")
    write_grid(grid, recipe__epochs=3)
    capsys.readouterr()
    assert cli("--grid", grid) == USAGE
    assert "recipe.epochs = 2 there, 3 now" in one_line(capsys.readouterr().err)
    assert files(tmp_path / "results") == before


def test_selections_of_one_grid_add_up_in_its_folder() -> None:
    path = write_grid(Path("tiny.toml"))
    assert cli("--grid", path, "--methods", "student") == COMPLETE
    assert cli("--grid", path, "--methods", "kd", "--option", "kd.temperature=2", "--seeds", "1,") == COMPLETE
    frozen = load_grid("results/tiny/grid.toml")
    assert (frozen.methods, frozen.seeds) == (("student", "kd"), (0, 1))
    labels = {run["label"] for run in runs(Path("results/tiny"))}
    assert labels == {"student", "kd[temperature=2]"}
