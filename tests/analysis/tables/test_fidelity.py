"""The tables of fidelity and of McNemar's tests, as written."""

import csv
from pathlib import Path

import fake_results as fake
import pytest
import said_of_digits as said

from analysis.__main__ import main
from analysis.score import main as score
from benchmark.ground.errors import COMPLETE, INCOMPLETE, USAGE


def test_the_analysis_writes_them(tmp_path: Path, unsaved: None, capsys: pytest.CaptureFixture[str]) -> None:
    folder = said.results(tmp_path)
    assert main([str(folder.path)]) == COMPLETE
    tables = folder.path / "tables"
    text = (tables / "fidelity.md").read_text()
    assert "Student alone" in text.partition("KD")[0]
    assert "* above (moderated t-test, Holm-adjusted over all cells of a measure, P < 0.05)" in text.replace("\\", "")
    rows = {
        (row["method"], row["measure"]): row
        for row in csv.DictReader((tables / "fidelity.csv").read_text().splitlines())
    }
    assert float(rows["kd", "agreement_wrong"]["excess_low"]) > 0
    assert rows["student", "agreement_wrong"]["expected_percent"] == ""
    assert (tables / "fidelity.tex").exists()
    assert (folder.path / "figures" / "fidelity.csv").read_text() == (tables / "fidelity.csv").read_text()
    assert "figures/fidelity" in (folder.path / "paper.tex").read_text()
    assert len(list(csv.DictReader((tables / "mcnemar.csv").read_text().splitlines()))) == 6
    assert "not tested: more than 1 point from the student alone in accuracy" in text
    assert "Right alone" in (tables / "mcnemar.md").read_text()
    assert "fidelity" not in capsys.readouterr().err
    assert main([str(folder.path), "--methods", "sp"]) == COMPLETE
    selected = folder.path / "selection" / "tables"
    assert "| KD" not in (selected / "fidelity.md").read_text()
    assert "Holm-adjusted over 6 comparisons of two methods" in (selected / "mcnemar.md").read_text()


def test_without_a_student_alone_nothing_is_compared_with_it(tmp_path: Path, undrawn: None) -> None:
    folder = said.results(tmp_path, seeds=2)
    for path in folder.part("records").glob("*-student-*"):
        path.unlink()
    assert main([str(folder.path)]) == COMPLETE
    assert (folder.path / "tables" / "fidelity.md").exists()
    assert not (folder.path / "tables" / "mcnemar.md").exists()


def test_scores_are_made_of_predictions_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = said.results(tmp_path)
    out = tmp_path / "scores.csv"
    assert score([str(folder.path), "--metric", "top1,agreement_wrong", "cka", "--out", str(out)]) == COMPLETE
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert len(rows) == 13
    assert {row["method"] for row in rows} == {"teacher", "student", "kd", "sp", "gkd"}
    assert all(row["agreement_wrong"] for row in rows if row["method"] != "teacher")
    assert "Agreement where the teacher is wrong (%, higher is better), mean ± SD (runs):" in capsys.readouterr().out
    [gone, *_] = sorted(folder.part("predictions").glob("*"))
    gone.unlink()
    assert score([str(folder.path), "--metric", "nll"]) == INCOMPLETE
    captured = capsys.readouterr()
    assert "digits: 12 of 12 runs done" in captured.out
    assert captured.err == f"warning: no predictions of {gone.stem} at {gone} (keep_predictions)\n"
    assert score([str(folder.path), "--metric", "validation_top1"]) == USAGE
    assert "needs validation_logits and validation_labels, which predictions do not hold" in capsys.readouterr().err
    assert score([str(folder.path), "--metric", "nll", "accuracy"]) == USAGE
    assert "unknown metric 'accuracy'" in capsys.readouterr().err


def test_scores_of_no_run_are_no_file(tmp_path: Path) -> None:
    folder = fake.write(tmp_path / "grid", fake.record(fake.run(), status="diverged", reason="the loss was not finite"))
    out = tmp_path / "scores.csv"
    assert score([str(folder), "--metric", "agreement", "--out", str(out)]) == COMPLETE
    assert not out.exists()
