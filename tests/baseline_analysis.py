"""`python tests/baseline_analysis.py OLD [NEW] [--work DIR]`: what another commit's analysis writes otherwise.

Both trees analyse their own `results/reference`, on one machine, because processors round differently and no hash would
hold on another. CSV files and what is printed must be the same bytes: the exit code is 1 if any differs. Tables, pages
and figures that differ are listed. NEW is a commit, or by default the working tree.
"""

import argparse
import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parent.parent
REFERENCE = Path("results", "reference")
TOGETHER = ("digits", "fashion_mnist", "cifar100_cpu", "cifar100_brief")
"""The grids of `results/reference/all`."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", help="the commit to compare with")
    parser.add_argument("new", nargs="?", help="the commit to compare (by default the working tree)")
    parser.add_argument("--work", type=Path, help="keep what commits write here, and do not analyse them again")
    options = parser.parse_args()
    with TemporaryDirectory() as temporary:
        work = (options.work or Path(temporary)).resolve()
        old = hashes(of_commit(options.old, work))
        new = hashes(of_commit(options.new, work) if options.new else analysed(ROOT, Path(temporary, "new")))
    changed = sorted(name for name in old | new if old.get(name) != new.get(name))
    for name in changed:
        print("new" if name not in old else "gone" if name not in new else "changed", name)
    broken = [name for name in changed if name.endswith((".csv", ".txt"))]
    print(f"{len(changed)} of {len(old | new)} files differ, {len(broken)} of them CSV or printed")
    return bool(broken)


def of_commit(commit: str, work: Path) -> Path:
    """The folder with all that a commit's analysis writes."""
    name = git("rev-parse", "--short", f"{commit}^{{commit}}").decode().strip()
    tree, out = work / f"tree-{name}", work / f"out-{name}"
    if not out.exists():
        tree.mkdir(parents=True)
        subprocess.run(["tar", "-x"], cwd=tree, input=git("archive", commit), check=True)
        analysed(tree, out)
    return out


def git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=True).stdout


def analysed(tree: Path, out: Path) -> Path:
    """Analyse each grid of a tree's reference, and those of TOGETHER in one, into folders of `out`."""
    grids = {grid.parent.name: [grid.parent.name] for grid in sorted((tree / REFERENCE).glob("*/grid.toml"))}
    unfinished = out.with_name(f"{out.name}.part")
    for name, members in {**grids, "all": list(TOGETHER)}.items():
        target = unfinished / name
        target.mkdir(parents=True)
        # The same relative path in both, because it is printed.
        (tree / "baseline-out").symlink_to(target)
        folders = [str(REFERENCE / each) for each in members]
        try:
            done = subprocess.run(
                [sys.executable, "-m", "analysis", *folders, "--out", "baseline-out"],
                cwd=tree,
                env={**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"},
                capture_output=True,
                text=True,
            )
        finally:
            (tree / "baseline-out").unlink()
        if done.returncode:
            raise SystemExit(f"analysis of {name} in {tree} failed: {done.stderr}")
        (target / "printed.txt").write_text(done.stdout + done.stderr, encoding="utf-8")
        for path in {tree / REFERENCE / each / f"{kind}.csv" for each in members for kind in ("runs", "costs")}:
            (target / f"{path.parent.name}-{path.name}").write_bytes(path.read_bytes())
    return unfinished.rename(out)


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of each file by its path within the folder."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest() for path in files}


if __name__ == "__main__":
    sys.exit(main())
