"""Classes left out of the transfer set: of the student's training images alone."""

from pathlib import Path

import pytest
import tiny
import torch
from command_line import cli, one_line, write_grid

from benchmark.data import load, training_data
from benchmark.ground.errors import USAGE
from benchmark.plan.cells import cells
from benchmark.spec import Recipe, Run, load_grid
from methods.base import Batch, Outputs

THREE = {"without_classes": (3,)}


def test_the_transfer_set_lacks_the_class_and_no_other_image() -> None:
    images = load(tiny.DATA).train
    recipe = Recipe.model_validate({**tiny.RECIPE.model_dump(), "without_classes": [3, 5], "crop_padding": 0})
    data = training_data(images, recipe, tiny.CPU)
    kept = [i for i, label in enumerate(images.labels.tolist()) if label not in (3, 5)]
    assert len(data) == len(kept) < len(images)
    assert data.labels.tolist() == images.labels[kept].tolist()
    views = data.views(0, 0)
    seen = [data.training_batch(views, step) for step in range(data.steps)]
    index = torch.cat([part[2] for part in seen])
    assert sorted(index.tolist()) == list(range(len(kept)))
    shown, whole = torch.cat([part[0] for part in seen]), training_data(images, tiny.RECIPE, tiny.CPU)
    expected = whole.batch(0, len(images))[0][kept][index]
    assert torch.equal(shown, expected)


def test_the_teacher_is_the_ordinary_one_and_passes_its_gate(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual, left_out = tiny.run("kd"), tiny.run("kd", **THREE)
    assert usual.teacher is not None
    assert left_out.teacher is not None
    assert left_out.teacher.id == usual.teacher.id
    assert left_out.id != usual.id
    labels: set[int] = set()
    forward = tiny.methods.entry("kd").method.forward

    def watched(self: object, student: Outputs, teacher: Outputs, batch: Batch) -> torch.Tensor:
        labels.update(batch.labels.tolist())
        return forward(self, student, teacher, batch)  # type: ignore[arg-type]

    monkeypatch.setattr(tiny.methods.entry("kd").method, "forward", watched)
    assert tiny.train(results / "grid", left_out)
    assert labels == set(range(10)) - {3}
    result = tiny.record(results / "grid", left_out).result
    assert result.teacher_id == tiny.TEACHER.id
    assert result.data_sha256 == tiny.record(results / "teachers", tiny.TEACHER).result.data_sha256
    assert result.test_images == 100


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ([10], "without_classes: 'digits' has no class 10; valid: 0 to 9"),
        ([3, 3], "without_classes = [3, 3] must rise"),
        (list(range(10)), "without_classes leaves no image of 'digits' to train on"),
        ([-1], "recipe.without_classes.0: Input should be greater than or equal to 0, got -1"),
    ],
)
def test_classes_that_cannot_be_left_out(
    classes: list[int], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = write_grid(tmp_path / "out.toml", recipe__without_classes=classes)
    assert cli("--grid", grid, "--results-dir", tmp_path / "results", "--dry-run") == USAGE
    assert message in one_line(capsys.readouterr().err)


def test_a_control_leaves_classes_out_under_the_grids_own_teachers(tmp_path: Path) -> None:
    control = {"name": "without_3", "methods": ["kd"], "recipe": {"without_classes": [3]}}
    path = write_grid(tmp_path / "out.toml", methods=["student", "kd"], control=[control])
    grid = load_grid(str(path))
    runs = cells(grid.model_copy(update={"methods": grid.all_methods}))
    assert {run.label: run.recipe.without_classes for run in runs} == {"student": (), "kd": (), "kd@without_3": (3,)}
    assert len({run.teacher.id for run in runs if run.teacher and run.pair == runs[0].pair and run.seed == 0}) == 1


@pytest.mark.parametrize(
    "lacking", [{"recipe__without_classes": [3]}, {"recipes": {"resnet_s": THREE, "resnet_m": THREE}}]
)
def test_teachers_see_the_classes_that_all_students_lack(lacking: dict[str, object], tmp_path: Path) -> None:
    """Also a student that comes to teach; but for what the teacher's own recipe leaves out."""
    control = {"name": "born_again", "methods": ["kd"], "teacher": "student"}

    def planned(**changes: object) -> tuple[Run, ...]:
        grid = write_grid(tmp_path / "out.toml", methods=["kd", "kd@born_again"], control=[control], **changes)
        return cells(load_grid(str(grid)))

    runs = planned(**lacking)
    assert {run.recipe.without_classes for run in runs} == {(3,)}
    assert [run.teacher for run in runs] == [run.teacher for run in planned()]
    own = planned(**lacking, teacher_recipe__without_classes=[5])
    assert {run.teacher.recipe.without_classes for run in own if run.teacher} == {(5,)}
