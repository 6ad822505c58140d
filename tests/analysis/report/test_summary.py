"""What the summary claims."""

from pathlib import Path

import pytest
from graded import evidence_of, graded

from analysis.report.summary import summary


def test_the_summary_names_what_is_established_and_what_is_not(tmp_path: Path) -> None:
    text = summary(evidence_of(tmp_path, *graded({"kd": 1.0, "sp": 0.0, "gkd": -2.0})))
    assert "- **KD beats the student alone** by +1.00 points" in text
    assert "- **GKD is worse than the student alone**: −2.00 points" in text
    assert "- Not established: SP, 0.00 points" in text
    assert "KD beats GKD by 3.00 points" in text
    assert "wins 10 of 10 paired runs on 2 pairs" in text


def test_the_summary_says_when_nothing_could_have_been_established(tmp_path: Path) -> None:
    text = summary(evidence_of(tmp_path, *graded({"kd": 9.0, "sp": 9.0}, seeds=2)))
    assert "beats the student alone**" not in text
    assert "the smallest p that the test can give is 0.125, after correction 0.250" in text
    assert "4 seeds a pair would be the least that could" in text


@pytest.mark.parametrize(
    ("seeds", "said"),
    [
        (3, "With 6 paired runs at most and 2 methods tested at once, the smallest p that the test can give is 0.031, "
            "after correction 0.062: nothing could have been established, whatever the gain. 4 seeds a pair"),
        (5, "With 5 paired runs and 2 methods tested at once, the smallest p that the test can give is 0.062, "
            "after correction 0.125: no gain of SP could have been established, whatever the gain. 7 seeds a pair"),
    ],
)  # fmt: skip
def test_a_method_with_a_hole_does_not_speak_for_the_others(seeds: int, said: str, tmp_path: Path) -> None:
    records = graded({"kd": 9.0, "sp": 9.0}, seeds=seeds)
    kept = [each for each in records if each.run.method != "sp" or each.run.pair == records[0].run.pair]
    assert said in summary(evidence_of(tmp_path, *kept))
