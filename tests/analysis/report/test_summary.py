"""What the summary claims."""

import re
from pathlib import Path

import fake_results as fake
from graded import evidence_of, graded

from analysis.report.summary import summary
from analysis.runs.load import load
from analysis.runs.metrics import metric
from analysis.statistics.selection import Selection, select


def test_the_summary_tells_better_worse_and_equivalent_apart(tmp_path: Path) -> None:
    text = summary(evidence_of(tmp_path, *graded({"kd": 1.0, "sp": 0.0, "gkd": -2.0})))
    assert re.search(r"- \*\*KD\*\* \+1\.00 \[\+0\.8\d, \+1\.1\d\] beats the student alone on these 2 pairs\.", text)
    assert re.search(r"- GKD −2\.00 \[.*\] is worse than the student alone on these 2 pairs\.", text)
    assert re.search(r"- SP 0\.00 \[.*\] is equivalent to the student alone on these 2 pairs\.", text)
    assert "Of 6 cells, 2 better, 2 worse and 2 equivalent." in text
    assert "- KD beats SP by 1.00 and GKD by 3.00" in text
    assert text.count("; not told apart from the best KD.\n") == 2  # of each pair
    assert "3 of 3 differences between two methods are established." in text


def test_only_methods_of_one_protocol_are_compared_with_each_other(tmp_path: Path) -> None:
    """Controls, and the student alone trained longer, answer other questions."""
    found = graded({"kd": 1.0, "sp": 0.0, "kd@shuffled": -2.0, "student@longer": 3.0})
    runs = []
    for record in found:
        label, run = record.run.label, record.run
        changes = {"recipe": run.recipe.model_copy(update={"epochs": 60})} if "longer" in label else {}
        run = run.model_copy(update={"shuffled": "shuffled" in label, **changes})
        runs.append(record.model_copy(update={"run": run, "run_id": run.id}))
    evidence = evidence_of(tmp_path, *runs)
    assert len(evidence.between) == 6
    between = summary(evidence).partition("## Between methods")[2].partition("## Ranks")[0]
    assert between.strip() == (
        "1 of 1 difference between two methods of one protocol is established.\n\n- KD beats SP by 1.00"
    )


def test_what_single_runs_cannot_show_is_counted_apart(tmp_path: Path) -> None:
    found = graded({"kd": 1.0, "sp": 0.0, "gkd": -2.0})
    first = min(record.run.seed for record in found)
    runs = [record for record in found if record.run.method != "gkd" or record.run.seed == first]
    text = summary(evidence_of(tmp_path, *runs))
    assert "1 of 1 difference between two methods is established." in text
    assert "2 others cannot be tested, for too few runs or no spread." in text


def test_what_is_open_comes_with_its_interval(tmp_path: Path) -> None:
    wide = [
        fake.record(fake.run(m, s), 0.8 + 0.02 * s * (m == "kd") + s / 100) for m in ("student", "kd") for s in range(3)
    ]
    text = summary(evidence_of(tmp_path, *wide))
    assert re.search(r"- KD \+2\.00 \[−.*\] is open on this pair\.", text)
    assert re.search(r"resnet_l → resnet_s: open KD \+2\.00 \[−\d\.\d\d, \+\d\.\d\d\]", text)


def test_untested_is_no_verdict(tmp_path: Path) -> None:
    text = summary(evidence_of(tmp_path, *graded({"kd": 9.0}, seeds=1)))
    assert "- KD +9.00 cannot be tested on these 2 pairs." in text
    assert "No cell can be tested" in text


def test_runs_that_are_all_alike_are_not_called_too_few(tmp_path: Path) -> None:
    alike = [fake.record(fake.run(m, s), 0.8 + 0.02 * (m == "kd")) for m in ("student", "kd") for s in range(3)]
    text = summary(evidence_of(tmp_path, *alike))
    assert "- KD +2.00 cannot be tested on this pair." in text
    assert "No cell can be tested: that takes two runs beside two of the student alone, and some spread." in text


def test_teachers_are_said_to_be_single_under_any_metric_and_where(tmp_path: Path) -> None:
    """Also of a metric that no teacher has, and of some of several pairs."""
    records = graded({"kd": 1.0}, seeds=2)
    records = [fake.record(each.run, each.result.top1, nll=0.5 + each.run.seed / 10) for each in records]
    single = "One teacher run per pair: intervals do not include variation between teachers."
    runs = load([fake.write(tmp_path / "one", *records)]).runs
    for name in ("top1", "nll"):
        _, evidence = select(runs, Selection(metric=metric(name)))
        assert single in summary(evidence)
    assert "±0 points" not in summary(evidence)
    first = records[0].run.pair
    several = [
        each
        if each.run.pair == first
        else fake.record(
            fake.run(each.run.label, each.run.seed, fake.PAIRS[1], teacher_seed=each.run.seed),
            each.result.top1,
            teacher_weights_sha256="ab"[each.run.seed],
        )
        for each in records
    ]
    text = summary(evidence_of(tmp_path / "some", *several))
    assert "One teacher run on digits: resnet_l → resnet_s: intervals" in text


def test_a_mean_over_fewer_pairs_says_so(tmp_path: Path) -> None:
    records = graded({"kd": 9.0, "sp": 5.0})
    kept = [each for each in records if each.run.method != "sp" or each.run.pair == records[0].run.pair]
    found = summary(evidence_of(tmp_path, *kept))
    assert re.search(
        r"- \*\*KD\*\* \+9\.00 \[.*\] and \*\*SP\*\* \+5\.00 \[.*\] \(on 1 of the 2\) beat the student", found
    )


def test_three_pairs_say_how_gains_differ_from_pair_to_pair(tmp_path: Path) -> None:
    pairs = (*fake.PAIRS, ("vit_l", "resnet_s"))
    records = [each for i, pair in enumerate(pairs) for each in graded({"kd": 1.0 + i, "sp": 1.0 - i}, pairs=(pair,))]
    text = summary(evidence_of(tmp_path, *records))
    assert "On other pairs gains may differ: no interval over pairs leaves out 0." in text
    # KD less SP is 0, 2 and 4 points: an interaction of standard deviation 1.4.
    assert "a method's gain differs from pair to pair by 1.4 percentage points (SD)" in text


def test_no_sentence_stands_twice(tmp_path: Path) -> None:
    text = summary(evidence_of(tmp_path, *graded({"kd": 1.0, "sp": 0.0, "gkd": -2.0})))
    prose = [line for line in text.splitlines() if not line.startswith("- ")]
    sentences = [each for line in prose for each in re.split(r"(?<=[.:]) ", line) if each]
    assert len(sentences) == len(set(sentences))
