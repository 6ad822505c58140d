"""What tests on a real SLURM share: the cluster, methods that are as slow as asked, and undisturbed results.

They run where a cluster answers, `eval "$(slurm/cluster.sh up)"` starts one, and are skipped elsewhere, or fail where
REQUIRE_SLURM is set. What harms a cluster is done to that one alone.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from command_line import write_grid
from slurm_places import EPOCHS, ROOT, Place, run_home

from benchmark.ground.errors import COMPLETE
from benchmark.launch.slurm import scheduler
from methods.base import REGISTRY

METHODS = '''
import os
import time
from pathlib import Path

from methods.base import register
from methods.student import Student


@register("slow")
class Slow(Student):
    """Takes the time that a file says, in seconds a step (Nobody, Nowhere 2000)."""

    reads = frozenset({"logits"})  # what reads nothing trains without its teacher

    def forward(self, student, teacher, batch):
        time.sleep(float(Path(os.environ["PACE"]).read_text()))
        return super().forward(student, teacher, batch)


@register("faulty")
class Faulty(Student):
    """Fails for as long as a file says (Nobody, Nowhere 2000)."""

    reads = frozenset({"logits"})

    def forward(self, student, teacher, batch):
        if Path(os.environ["PACE"]).with_suffix(".fault").exists():
            raise RuntimeError("a fault")
        return super().forward(student, teacher, batch)
'''


@pytest.fixture(scope="module")
def trial() -> Iterator[None]:
    if not (scheduler.silence() == "" and (run_home() / "slurmctld.pid").exists()):
        why = 'no cluster of slurm/cluster.sh answers: eval "$(slurm/cluster.sh up)"'
        pytest.fail(why) if os.environ.get("REQUIRE_SLURM") else pytest.skip(why)
    yield
    subprocess.run(["scancel", "--user", str(os.getuid())], check=True)


@pytest.fixture(scope="module")
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A third party's package on PYTHONPATH, for the jobs to find, and its methods here. Jobs have one thread."""
    folder = tmp_path_factory.mktemp("package")
    (folder / "slow_methods.py").write_text(METHODS)
    about = folder / "slow_methods-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: slow-methods\nVersion: 1.0\n")
    names = "".join(f"{name} = slow_methods\n" for name in ("slow", "faulty"))
    (about / "entry_points.txt").write_text(f"[relational_distillation.methods]\n{names}")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        patch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{folder}")
        patch.setenv("OMP_NUM_THREADS", "1")
        __import__("slow_methods")
        yield str(folder)
    del REGISTRY["slow"], REGISTRY["faulty"], sys.modules["slow_methods"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, surroundings: str) -> Place:
    """A grid of one slow method and three seeds, and its results as this process makes them, in no time."""
    place = Place(tmp_path_factory.mktemp("undisturbed"))
    write_grid(place.home / "long.toml", methods=["slow"], seeds=[0, 1, 2], recipe__epochs=EPOCHS)
    place.set_pace(0)
    assert place.grid("--executor", "inline") == COMPLETE
    return place


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory, undisturbed: Place) -> Callable[[str], Place]:
    """Makes places with the same grid file and the teacher trained, its students to come."""

    def make(name: str) -> Place:
        place = Place(tmp_path_factory.mktemp(name) / "it's a folder")
        shutil.copytree(undisturbed.results / "teachers", place.results / "teachers")
        shutil.copy(undisturbed.home / "long.toml", place.home)
        place.set_pace(0)
        return place

    return make
