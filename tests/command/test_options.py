"""The arguments of the command line, and every kind of wrong usage."""

from pathlib import Path
from typing import Any

import pytest
import tomli_w
from command_line import METHODS, cli, files, one_line, runs, write_grid
from full_disk import files_end_at

from benchmark.grid import main
from benchmark.ground.errors import COMPLETE, USAGE
from benchmark.plan.choices import method_options, seed_list
from benchmark.spec import load_grid

pytestmark = pytest.mark.usefixtures("surroundings")


@pytest.mark.parametrize(
    ("texts", "seeds"),
    [
        (["3"], (0, 1, 2)),
        (["0,3,7"], (0, 3, 7)),
        (["7,"], (7,)),
        (["3,3"], (3,)),
        (["0,"], (0,)),
        (["0,", "1,"], (0, 1)),
        (["0,3", "3,7"], (0, 3, 7)),
        (["20231123,"], (20231123,)),
        (None, None),
    ],
)
def test_seeds(texts: list[str] | None, seeds: tuple[int, ...] | None) -> None:
    assert seed_list(texts) == seeds


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["all"], METHODS),
        (["kd,gkd"], ("kd", "gkd")),
        (["kd", "gkd"], ("kd", "gkd")),
        (["kd gkd, kd"], ("kd", "gkd")),
        (["kd+rkd_da"], ("kd+rkd_da",)),
        (["all", "kd"], (*METHODS, "kd")),
        (["kd", "--methods", "sp"], ("kd", "sp")),
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


def test_options_of_several_methods_are_joined() -> None:
    texts = ["kd.temperature=4", "sp.weight=1", "kd.weight=2", "kd.temperature=4"]
    assert method_options(texts) == {"kd": {"temperature": 4, "weight": 2}, "sp": {"weight": 1}}


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["--grid", "digitz"], "unknown grid 'digitz': did you mean digits"),
        (["--grid", "absent.toml"], "absent.toml"),
        (["--methods", "kdd"], "unknown method 'kdd': did you mean kd"),
        (["--methods", "kd+rdk_da"], "unknown method 'rdk_da': did you mean rkd_da"),
        (["--methods", "kd+kd"], "kd+kd"),
        (["--methods", ","], "--methods"),
        (["--pairs", "resnet_m_resnet_x"], "did you mean resnet_m_resnet_s?"),
        (["--pairs", ""], "--pairs"),
        (["--datasets", "digit"], "did you mean digits?"),
        (["--seeds", "0"], "--seeds '0'"),
        (["--seeds", "00"], "--seeds '00'"),
        (["--seeds", "-1"], "--seeds"),
        (["--seeds", "1.5"], "--seeds '1.5'"),
        (["--seeds", "0;3"], "--seeds '0;3'"),
        (["--seeds", ""], "--seeds is empty: is a variable of the shell not set?"),
        (["--grid="], "--grid is empty: is a variable of the shell not set?"),
        (["--data-dir", " "], "--data-dir is empty"),
        (["--methods", "kd", ""], "an argument is empty"),
        (["--cancel", "--methods", "student"], "--cancel takes no --methods: it is of all there is"),
        (["--status", "--cancel"], "argument --cancel: not allowed with argument --status"),
        (["--tune", "--prepare", "--list", "grids"], "argument --list: not allowed with argument --prepare"),
        (["--seeds", "20231123"], "--seeds 20231123: 20231123 asks for that many seeds (alone, and 10,000 at most)"),
        (["--seeds", "1000000000"], "the seed itself is written '1000000000,'"),
        (["--seeds", "9" * 400], "is neither a number of seeds"),
        (["--seeds", "3", "--seeds", "5"], "--seeds 3 5: 3 asks for that many seeds (alone"),
        (["--seeds", "²"], "--seeds '²'"),
        (["--grid", "smoke", "--grid", "digits"], "--grid is given twice, as smoke and as digits: which is meant?"),
        (["--threads", "1", "--threads", "2"], "--threads is given twice, as 1 and as 2: which is meant?"),
        (
            ["--option", "kd.temperature=4", "kd.temperature=8"],
            "--option kd.temperature is given twice, as 4 and as 8: which is meant?",
        ),
        (["--option", "kd.temperature=4", "--option", "kd.temperature=8"], "--option kd.temperature is given twice"),
        (["--executor", "inline", "--executor", "inline", "--threads", "9" * 40], "'99999999999999999999'"),
        (["--threads", "1025"], "'1025' is not a whole number from 1 to 1,024"),
        (["--workers", "2000000"], "'2000000' is not a whole number from 1 to 1,000,000"),
        (["--results-dir", "a" * 5000], "File name too long"),
        (["--option", "kd"], "--option 'kd' is not METHOD.NAME=VALUE"),
        (["--option", "kd.temperature="], "--option 'kd.temperature='"),
        (["--option", "kdd.temperature=1"], "unknown method 'kdd': did you mean kd"),
        (
            ["--option", "kd.temprature=1"],
            "method 'kd' has no option 'temprature'; valid: ce, standardize, t_squared, temperature, weight",
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
        (["--stop-after", f"{'9' * 400}h"], "'99999999999999999999' is not a time"),
        (["--threads", "0"], "'0' is not a whole number from 1 to 1,024"),
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
        usual = {"--grid": "smoke", "--executor": "inline", "--threads": "1"}
        code = main([text for flag in usual.keys() - set(arguments) for text in (flag, usual[flag])] + arguments)
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
        ({"recipe__input_size": 100_000}, "recipe.input_size: Input should be less than or equal to 4096, got 100000"),
        ({"recipe__epochs": 10**400}, "recipe.epochs: "),
        ({"seeds": [2**64]}, "seeds.0: Input should be less than or equal to 9223372036854775807"),
        ({"threads": 10**6}, "threads: Input should be less than or equal to 1024"),
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


@pytest.mark.parametrize(
    ("flag", "said"), [("--status", "no folder results/digits-tuning"), ("--cancel", "no job of this grid")]
)
def test_what_is_asked_of_trials_trains_none(
    flag: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--grid", "digits", "--tune", flag]) == COMPLETE
    assert said in one_line(capsys.readouterr().out)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grid = write_grid(tmp_path / "tiny.toml")
    with files_end_at(10):
        assert cli("--grid", grid) == USAGE
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


def test_a_results_folder_under_another_name_is_refused_until_its_grid_has_that_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_grid(tmp_path / "one.toml")
    grid = load_grid(str(tmp_path / "one.toml"))
    frozen = tmp_path / "results" / "two" / "grid.toml"
    (frozen.parent / "records").mkdir(parents=True)
    frozen.write_text(tomli_w.dumps(grid.as_toml()))
    write_grid(tmp_path / "two.toml")
    for given in (frozen, tmp_path / "two.toml"):
        assert cli("--grid", given, "--dry-run") == USAGE
        said = one_line(capsys.readouterr().err)
        assert "is of grid 'one', but its results folder is called 'two' now: call it 'one' again" in said
    frozen.write_text(tomli_w.dumps({**grid.as_toml(), "name": "two"}))
    for given in (frozen, tmp_path / "two.toml"):
        assert cli("--grid", given, "--dry-run") == COMPLETE
    assert sorted(path.name for path in (tmp_path / "results").iterdir()) == ["two"]
