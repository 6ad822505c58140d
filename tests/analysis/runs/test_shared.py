"""A run that several pairs share stands in the table of each."""

from pathlib import Path

import fake_results as fake
import tomli_w

from analysis.runs.load import load
from analysis.runs.shared import distinct
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


def born_again(seed: int) -> Record:
    """A student taught by its own kind, planned for the first pair."""
    run = fake.run("kd", seed, PAIRS[0], label="kd@born_again")
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


def test_nothing_else_is_repeated(tmp_path: Path) -> None:
    alone = grid_of(tmp_path / "one", born_again(0), pairs=PAIRS[:1])
    assert len(load([alone]).runs) == 1
    without_grid = fake.write(tmp_path / "two", born_again(0))
    assert len(load([without_grid]).runs) == 1
