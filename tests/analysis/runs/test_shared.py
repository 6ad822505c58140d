"""A run that several pairs share stands in the table of each."""

from pathlib import Path

import fake_results as fake
import tomli_w

from analysis.runs.load import load
from analysis.runs.shared import distinct
from analysis.statistics.cells import pair_title, pool
from benchmark.records import Record
from benchmark.spec import Architecture

PAIRS = (("resnet_l", "resnet_s"), ("vit_l", "resnet_s"), ("vit_l", "mixer_s"))


def grid_of(path: Path, *records: Record, pairs: tuple[tuple[str, str], ...] = PAIRS) -> Path:
    fake.write(path, *records, planned=tuple(record.run for record in records))
    tables = [{"teacher": teacher, "student": student} for teacher, student in pairs]
    models = {name: {"model": name} for pair in pairs for name in pair}
    raw = {"pairs": tables, "architectures": models, "methods": ["student"], "seeds": [0], "datasets": ["digits"]}
    recipe = fake.RECIPE.model_dump(mode="json", exclude_defaults=True)
    (path / "grid.toml").write_text(tomli_w.dumps({**raw, "datasets": [{"name": "digits"}], "recipe": recipe}))
    return path


def born_again(seed: int, pair: tuple[str, str] = PAIRS[0]) -> Record:
    """A student taught by its own kind, planned for the pair."""
    run = fake.run("kd", seed, pair, label="kd@born_again")
    assert run.teacher is not None
    own = run.teacher.model_copy(update={"student": Architecture(name="resnet_s", model="resnet_s")})
    again, like = run.model_copy(update={"teacher": own}), fake.record(run, 0.91)
    result = like.result.model_copy(update={"teacher_id": own.id})
    return like.model_copy(update={"run": again, "run_id": again.id, "result": result})


def test_a_born_again_student_is_in_the_table_of_every_pair_it_is_the_student_of(tmp_path: Path) -> None:
    plain = [fake.record(fake.run(method, 0, pair)) for pair in PAIRS for method in ("student", "kd")]
    runs = load([grid_of(tmp_path / "grid", *plain, born_again(0))]).runs
    again = runs[runs.method == "kd@born_again"]
    assert sorted(again.pair) == ["resnet_l_resnet_s", "vit_l_resnet_s"]
    assert again.run_id.nunique() == again.top1.nunique() == 1
    assert len(runs) == 8
    assert len(distinct(runs)) == 7


def test_a_pair_keeps_its_teachers_name_and_its_holes(tmp_path: Path) -> None:
    """Also where the student's name comes before the teacher's, so that the born-again run is the pair's first."""
    pair, methods = ("vit_l", "resnet_s"), ("student", "kd", "sp")
    plain = [fake.record(fake.run(m, s, pair)) for m in methods for s in range(2) if (m, s) != ("sp", 1)]
    again = [born_again(seed, pair) for seed in range(2)]
    cells = {cell.method: cell for cell in pool(load([fake.write(tmp_path, *plain, *again)]).runs)}
    assert {pair_title(cell) for cell in cells.values()} == {"digits: vit_l → resnet_s"}
    assert cells["kd@born_again"].teacher == "resnet_s"
    assert (cells["sp"].teacher, cells["sp"].note) == ("vit_l", "seed 1 missing")


def test_nothing_else_is_repeated(tmp_path: Path) -> None:
    alone = grid_of(tmp_path / "one", born_again(0), pairs=PAIRS[:1])
    assert len(load([alone]).runs) == 1
    other = [fake.record(fake.run(method, 0, PAIRS[1])) for method in ("student", "kd")]
    # A grid that the run is not of, with a pair of the same student.
    beside = grid_of(tmp_path / "beside", *other, pairs=PAIRS[1:2])
    assert "kd@born_again" not in {*load([alone, beside]).runs.query("pair == 'vit_l_resnet_s'").method}
    without_grid = fake.write(tmp_path / "two", born_again(0))
    assert len(load([without_grid]).runs) == 1
