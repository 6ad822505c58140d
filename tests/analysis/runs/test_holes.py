"""Which runs a folder lacks that does not say what was planned."""

from pathlib import Path

import fake_results as fake

from analysis.runs.load import load


def test_a_pair_with_more_seeds_makes_no_holes_on_others(tmp_path: Path) -> None:
    one, two = fake.PAIRS
    runs = [fake.run(method, seed, one) for method in ("student", "kd") for seed in range(3)]
    runs += [fake.run("student", 0, two), fake.run("student", 1, two), fake.run("kd", 0, two)]
    found = load([fake.write(tmp_path / "grid", *map(fake.record, runs))]).runs
    holes = found[found.status == "missing"]
    assert holes[["pair", "method", "seed"]].to_numpy().tolist() == [["_".join(two), "kd", 1]]
