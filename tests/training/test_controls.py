"""Controls in training: what a shuffled teacher and smoothed labels do, and a grid with every kind from end to end."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from command_line import cli, contents, write_grid
from torch import Tensor

import methods
from benchmark.data import load, training_data
from benchmark.ground.errors import COMPLETE, INCOMPLETE, USAGE
from benchmark.records import Folder
from benchmark.spec import Match, Precision, load_grid
from benchmark.training.matching import matching_epochs
from benchmark.training.member import build_student, shuffled_outputs
from benchmark.training.teacher import Teacher
from benchmark.training.untrained import update_batch_norms
from methods.base import Outputs, Shapes, Tap, Task

pytestmark = pytest.mark.usefixtures("test_methods")


def test_a_shuffled_teacher_answers_for_another_image(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shuffled = tiny.run("rkd_da").model_copy(update={"shuffled": True})
    plain, student = tiny.run("rkd_da"), tiny.run("student")
    together = tiny.trained_members(results / "grid", shuffled, plain, student)
    learnt = [member.network.state_dict() for member in together]
    supply = Teacher.outputs

    def by_another(teacher: Teacher, images: Tensor, precision: Precision, *reads: Collection[Tap]) -> Outputs:
        training = len(images) <= plain.recipe.batch_size  # the gate shows all test images at once, which are more
        outputs = supply(teacher, images, precision, *reads)
        return rolled(outputs) if training else outputs

    monkeypatch.setattr(Teacher, "outputs", by_another)
    (by_hand,) = tiny.trained_members(results / "by hand", plain)
    assert same(by_hand.network.state_dict(), learnt[0])
    assert not same(learnt[1], learnt[0])
    assert not same(learnt[2], learnt[0])


def rolled(outputs: Outputs) -> Outputs:
    """Row 0 last: of all the outputs that relational losses read."""
    order = torch.tensor([len(outputs.logits) - 1, *range(len(outputs.logits) - 1)])
    maps = tuple(x[order] for x in outputs.maps)
    return Outputs(outputs.logits[order], outputs.embedding[order], maps, outputs.pooled_map[order], outputs.stem)


def same(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> bool:
    return all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_every_output_is_misaligned_alike() -> None:
    values = [torch.arange(5.0)[:, None, None, None].expand(5, *shape) for shape in ((2, 3, 3), (4, 1, 1))]
    outputs = Outputs(values[0][:, :, 0, 0], values[1][:, :, 0, 0], tuple(values), values[1], stem=1)
    moved = shuffled_outputs(outputs)
    for before, after in (
        (outputs.logits, moved.logits),
        (outputs.embedding, moved.embedding),
        (outputs.pooled_map, moved.pooled_map),
        *zip(outputs.maps, moved.maps, strict=True),
    ):
        assert after.shape == before.shape
        assert after.flatten(1)[:, 0].tolist() == [4.0, 0.0, 1.0, 2.0, 3.0]
    assert moved.stem == 1


@pytest.mark.parametrize("name", ["student", "kd", "kd+rkd_da", "mhgd"])
def test_the_recipes_label_smoothing_is_in_every_classification_loss(name: str) -> None:
    """(1 - e) of the target's cross-entropy and e of the mean over all classes."""
    shapes = Shapes(4, 8, ((4, 4, 4), (8, 2, 2), (8, 1, 1)), (8, 1, 1))
    smoothed = Task(shapes, shapes, torch.zeros(6, dtype=torch.int64), epochs=1, label_smoothing=0.2)
    logits, labels = torch.randn(6, 4, dtype=torch.float64), torch.tensor([0, 1, 2, 3, 0, 1])
    surprise = -logits.log_softmax(1)
    expected = (0.8 * surprise.gather(1, labels[:, None])[:, 0] + 0.2 * surprise.mean(1)).mean()
    torch.testing.assert_close(methods.load(name, smoothed).classification(logits, labels), expected)


def test_label_smoothing_reaches_training(results: Path) -> None:
    plain, smoothed = tiny.run(), tiny.run(label_smoothing=0.3)
    members = [tiny.trained_members(results / "grid", run)[0] for run in (plain, smoothed)]
    assert members[1].curve[0]["train_loss"] != members[0].curve[0]["train_loss"]


CONTROLS = [
    {"name": "longer", "recipe": {"epochs": 3}},
    {"name": "born_again", "methods": ["kd"], "teacher": "student"},
    {"name": "shuffled", "methods": ["kd"], "shuffled": True},
    {"name": "random", "methods": ["sp"]},
    "matched",
]


def test_a_grid_with_controls_runs_and_tables_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    accuracies = {"digits": {"resnet_m": 0.0, "resnet_s": 0.0}}
    grid = write_grid(tmp_path / "controlled.toml", control=CONTROLS, expected_accuracy=accuracies, seeds=[0])
    assert cli("--grid", grid, "--results-dir", tmp_path) == COMPLETE
    printed = capsys.readouterr().out
    found = [run for run, _, _ in contents(tmp_path / "controlled").values()]
    by_label = {run["label"]: run for run in found}
    controlled = {"student@longer", "kd@born_again", "kd@shuffled", "sp@random", "student@matched_sp"}
    assert set(by_label) == {"student", "sp"} | controlled
    assert by_label["student@longer"]["recipe"]["epochs"] == 3
    assert by_label["kd@born_again"]["teacher"]["student"]["name"] == "resnet_s"
    teachers = contents(tmp_path / "teachers").values()
    assert {run["student"]["name"] for run, _, _ in teachers} == {"resnet_m", "resnet_s"}
    [(random, result, curve)] = [each for each in teachers if each[0]["recipe"]["epochs"] == 0]
    assert by_label["sp@random"]["teacher"] == random
    assert (result["weights_sha256"] is not None, curve.strip()) == (True, "")
    records, _ = Folder(tmp_path / "controlled").records()
    flops = {record.run.label: record.cost.training_flops or 0 for record in records}
    epochs = by_label["student@matched_sp"]["recipe"]["epochs"]
    assert abs(flops["student@matched_sp"] - flops["sp"]) <= 0.5 * flops["student@matched_sp"] / epochs
    assert load_grid(str(tmp_path / "controlled" / "grid.toml")).control_named("matched_sp").epochs == {
        "digits": {"resnet_m_resnet_s": epochs}
    }
    assert "born_again" in printed or "born-again" in printed
    assert cli("--grid", grid, "--results-dir", tmp_path, "--methods", "sp@longr") == USAGE
    assert "unknown control 'longr': did you mean longer?" in capsys.readouterr().err


def test_a_last_batch_of_one_image_tells_an_untrained_network_nothing() -> None:
    """Nor does it end it: a batch norm at 1 x 1 has no variance of one image."""
    collapsing = tiny.RESNET.model_copy(update={"stem": "timm"})
    found = []
    for last_batch in ("keep", "drop"):
        run = tiny.run(student=collapsing, batch_size=33, last_batch=last_batch)
        network = build_student(run, 10, tiny.CPU)
        update_batch_norms(network, run, training_data(load(tiny.DATA, None).train, run.recipe, tiny.CPU))
        found.append(network.state_dict())
    assert same(*found)
    assert not torch.equal(found[0]["model.bn1.running_mean"], torch.zeros(8))


def test_a_match_is_counted_on_machines_that_lack_the_recipes_precision() -> None:
    """A cluster's grid is prepared where there is no GPU."""
    found = []
    for precision in ("float32", "tf32"):
        changed: dict[str, Any] = {"precision": precision, "teacher_precision": precision}
        match = Match("matched_kd", tiny.run(**changed), tiny.run("kd", **changed))
        found.append(matching_epochs([match], tiny.GRID, None, download=False))
    assert found[0] == found[1]
    assert found[0]["matched_kd"]["digits"][""] > tiny.RECIPE.epochs


TUNING = {
    "trials": 2,
    "seeds": [7],
    "ranges": {"sp": {"weight": [30.0, 300.0]}, "kd": [{"ce": 0.9, "weight": 0.1}, {"ce": 0.5, "weight": 0.5}]},
}


def test_tuning_from_end_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grid = write_grid(tmp_path / "tuned.toml", tuning=TUNING, methods=["student", "kd", "sp"], seeds=[0])
    arguments = ("--grid", grid, "--results-dir", tmp_path)
    assert cli(*arguments, "--methods", "tuned") == USAGE
    assert "nothing was tuned for this grid yet" in capsys.readouterr().err
    assert cli(*arguments, "--tune", "--methods", "sp") == USAGE
    assert "--tune takes no --methods" in capsys.readouterr().err
    twice = TUNING | {"ranges": {"sp": [{"weight": 3000.0}, {}]}}
    same = write_grid(tmp_path / "same.toml", tuning=twice, methods=["student", "sp"], seeds=[0])
    assert cli("--grid", same, "--results-dir", tmp_path, "--tune") == USAGE
    assert "sp@trial2 is sp@trial1" in capsys.readouterr().err
    assert not (tmp_path / "same-tuning").exists()
    assert cli(*arguments, "--tune", "--dry-run") == COMPLETE
    assert "4 runs in" in capsys.readouterr().out
    assert not (tmp_path / "tuned").exists()
    assert cli(*arguments, "--tune") == COMPLETE
    trials = Folder(tmp_path / "tuned-tuning").records()[0]
    assert {record.run.label for record in trials} == {"kd@trial1", "kd@trial2", "sp@trial1", "sp@trial2"}
    best = max((r for r in trials if r.run.method == "sp"), key=lambda r: r.result.validation_top1 or 0)
    stale = best.run.model_copy(update={"protocol": best.run.protocol - 1})
    old = best.model_copy(update={"run": stale, "run_id": stale.id})
    Folder(tmp_path / "tuned-tuning").finish(old, [])
    assert cli(*arguments, "--tune") == COMPLETE  # what the trials were before is no trial
    capsys.readouterr()
    assert cli(*arguments, "--methods", "all", "tuned") == COMPLETE
    runs = {run["label"]: run for run, _, _ in contents(tmp_path / "tuned").values()}
    assert set(runs) == {"student", "kd", "sp", "kd@tuned", "sp@tuned"}
    assert runs["sp@tuned"]["options"] == best.run.options
    assert runs["sp"]["options"]["sp"]["weight"] == 3000.0


def test_trials_may_be_made_pair_by_pair(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tuning = {"trials": 2, "seeds": [7], "ranges": {"kd": [{"ce": 0.9, "weight": 0.1}, {"ce": 0.5, "weight": 0.5}]}}
    pairs = [{"teacher": "resnet_m", "student": student} for student in ("resnet_s", "resnet_m")]
    grid = write_grid(tmp_path / "two.toml", tuning=tuning, methods=["student", "kd"], seeds=[0], pairs=pairs)
    arguments = ("--grid", grid, "--results-dir", tmp_path, "--tune")
    assert cli(*arguments, "--pairs", "resnet_m_resnet_s") == INCOMPLETE
    assert "2 trials are still to be made: --tune of all pairs chooses" in capsys.readouterr().out
    assert cli(*arguments) == COMPLETE
    assert len(Folder(tmp_path / "two-tuning").records()[0]) == 4
