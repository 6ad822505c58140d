"""--more-seeds: a file names pairs and how many seeds they get, and is checked before anything is computed."""

from pathlib import Path
from typing import Any

import pytest
import tomli_w
from command_line import cli, one_line

from benchmark.command.options import parser
from benchmark.ground.errors import COMPLETE, USAGE, UsageError
from benchmark.plan.choices import wanted
from benchmark.plan.more_seeds import meant
from benchmark.plan.plan import make_plan
from benchmark.records import Folder

DIGITS = {"dataset": "digits", "pair": "resnet_l_resnet_s"}


def write(path: Path, **changes: Any) -> str:
    path.write_text(tomli_w.dumps({"grid": "digits", "seeds": 5, "pairs": [DIGITS], **changes}))
    return str(path)


def options(*arguments: str) -> Any:
    return parser(None).parse_args(arguments)


def test_just_these_pairs_get_that_many_seeds(tmp_path: Path) -> None:
    """Together with --methods, and of a grid with several data sets no pair on another one than is named."""
    chosen = options("--more-seeds", write(tmp_path / "seeds.toml"), "--methods", "student", "kd")
    grid, more = meant(chosen)
    assert more
    runs = make_plan(wanted(grid, chosen, more), Folder(tmp_path), {}, more.blocks).runs
    assert {(run.dataset.name, run.pair) for run in runs} == {("digits", "resnet_l_resnet_s")}
    assert sorted((run.seed, run.method) for run in runs) == [(s, m) for s in range(5) for m in ("kd", "student")]


def test_pairs_on_several_data_sets_are_no_product(tmp_path: Path) -> None:
    grid, _ = meant(options())
    other = grid.datasets[0].model_copy(update={"name": "mnist"})
    path = tmp_path / "two.toml"
    both = grid.model_copy(update={"name": "two", "datasets": (*grid.datasets, other)})
    path.write_text(tomli_w.dumps(both.as_toml()))
    pairs = [DIGITS, {"dataset": "mnist", "pair": "resnet_l_efficientnet_s"}]
    chosen = options("--grid", str(path), "--more-seeds", write(tmp_path / "seeds.toml", grid="two", pairs=pairs))
    found, more = meant(chosen)
    assert more
    runs = make_plan(wanted(found, chosen, more), Folder(tmp_path), {}, more.blocks).runs
    assert {(run.dataset.name, run.pair) for run in runs} == more.blocks
    assert len(more.blocks) == 2


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"grid": "digit"}, "unknown grid 'digit': did you mean digits"),
        ({"pairs": [{**DIGITS, "pair": "resnet_s"}]}, "unknown pair 'resnet_s': did you mean resnet_l_resnet_s"),
        ({"pairs": [{**DIGITS, "dataset": "mnist"}]}, "unknown dataset 'mnist': valid: digits"),
        ({"pairs": [DIGITS, DIGITS]}, "resnet_l_resnet_s on digits is listed twice"),
        ({"seeds": 0}, "seeds: Input should be greater than 0, got 0"),
        ({"seeds": "ten"}, "seeds: Input should be a valid integer, got 'ten'"),
        ({"seed": 3}, "unknown key 'seed': did you mean seeds"),
    ],
)
def test_what_is_wrong_with_the_file_is_named(changes: dict[str, Any], complaint: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=complaint.replace("(", r"\(")):
        meant(options("--more-seeds", write(tmp_path / "seeds.toml", **changes)))


@pytest.mark.parametrize("flags", [["--seeds", "3"], ["--pairs", "a"], ["--datasets", "digits"], ["--tune"]])
def test_nothing_else_chooses_pairs_or_seeds(flags: list[str], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"--more-seeds takes no {flags[0]}: its file says"):
        meant(options("--more-seeds", write(tmp_path / "seeds.toml"), *flags))


def test_a_file_of_another_grid_or_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="grid = 'digits' is not the grid 'smoke' that --grid names"):
        meant(options("--grid", "smoke", "--more-seeds", write(tmp_path / "seeds.toml")))
    with pytest.raises(UsageError, match=r"--more-seeds .*none.toml' cannot be read: No such file"):
        meant(options("--more-seeds", str(tmp_path / "none.toml")))


def test_a_file_without_pairs_leaves_nothing_to_train(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "seeds.toml", pairs=[])
    assert cli("--more-seeds", path, "--results-dir", str(tmp_path / "results")) == COMPLETE
    assert "names no pair: nothing to train" in one_line(capsys.readouterr().out)
    assert not (tmp_path / "results").exists()


@pytest.mark.usefixtures("surroundings")
def test_the_command_takes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pair = {"dataset": "digits", "pair": "resnet_m_resnet_s"}
    path = write(tmp_path / "seeds.toml", grid="smoke", seeds=2, pairs=[pair])
    assert cli("--more-seeds", path, "--methods", "student", "--dry-run") == COMPLETE
    said = capsys.readouterr().out
    assert "seed 0" in said
    assert "seed 1" in said
    assert "seed 2" not in said
    assert cli("--more-seeds", path, "--seeds", "2") == USAGE
    assert "--more-seeds takes no --seeds" in one_line(capsys.readouterr().err)
