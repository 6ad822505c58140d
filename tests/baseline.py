"""Whether a change leaves every bit of what training gives: the records and curves of the grid `smoke`, under two
commits, on this machine and one thread. Processors differ, so no hash of these bits is committed.

python tests/baseline.py BEFORE [AFTER]    exits with 1 and names the runs that differ; AFTER is HEAD by default
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parent.parent
FROM_NETWORKS = ("parameters", "macs", "teacher_parameters", "teacher_macs", "training_flops", "cohort_size")
"""Fields of a record's cost that a device has no part in."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before")
    parser.add_argument("after", nargs="?", default="HEAD")
    options = parser.parse_args()
    before, after = (trained(commit) for commit in (options.before, options.after))
    differing = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    for name in differing:
        print(f"differs: {name}")
    print(f"{len(before)} files before, {len(after)} after, {len(differing)} differ")
    return int(bool(differing) or not before)


def trained(commit: str) -> dict[str, str]:
    """What is compared of every file that a commit's smoke grid leaves, by folder and name."""
    with TemporaryDirectory() as temporary:
        code, results = Path(temporary, "code"), Path(temporary, "results")
        code.mkdir()
        archive = subprocess.run(["git", "-C", ROOT, "archive", commit, "benchmark", "methods", "analysis"], **PIPED)
        subprocess.run(["tar", "-x", "-C", code], input=archive.stdout, check=True)
        command = [sys.executable, "-m", "benchmark.grid", "--grid", "smoke", "--methods", "all", "kd+rkd_da"]
        command += ["--executor", "inline", "--device", "cpu", "--threads", "1", "--results-dir", str(results)]
        environment = {**os.environ, "PYTHONPATH": str(code), "OMP_NUM_THREADS": "1"}
        subprocess.run(command, cwd=code, env=environment, **PIPED)
        files = [*results.glob("*/records/*.json"), *results.glob("*/curves/*.csv"), *results.glob("*/runs.csv")]
        return {str(path.relative_to(results)): compared(path) for path in files}


PIPED = {"check": True, "stdout": subprocess.PIPE}


def compared(path: Path) -> str:
    """A file's text; of a record only what does not tell of the machine and the hour."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".json":
        return text
    record = json.loads(text)
    cost = {name: record["cost"][name] for name in FROM_NETWORKS}
    return json.dumps({**record, "cost": cost, "provenance": None}, sort_keys=True)


if __name__ == "__main__":
    sys.exit(main())
