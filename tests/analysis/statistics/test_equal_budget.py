"""Gains over the student alone that trained for as many FLOPs: which run is whose match, and what the tables say."""

from pathlib import Path

import fake_results as fake
import pytest
from graded import evidence_of, graded

from analysis.statistics.basic import summarise
from analysis.statistics.moderated import Moderation, Part
from analysis.style import MATCHED
from analysis.tables.main import main_table
from analysis.tables.markdown import markdown
from benchmark.records import Record

EPOCHS = {fake.PAIRS[0]: 507, fake.PAIRS[1]: 363}
"""In which the students alone take what 30 epochs of a made-up method take, to half an epoch."""


def alone(name: str, gain: float, pairs: tuple[tuple[str, str], ...] = fake.PAIRS, *, off: int = 0) -> list[Record]:
    """Runs of the student alone for as many epochs, and some more, of other accuracies than those of `graded`."""
    return [
        fake.record(
            fake.run("student", seed, pair, label=name, epochs=EPOCHS[pair] + off), 0.80 + (gain + 0.1 * seed) / 100
        )
        for pair in pairs
        for seed in range(3)
    ]


def test_a_method_is_held_against_the_run_of_its_budget(tmp_path: Path) -> None:
    records = graded({"kd": 1.0, "sp": 3.0}, seeds=3)
    evidence = evidence_of(tmp_path, *records, *alone(f"{MATCHED}_kd", 2.0))
    pair = "_".join(fake.PAIRS[0])
    gains = {method: gain for (_, name, method), gain in evidence.at_equal_budget.items() if name == pair}
    assert {method: gain.over for method, gain in gains.items()} == {"kd": f"{MATCHED}_kd", "sp": f"{MATCHED}_kd"}
    samples = {method: sample for (_, name, method), (sample, _) in evidence.samples.items() if name == pair}
    moderation = Moderation.fit(map(Part.of, samples.values()))
    expected = moderation.difference(samples["kd"], samples[f"{MATCHED}_kd"])
    assert expected
    assert gains["kd"].estimate == expected
    assert gains["kd"].differs == "recipe"
    means = {each.method: each for each in evidence.mean_at_equal_budget}
    assert {name: (each.over, each.pairs) for name, each in means.items()} == {"kd": (MATCHED, 2), "sp": (MATCHED, 2)}
    assert means["sp"].gain - means["kd"].gain == pytest.approx(2.0)
    assert summarise([100 * (record.result.top1 or 0) for record in records if record.run.label == "kd"]).n == 6


def test_a_run_of_another_budget_is_no_match(tmp_path: Path) -> None:
    evidence = evidence_of(tmp_path, *graded({"kd": 1.0}, seeds=3), *alone(f"{MATCHED}_mhgd", 2.0, off=2))
    assert not evidence.at_equal_budget
    other = evidence_of(tmp_path / "other", *graded({"kd": 1.0}, seeds=3), *alone("student@longer", 2.0))
    assert not other.at_equal_budget  # which has the budget by chance, and need not have it on other pairs


def test_a_column_says_it_where_there_is_a_match(tmp_path: Path) -> None:
    records = graded({"kd": 1.0}, seeds=3)
    evidence = evidence_of(tmp_path, *records, *alone(f"{MATCHED}_kd", 4.0, fake.PAIRS[:1]))
    table = main_table(evidence)
    text = markdown(table)
    assert "At equal budget" in text
    assert "over students alone of equal FLOPs" in table.caption
    assert len(table.caption.split()) < 60
    [line] = [line for line in text.splitlines() if line.startswith("| KD ")]
    assert "†" in line.split("|")[-2]
    rows = {(row["pair"], row["method"]): row for row in table.data}
    kd = rows["_".join(fake.PAIRS[0]), "kd"]
    assert (kd["equal_budget_over"], kd["equal_budget_verdict"]) == (f"{MATCHED}_kd", "worse")
    assert kd["equal_budget_points"] == pytest.approx(
        kd["gain_points"] - rows[kd["pair"], f"{MATCHED}_kd"]["gain_points"]
    )
    assert rows["_".join(fake.PAIRS[1]), "kd"]["equal_budget_points"] is None
    plain = main_table(evidence_of(tmp_path / "plain", *records))
    assert not any(name.startswith("equal_budget") for name in plain.data[0])
    assert "At equal budget" not in markdown(plain)


def test_a_mark_that_stands_in_that_column_alone_is_explained(tmp_path: Path) -> None:
    table = main_table(evidence_of(tmp_path, *graded({"kd": 0.02}, seeds=3), *alone(f"{MATCHED}_kd", 0.5)))
    [line] = [line for line in markdown(table).splitlines() if line.startswith("| KD ")]
    assert "†" in line.split("|")[-2]
    assert "*/† better/worse than the student alone" in table.caption
    assert [text for _, text in table.notes if text.endswith("half an epoch; Holm-adjusted over 1 method, P < 0.05")]


def test_a_pair_without_a_match_of_its_own_has_no_hole(tmp_path: Path) -> None:
    evidence = evidence_of(tmp_path, *graded({"kd": 1.0}, seeds=3), *alone(f"{MATCHED}_kd", 2.0, fake.PAIRS[:1]))
    assert {cell.state for cell in evidence.cells} == {"done"}
