"""What the command line chooses to show: written beside the whole, joined when said twice, refused by name."""

from pathlib import Path

import fake_results as fake
import pytest

from analysis.__main__ import main


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = [fake.run(method, seed, pair) for pair in fake.PAIRS for method in fake.METHODS[:4] for seed in range(2)]
    records = [fake.record(run, nll=0.5 - 0.01 * len(run.label) + 0.001 * run.seed) for run in runs]
    return fake.write(tmp_path_factory.mktemp("chosen") / "grid", *records)


@pytest.mark.usefixtures("unsaved")
def test_a_selection_stands_beside_the_whole(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chosen = ["--methods", "kd", "--methods", "fitnet", "--metric", "nll", "--figure1", "--table1"]
    assert main([str(folder), *chosen]) == 0
    assert "Test negative log-likelihood (nats × 100; lower is better)" in capsys.readouterr().out
    written = {path.relative_to(folder / "selection").as_posix() for path in (folder / "selection").rglob("*.*")}
    assert {"figures/figure1.pdf", "tables/table1.tex", "tables/main.csv", "paper.tex"} <= written
    assert not (folder / "tables").exists()
    header, *rows = (folder / "selection/tables/main.csv").read_text(encoding="utf-8").splitlines()
    assert "nll_x100,nll_x100_std" in header
    assert {row.split(",")[4] for row in rows} == {"student", "kd", "fitnet"}
    table = (folder / "selection/tables/table1.md").read_text(encoding="utf-8")
    assert "Test NLL: reduction against the student alone (nats × 100)" in table
    assert "Shown: 3 of 4 methods" in table
    page = (folder / "selection/report.html").read_text(encoding="utf-8")
    assert "Test negative log-likelihood (nats × 100; lower is better) after the last epoch" in page
    assert "Test NLL (nats × 100)" in page
    assert "48.00" in page  # of kd, and not what tests turn it to
    assert "-48.00" not in page


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--methods", "kb"], "unknown method 'kb': did you mean kd? valid: fitnet, kd, rkd_d, student"),
        (["--pairs", "resnet_l"], "unknown pair 'resnet_l': did you mean resnet_l_resnet_s? valid: "),
        (["--metric", "top2"], "unknown metric 'top2': did you mean top5 or top1? valid: agreement, "),
        (["--metric", "nll", "--metric", "ece"], "--metric is given twice, as nll and as ece: which is meant?"),
        (["--datasets", ","], "--datasets ',' names nothing"),
    ],
)
def test_what_there_is_not_is_one_line(
    folder: Path, options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = main([str(folder), *options])
    except SystemExit as stopped:
        code = int(stopped.code or 0)
    message = capsys.readouterr().err
    assert code == 2
    assert message.startswith(f"error: {said}")
    assert message.count("\n") == 1
