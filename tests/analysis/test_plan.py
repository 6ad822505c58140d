"""How many seeds a claim needs, and which pairs need more."""

import tomllib
from pathlib import Path

import fake_results as fake
import pytest
from graded import graded
from scipy import stats
from test_imports import heavy_after

from analysis import plan
from analysis.runs.load import load
from analysis.statistics.gains import by_pair
from analysis.statistics.power import POWER, power, seeds_needed, smallest_gain


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert plan.main(list(arguments)) == 0
    return capsys.readouterr().out


# Power


def test_the_reviews_table_of_seeds() -> None:
    """Seeds that a gain of .3, .5 or 1 point needs: alone, among 8 cells, among 104, and over 6 and 13 pairs."""
    for sd, rows in {0.2: ((8, 14, 20, 3, 2), (4, 6, 9, 2, 2), (2, 3, 4, 2, 2)), 0.3: ((17, 28, 41, 5, 3),)}.items():
        for gain, known in zip((0.3, 0.5, 1.0), rows, strict=False):
            cell = [seeds_needed(gain, [sd**2], 8, tests) for tests in (1, 8, 104)]
            assert (*cell, *(seeds_needed(gain, [sd**2] * pairs, 8, 8) for pairs in (6, 13))) == known


def test_the_reviews_smallest_gains() -> None:
    for seeds, cell, mean in ((3, 1.60, 0.21), (5, 0.94, 0.16), (10, 0.57, 0.12)):
        assert smallest_gain([0.0625], seeds, 8, 104) == pytest.approx(cell, abs=0.012)
        assert smallest_gain([0.0625] * 13, seeds, 8, 8) == pytest.approx(mean, abs=0.01)


def test_power_is_that_of_the_t_test_where_nothing_is_lent_in_doubt() -> None:
    """Many methods know the scale, and many seeds their own variance."""
    found = power(0.2, [1.0], 200, 1000, 1)
    error, freedom = (2 / 200) ** 0.5, 2 * 199
    known = stats.nct.sf(stats.t.ppf(0.975, freedom), freedom, 0.2 / error)
    assert found == pytest.approx(known, abs=0.005)
    assert power(smallest_gain([1.0], 5, 8, 8), [1.0], 5, 8, 8) == pytest.approx(POWER, abs=1e-3)
    assert seeds_needed(0.001, [9.0], 8, 8) is None


# The command


def test_before_anything_ran_a_spread_is_stated(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "--sd", "0.25", "--methods", "8", "--pairs", "13", "--gain", "0.3")
    assert "Holm-adjusted over 104; in the mean over pairs, over 8" in text
    cells = {line.split("|")[1].strip(): line.split("|")[2:-1] for line in text.splitlines() if line.startswith("| ")}
    assert [field.strip() for field in cells["each pair"]] == ["0.25", "1.59", "0.93", "0.56", "0.37", "29"]
    assert cells["mean over 13 pairs"][1].strip() == "0.21"


def test_one_pair_has_no_mean_over_pairs(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "--sd", "0.25", "--methods", "8", "--pairs", "1")
    assert "Holm-adjusted over 8. SD" in text
    assert [line.split("|")[1].strip() for line in text.splitlines() if line[:2] == "| "][::2] == ["Pair", "each pair"]


def test_a_folder_says_how_far_its_runs_spread(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = fake.full_grid(tmp_path / "grid")
    text = said(capsys, str(folder))
    for pair in by_pair(load([folder]).runs):
        assert f"{pair.moderation.scale**0.5:.2f}" in next(line for line in text.splitlines() if pair.pair in line)
    assert "over 14; in the mean over pairs, over 7" in text
    assert "Seeds for" not in text


def test_a_cell_without_results_is_no_test(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """SP has results on one of two pairs: three cells of two methods."""
    runs = [
        fake.record(fake.run(method, seed, pair), 0.8 + 0.01 * seed)
        for method, pairs in (("student", fake.PAIRS[:2]), ("kd", fake.PAIRS[:2]), ("sp", fake.PAIRS[:1]))
        for pair in pairs
        for seed in range(3)
    ]
    text = said(capsys, str(fake.write(tmp_path / "grid", *runs)))
    assert "over 3; in the mean over pairs, over 2" in text


def records(path: Path) -> Path:
    """KD is far ahead on both pairs, SP noisy on the second."""
    noisy = [
        fake.record(fake.run("sp", seed, pair), 0.8 + 0.05 * (seed - 1) * (pair == fake.PAIRS[1]) + 0.04)
        for pair in fake.PAIRS
        for seed in range(3)
    ]
    return fake.write(path, *graded({"kd": 5.0}, seeds=3), *noisy)


def test_pairs_with_open_cells_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, file = records(tmp_path / "grid"), tmp_path / "seeds.toml"
    text = said(capsys, str(folder), "--open", "--to", "5", "--out", str(file))
    written = file.read_text(encoding="utf-8")
    assert tomllib.loads(written) == {
        "grid": "grid",
        "seeds": 5,
        "pairs": [{"dataset": "digits", "pair": "vit_l_mixer_s"}],
    }
    assert written.startswith(
        "# grid: 1 open cell (margin 0.5 points), 1 pair to be trained to 5 seeds, for look 2 of 3"
    )
    assert f"python -m benchmark.grid --more-seeds {file}" in text
    assert "--looks 3" in text


def test_a_grid_keeps_its_name_in_a_renamed_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, file = records(tmp_path / "copy"), tmp_path / "seeds.toml"
    (folder / "grid.toml").write_text('name = "smoke"\n', encoding="utf-8")
    said(capsys, str(folder), "--open", "--to", "5", "--out", str(file))
    assert tomllib.loads(file.read_text(encoding="utf-8"))["grid"] == "smoke"


def test_pairs_that_have_the_seeds_are_not_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, file = records(tmp_path / "grid"), tmp_path / "seeds.toml"
    text = said(capsys, str(folder), "--open", "--to", "3", "--out", str(file))
    assert tomllib.loads(file.read_text(encoding="utf-8"))["pairs"] == []
    assert "--more-seeds" not in text


def test_data_sets_of_one_name_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [fake.run(method, seed) for method in ("student", "kd") for seed in range(3)]
    smaller = [run.model_copy(update={"dataset": run.dataset.model_copy(update={"train": 90})}) for run in runs]
    folder = fake.write(tmp_path / "grid", *map(fake.record, [*runs, *smaller]))
    assert plan.main([str(folder), "--open", "--to", "5", "--out", str(tmp_path / "seeds.toml")]) == 2
    assert "'digits' is that of digits, digits (train 90)" in capsys.readouterr().err
    assert not (tmp_path / "seeds.toml").exists()


def test_a_margin_decides_what_is_open(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, file = records(tmp_path / "grid"), tmp_path / "seeds.toml"
    said(capsys, str(folder), "--open", "--to", "10", "--out", str(file), "--delta", "40")
    assert tomllib.loads(file.read_text(encoding="utf-8"))["pairs"] == []


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "either a results folder or --sd"),
        (["nowhere"], "results folder 'nowhere' does not exist"),
        (["--sd", "0.2"], "--sd needs --methods and --pairs"),
        ([".", "--sd", "0.2", "--methods", "8", "--pairs", "6"], "either a results folder or --sd"),
        ([".", "--methods", "8"], "--methods goes with --sd only"),
        ([".", "--open"], "--open needs --out and --to"),
        ([".", "--to", "10"], "--to goes with --open only"),
        ([".", "--open", "--to", "7", "--out", "x"], "--to 7 is none of the looks at 3, 5, 10 seeds"),
        ([".", "--open", "--to", "10", "--out", "x", "--gain", "1"], "--gain does not go with --open"),
    ],
)
def test_options_that_do_not_go_together_are_one_line(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plan.main(arguments) == 2
    message = capsys.readouterr().err
    assert complaint in message
    assert message.count("\n") == 1


@pytest.mark.parametrize("arguments", [["--sd", "-1"], ["--sd", "much"], ["--sd", "1e-300"], ["--gain", "nan"]])
def test_values_that_cannot_be_are_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        plan.main(arguments)
    assert ended.value.code == 2
    assert arguments[1] in capsys.readouterr().err


def test_a_folder_of_single_runs_has_no_spread(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = fake.write(tmp_path / "grid", *graded({"kd": 5.0}, seeds=1))
    assert plan.main([str(folder)]) == 2
    assert "no pair has two cells of two runs that differ" in capsys.readouterr().err


def test_it_answers_without_large_libraries(tmp_path: Path) -> None:
    call = "from analysis.plan import main\nmain(['--sd', '0.25', '--methods', '8', '--pairs', '6'])"
    assert not heavy_after(call, tmp_path)
