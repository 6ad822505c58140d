"""Test errors by count, and of students that lack a class, against numbers made up for them."""

from pathlib import Path

import fake_results as fake
import numpy as np
import pytest
from graded import lines_of

from analysis import REFERENCE
from analysis.runs.banks import Banks
from analysis.runs.load import Results, load, plain
from analysis.statistics.evidence import collect_evidence
from analysis.statistics.left_out import LeftOut, best_bias, left_out
from analysis.tables.errors import errors_table, left_out_table
from analysis.tables.markdown import markdown
from benchmark.ground.files import write_bytes
from benchmark.records import Folder, Record
from benchmark.records.predictions import Predictions, of_run
from benchmark.spec import Run

PAIR = fake.PAIRS[0]
IMAGES, CLASSES = 200, 4


def test_errors_are_counted_where_they_are_few(tmp_path: Path) -> None:
    records = [
        fake.record(fake.run("student", seed, PAIR), 0.98 + seed / 1000, test_images=10_000) for seed in range(3)
    ]
    records += [fake.record(fake.run("kd", 0, PAIR), 0.99, test_images=10_000)]
    table = errors_table(collect_evidence(load([fake.write(tmp_path / "grid", *records)]).runs))
    assert table is not None
    text = markdown(table)
    assert lines_of(text, "| Student alone")[0].split("|")[2].strip() == "190.0 ± 10.0"
    assert lines_of(text, "| KD")[0].split("|")[2].strip() == "100 [a]"
    assert lines_of(text, "| Teacher")[0].split("|")[2].strip() == "361"
    assert "Test errors of 10,000 images" in text
    rows = {row["method"]: row for row in table.data}
    assert rows["student"]["errors"] == pytest.approx(190)
    assert rows["student"]["std_errors"] == pytest.approx(10)
    many = [fake.record(fake.run("student", seed, PAIR), 0.94, test_images=10_000) for seed in range(3)]
    assert errors_table(collect_evidence(load([fake.write(tmp_path / "many", *many)]).runs)) is None


def test_older_records_do_not_say_how_many_images_there_are(tmp_path: Path) -> None:
    known = [fake.record(fake.run("student", seed, PAIR), 0.98, test_images=10_000) for seed in range(2)]
    older = [fake.record(fake.run("kd", seed, PAIR), 0.99, test_images=None) for seed in range(2)]
    table = errors_table(collect_evidence(load([fake.write(tmp_path / "grid", *known, *older)]).runs))
    assert table is not None
    assert lines_of(markdown(table), "| KD")[0].split("|")[2].strip() == "100.0 ± 0.0"


def brute_force(logits: np.ndarray, labels: np.ndarray, classes: list[int], biases: np.ndarray) -> int:
    """The most images that any of these biases makes right."""
    inside = np.isin(np.arange(logits.shape[1]), classes)
    return max(int(((logits + bias * inside).argmax(1) == labels).sum()) for bias in biases)


@pytest.mark.parametrize("classes", [[3], [0], [1, 2]])
@pytest.mark.parametrize("seed", range(5))
def test_no_bias_is_better_than_the_best(classes: list[int], seed: int) -> None:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, CLASSES, 60)
    logits = generator.normal(size=(60, CLASSES)) + 1.5 * np.eye(CLASSES)[labels]
    logits[:, classes] -= 3
    logits = np.round(8 * logits) / 8  # equal margins occur, and sums are exact
    bias = best_bias(logits, labels, classes)
    found = brute_force(logits, labels, classes, np.array([bias]))
    assert found == brute_force(logits, labels, classes, np.arange(-8, 8, 1 / 16))


def test_a_bias_that_cannot_help_is_zero() -> None:
    logits = np.eye(3)[[0, 1, 2]] * 5.0
    assert best_bias(logits, np.array([0, 1, 2]), [2]) == 0
    assert best_bias(logits - 10 * np.eye(3)[2], np.array([0, 1, 2]), [2]) == 10


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e30])
@pytest.mark.parametrize("label", [0, 2])
def test_a_bias_beyond_all_margins_is_beyond_them(size: float, label: int) -> None:
    """All images are of the class that was left out, and none is taken for it; or none is, and all are."""
    logits, labels = size * np.array([[3.0, 1, 0], [1, 7, -2], [5, 5, 1]]), np.full(3, label)
    if label == 0:
        logits = np.array([[3.0, 1, 8], [7, 1, 8], [5, 5, 9]]) * size
    assert brute_force(logits, labels, [2], np.array([best_bias(logits, labels, [2])])) == 3


def lacking(method: str, seed: int) -> Run:
    recipe = fake.RECIPE.model_copy(update={"without_classes": (3,)})
    return fake.run(method, seed, PAIR, label=f"{method}@without_3").model_copy(update={"recipe": recipe})


def predictions(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are right but for class 3, whose logit is 6 too low, and for `seed + 1` images of class 0."""
    labels = np.arange(IMAGES) % CLASSES
    logits = 5.0 * np.eye(CLASSES)[labels]
    logits[:, 3] -= 6
    logits[:, 1] += 0.5
    logits[: CLASSES * (seed + 1) : CLASSES] = 5.0 * np.eye(CLASSES)[1]
    return logits, labels


def of(results: Results) -> tuple[list[LeftOut], list[str]]:
    return left_out(plain(results.runs[results.runs.pooled]), Banks(results.records))


def kept(folder: Folder, run: Run, seed: int = 0) -> Record:
    """The record of a run whose predictions lie beside it."""
    logits, labels = predictions(seed)
    write_bytes(folder.predictions_path(run.id), Predictions(logits, labels).content())
    return fake.record(run, float((logits.argmax(1) == labels).mean()))


def test_students_that_lack_a_class_before_and_after_the_bias(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "grid")
    records = [fake.record(fake.run("student", seed, PAIR), 0.98) for seed in range(2)]
    records += [kept(folder, lacking("kd", seed), seed) for seed in range(2)]
    missing = lacking("student", 0)
    records.append(fake.record(missing, 0.7))
    results = load([fake.write(folder.path, *records)])
    found, problems = of(results)
    assert problems == ["classes left out: 1 run without predictions (keep_predictions)"]
    assert [(each.seed, each.errors, each.class_errors) for each in found] == [(0, 51, 50), (1, 52, 50)]
    assert [(each.raised_errors, each.raised_class_errors) for each in found] == [(1, 0), (2, 0)]
    assert all(each.images == 200 and each.class_images == 50 and 1.5 < each.bias < 6 for each in found)
    table = left_out_table(found)
    [line] = lines_of(markdown(table), "| KD (without_3)")
    fields = [field.strip() for field in line.split("|")[2:-1]]
    assert fields[:2] == ["51.5 ± 0.7", "50.0 ± 0.0"]
    assert fields[3:] == ["1.5 ± 0.7", "0.0 ± 0.0", "2"]
    assert "digits without class 3, 50 of the 200 test images" in table.caption


def test_what_no_table_counts_is_not_counted_here(tmp_path: Path) -> None:
    """A stale record has a current one in its place."""
    folder, run = Folder(tmp_path / "grid"), lacking("kd", 0)
    stale = run.model_copy(update={"revisions": {"kd": 0}})
    fake.write(folder.path, kept(folder, run), kept(folder, stale))
    assert len(of(load([folder.path]))[0]) == 1


def test_predictions_serve_from_whichever_folder_has_them(tmp_path: Path) -> None:
    run, bare, full = lacking("kd", 0), Folder(tmp_path / "bare"), Folder(tmp_path / "full")
    record = kept(full, run)
    for folder in (bare, full):
        fake.write(folder.path, record)
    for folders in ([bare.path, full.path], [full.path, bare.path]):
        assert len(of(load(folders))[0]) == 1


def test_data_sets_of_one_name_are_told_apart(tmp_path: Path) -> None:
    folders = [Folder(tmp_path / f"grid{train}") for train in (90, 100)]
    for folder, train in zip(folders, (90, 100), strict=True):
        run = lacking("kd", 0)
        run = run.model_copy(update={"dataset": run.dataset.model_copy(update={"train": train})})
        fake.write(folder.path, kept(folder, run))
    results = load([folder.path for folder in folders])
    assert [each.dataset for each in of(results)[0]] == ["digits (train 100)", "digits (train 90)"]
    assert {each.place for each in of(results)[0]} <= {cell.place for cell in collect_evidence(results.runs).cells}


def test_predictions_of_another_training_are_a_problem(tmp_path: Path) -> None:
    run, folder = lacking("kd", 0), Folder(tmp_path / "grid")
    logits, labels = predictions(0)
    write_bytes(folder.predictions_path(run.id), Predictions(logits, labels).content())
    results = load([fake.write(folder.path, fake.record(run, 0.5))])
    found, [problem] = of(results)
    assert not found
    assert "are not those of the record's training" in problem


def test_teachers_know_the_class_that_their_students_lack() -> None:
    """Hinton's control tells nothing under a teacher that has not learnt the class either."""
    folder, recalls = Folder(REFERENCE / "mnist_hinton"), dict[str, float]()
    for record in folder.records()[0]:
        if record.run.recipe.without_classes and record.run.teacher and record.run.seed < 3:
            teacher = folder.teachers.record(record.run.teacher.id)
            assert teacher
            assert teacher.run.recipe.without_classes == ()
            said = of_run(folder.teachers, teacher)
            recalls[teacher.run_id] = float((said.logits[said.labels == 3].argmax(1) == 3).mean())
    assert len(recalls) == 3
    assert min(recalls.values()) > 0.95
