"""Analysis: numbers against hand-computed ones, holes shown, bad input, and the same bytes every time."""

import csv
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import fake_results as fake
import pytest

from analysis.__main__ import main
from analysis.runs.load import load
from analysis.statistics.cells import Cell, pool
from analysis.statistics.evidence import collect_evidence
from analysis.tables.budget import budget_table
from analysis.tables.main import main_table
from analysis.tables.markdown import markdown
from analysis.tables.table import Table
from benchmark.ground.errors import UsageError
from benchmark.records import Cost, Folder

pytestmark = pytest.mark.usefixtures("unsaved")

ROOT = Path(__file__).parents[2]


def cells_of(*folders: Path) -> dict[tuple[str, str], Cell]:
    return {(cell.pair, cell.method): cell for cell in pool(load(folders).runs)}


def table_of(*folders: Path) -> Table:
    return main_table(collect_evidence(load(folders).runs))


def kd_cell(*folders: Path) -> Cell:
    return cells_of(*folders)["resnet_l_resnet_s", "kd"]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def hashes(folder: Path) -> dict[str, str]:
    """Of everything that an analysis writes."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.parent.name not in ("records", "planned"))
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(files)}


# Numbers


def test_main_table_holds_hand_computed_numbers(tmp_path: Path) -> None:
    kd = [fake.record(fake.run("kd", seed), top1) for seed, top1 in enumerate((0.90, 0.91, 0.95))]
    student = [fake.record(fake.run("student", seed), 0.9) for seed in range(3)]
    folder = fake.write(tmp_path / "grid", *kd, *student)
    assert main([str(folder)]) == 0
    text = (folder / "tables/main.md").read_text(encoding="utf-8")
    # The student alone does not vary, so that nothing is lent; two points are no difference beside 2.65 of three runs.
    assert "**<u>92.00 ± 2.65</u>**" in text
    assert "**90.00 ± 0.00** |" in text
    assert "(n = 3)" in text
    assert r"\textbf{\underline{92.00}}\,{\scriptsize$\pm$\,2.65}" in (folder / "tables/main.tex").read_text(
        encoding="utf-8"
    )
    [row] = [row for row in rows(folder / "tables/main.csv") if row["method"] == "kd"]
    assert float(row["top1_percent"]) == pytest.approx(92)
    assert float(row["std_percent"]) == pytest.approx(7**0.5)
    assert (row["n"], row["best"]) == ("3", "True")
    drawn = rows(folder / "figures/accuracy_vs_budget.csv")
    assert [row["method"] for row in drawn] == ["teacher", "student", "kd"]
    assert [row["parameters"] for row in drawn] == ["702000.0", "12400.0", "12400.0"]


def test_ties_as_printed_are_all_highest(tmp_path: Path) -> None:
    tops = {"kd": 0.90001, "sp": 0.90002, "gkd": 0.8}
    text = markdown(
        table_of(fake.write(tmp_path / "grid", *(fake.record(fake.run(m), top) for m, top in tops.items())))
    )
    assert text.count("<u>90.00</u>") == 2


def test_cost_table_means_over_seeds_in_one_unit_a_column(tmp_path: Path) -> None:
    text = markdown(budget_table(collect_evidence(load([fake.full_grid(tmp_path / "grid")]).runs)))
    [line] = [line for line in text.splitlines() if line.startswith("| KD")][:1]
    # 30,000 images x (6 x 310,000 + 2 x 14,800,000) FLOPs; seconds 10, 11, 12.
    assert [field.strip() for field in line.split("|")[1:-1]] == ["KD", "12.4", "310", "943.8", "11.0", "4.00"]
    assert "Training FLOPs (G)" in text
    assert "runs that trained together" in text
    assert "2-core CPU" in text


def test_paired_teachers_are_pooled_and_averaged(tmp_path: Path) -> None:
    records = [
        fake.record(
            fake.run("kd", seed, teacher_seed=seed),
            0.9,
            teacher_top1=0.95 + seed / 100,
            teacher_weights_sha256=str(seed),
        )
        for seed in range(3)
    ]
    cells = cells_of(fake.write(tmp_path / "grid", *records))
    assert cells["resnet_l_resnet_s", "kd"].n == 3
    teacher = cells["resnet_l_resnet_s", "teacher"]
    assert (teacher.n, teacher.top1_percent) == (3, pytest.approx(96))


# Holes


@pytest.mark.usefixtures("undrawn")
def test_diverged_and_missing_seeds_are_footnoted_not_averaged_away(tmp_path: Path) -> None:
    diverged = fake.record(fake.run("kd", 2), status="diverged", reason="loss is not finite", diverged_epoch=4)
    kd = [fake.record(fake.run("kd", 0), 0.90), fake.record(fake.run("kd", 1), 0.92), diverged]
    sp = [fake.record(fake.run("sp", seed), 0.85) for seed in range(3)]
    gkd = (fake.run("gkd", 0), fake.run("gkd", 1), fake.run("gkd", 2))
    na = [fake.record(fake.run("fsp", seed), status="not_applicable", reason="unequal widths") for seed in range(3)]
    folder = fake.write(tmp_path / "grid", *kd, *sp, *na, planned=gkd)
    Folder(folder).fail(gkd[1].id, "CUDA out of memory", log="")
    table = table_of(folder)
    text = markdown(table)
    assert "91.00 ± 1.41 [" in text
    assert "2 of 3 seeds: seed 2 diverged (loss is not finite)" in text
    assert "seed 1 failed (CUDA out of memory); seeds 0 and 2 missing" in text
    assert "seeds 0 to 2 not applicable (unequal widths)" in text
    assert "n/a [" in text
    # The mean over the seeds that did not diverge is no candidate for the best, which leaves nothing to compare.
    assert "**" not in text
    assert "<u>" not in text
    assert main([str(folder)]) == 0


def test_without_a_plan_holes_are_what_pairs_methods_and_seeds_leave_open(tmp_path: Path) -> None:
    runs = [fake.run(method, seed, pair) for pair in fake.PAIRS for method in ("student", "kd") for seed in range(3)]
    folder = fake.write(tmp_path / "grid", *map(fake.record, runs[:-2]))
    cell = cells_of(folder)["vit_l_mixer_s", "kd"]
    assert (cell.n, cell.seeds, cell.note) == (1, 3, "seeds 1 and 2 missing")


def test_planned_runs_bound_the_holes(tmp_path: Path) -> None:
    records = [fake.record(fake.run("student", seed)) for seed in range(3)]
    records += [fake.record(fake.run("kd", 0, fake.PAIRS[1]))]
    folder = fake.write(tmp_path / "grid", *records, planned=(fake.run("kd", 1, fake.PAIRS[1]),))
    cells = cells_of(folder)
    assert ("resnet_l_resnet_s", "kd") not in cells
    assert cells["vit_l_mixer_s", "kd"].note == "seed 1 missing"
    assert "–" in markdown(table_of(folder))


def test_two_teachers_weights_in_one_cell_are_not_pooled(tmp_path: Path) -> None:
    records = [fake.record(fake.run("kd", seed), teacher_weights_sha256="aabb"[seed]) for seed in range(3)]
    folder = fake.write(tmp_path / "grid", *records)
    cell = kd_cell(folder)
    assert (cell.state, cell.top1_percent) == ("mixed", None)
    assert "teacher weights" in cell.note
    assert "not comparable, because their runs differ in teacher weights" in markdown(table_of(folder))


def test_runs_of_two_recipes_are_not_pooled_over_folders(tmp_path: Path) -> None:
    short = fake.write(tmp_path / "short", *(fake.record(fake.run("kd", seed)) for seed in range(2)))
    long = fake.write(tmp_path / "long", *(fake.record(fake.run("kd", seed, epochs=60)) for seed in range(2)))
    assert "recipe" in kd_cell(short, long).note


def test_methods_under_different_recipes_have_no_best(tmp_path: Path) -> None:
    records = [fake.record(fake.run("kd", epochs=60)), fake.record(fake.run("sp"))]
    text = markdown(table_of(fake.write(tmp_path / "grid", *records)))
    assert "**" not in text
    assert "methods not comparable, because their runs differ in recipe" in text


def test_a_run_in_two_folders_counts_once_and_a_disagreement_is_named(tmp_path: Path) -> None:
    first = fake.write(tmp_path / "first", fake.record(fake.run("kd"), 0.90))
    same = fake.write(tmp_path / "same", fake.record(fake.run("kd"), 0.90))
    other = fake.write(tmp_path / "other", fake.record(fake.run("kd"), 0.80))
    assert load([first, same]).problems == ()
    assert kd_cell(first, same, first).n == 1
    assert "another result" in load([first, other]).problems[0]
    assert kd_cell(first, other).top1_percent == pytest.approx(90)


# Bad input


@pytest.mark.parametrize("content", ["nothing", "empty", "corrupt", "teachers"])
def test_a_folder_without_results_is_one_line(content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "grid"
    if content != "nothing":
        (folder / "records").mkdir(parents=True)
    if content == "corrupt":
        (folder / "records/x.json").write_text("{", encoding="utf-8")
    if content == "teachers":
        teacher = fake.run().teacher
        assert teacher is not None
        record = fake.record(fake.run()).model_copy(update={"run": teacher, "run_id": teacher.id})
        Folder(folder).finish(record, [])
    assert main([str(folder)]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert str(folder) in message
    assert ("x.json" in message) == (content == "corrupt")
    assert not (folder / "tables").exists()


@pytest.mark.usefixtures("undrawn")
def test_a_corrupt_record_is_named_and_the_rest_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = fake.full_grid(tmp_path / "grid")
    broken = fake.run("kd", 1)
    Folder(folder).record_path(broken.id).write_text('{"schema_version": 1, "run_id": 3}', encoding="utf-8")
    assert main([str(folder)]) == 0
    output = capsys.readouterr()
    assert broken.id in output.err
    assert "2 of 3 seeds: seed 1 failed (its record is not valid)" in output.out
    assert "47 of 48 runs done, 1 failed" in output.out


@pytest.mark.parametrize("top1", [None, 1.5])
def test_a_done_record_without_an_accuracy_is_a_hole(tmp_path: Path, top1: float | None) -> None:
    runs = tuple(fake.run("kd", seed) for seed in range(2))
    folder = fake.write(tmp_path / "grid", *(fake.record(run, 0.9) for run in runs), planned=runs)
    path = Folder(folder).record_path(runs[1].id)
    raw = json.loads(path.read_text(encoding="utf-8"))
    raw["result"]["top1"] = top1
    path.write_text(json.dumps(raw), encoding="utf-8")
    cell = kd_cell(folder)
    assert (cell.n, cell.top1_percent) == (1, pytest.approx(90))
    assert cell.note == "seed 1 failed (its record is not valid)"


@pytest.mark.usefixtures("undrawn")
def test_one_seed_and_one_method_have_no_spread(tmp_path: Path) -> None:
    folder = fake.write(tmp_path / "grid", fake.record(fake.run("kd"), 0.9))
    assert main([str(folder)]) == 0
    text = (folder / "tables/main.md").read_text(encoding="utf-8")
    assert "after the last epoch, one seed." in text
    assert " 90.00 |" in text


def test_one_seed_of_two_methods_has_a_gain_without_an_interval(tmp_path: Path) -> None:
    records = [fake.record(fake.run("student"), 0.9), fake.record(fake.run("kd"), 0.92)]
    table = table_of(fake.write(tmp_path / "grid", *records))
    assert table.caption.endswith("Mean gain: over pairs.")
    assert "CI" not in table.caption


def test_all_diverged_is_tabled_and_not_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records = [fake.record(fake.run("kd", seed), status="diverged", reason="loss is inf") for seed in range(3)]
    folder = fake.write(tmp_path / "grid", *records)
    assert main([str(folder)]) == 0
    assert "nothing to draw" in capsys.readouterr().err
    assert "diverged [a]" in (folder / "tables/main.md").read_text(encoding="utf-8")
    assert not (folder / "figures").exists()


def test_a_data_set_without_results_or_costs_does_not_stop_the_others(tmp_path: Path) -> None:
    uncosted = fake.record(fake.run("kd", dataset="cifar100")).model_copy(update={"cost": Cost()})
    diverged = fake.record(fake.run("kd", dataset="svhn"), status="diverged", reason="loss is inf")
    folder = fake.write(tmp_path / "grid", fake.record(fake.run("kd")), uncosted, diverged)
    assert main([str(folder)]) == 0
    assert {row["dataset"] for row in rows(folder / "tables/main.csv")} == {"cifar100", "digits", "svhn"}


@pytest.mark.usefixtures("undrawn")
def test_names_of_any_script_reach_every_output(tmp_path: Path) -> None:
    labels = ("größe_$x^2", "方法 & 100%", "a|b<c>", "kd+rkd_da", "rkd_da[distance=10]")
    folder = fake.write(
        tmp_path / "grid", *(fake.record(fake.run(f"m{i}", label=label)) for i, label in enumerate(labels))
    )
    assert main([str(folder)]) == 0
    text = (folder / "tables/main.md").read_text(encoding="utf-8")
    assert r"größe\_\$x^2" in text
    assert r"a\|b&lt;c>" in text
    assert "方法" in (folder / "tables/main.csv").read_text(encoding="utf-8")
    assert (folder / "tables/main.tex").read_bytes().isascii()


@pytest.mark.usefixtures("undrawn")
def test_a_read_only_results_folder_can_be_drawn_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(folder: Folder, records: object) -> None:
        raise UsageError(f"cannot write to {folder.path}: Read-only file system")

    monkeypatch.setattr(Folder, "write_tables", refuse)
    folder = fake.write(tmp_path / "grid", fake.record(fake.run("kd")))
    assert main([str(folder), "--out", str(tmp_path / "paper")]) == 0
    assert "Read-only file system; its runs.csv and costs.csv are not rewritten" in capsys.readouterr().err
    assert (tmp_path / "paper/tables/main.tex").exists()
    assert not (folder / "tables").exists()


# Output


def test_the_same_bytes_in_every_process_and_csv_rewritten(tmp_path: Path) -> None:
    runs = [fake.run(method, seed, pair) for pair in fake.PAIRS for method in fake.METHODS[:4] for seed in range(2)]
    folder = fake.write(tmp_path / "grid", *map(fake.record, runs))
    found = []
    for hash_seed in ("1", "2"):
        command = [sys.executable, "-m", "analysis", str(folder)]
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        subprocess.run(command, check=True, cwd=ROOT, env=environment, capture_output=True)
        found.append(hashes(folder))
        shutil.rmtree(folder / "figures")
        shutil.rmtree(folder / "tables")
        assert len(rows(folder / "runs.csv")) == len(rows(folder / "costs.csv")) == len(runs)
    assert found[0] == found[1]
    assert {"main.tex", "gains.csv", "numbers.tex", "summary.md", "paper.tex"} <= {Path(name).name for name in found[0]}


def test_no_training_library_is_imported(tmp_path: Path) -> None:
    folder = fake.write(tmp_path / "grid", fake.record(fake.run("kd")))
    code = f"""
import sys
import analysis.tables.table, analysis.tables.latex
assert "matplotlib" not in sys.modules
from analysis.__main__ import main
assert main([{str(folder)!r}]) == 0
print(sorted({{"torch", "timm", "torchvision"}} & set(sys.modules)))
"""
    result = subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, capture_output=True, text=True)
    assert result.stdout.splitlines()[-1] == "[]"


# Looks


@pytest.mark.usefixtures("undrawn")
def test_students_recorded_without_their_teacher_count_and_its_columns_stay_empty(tmp_path: Path) -> None:
    alone = dict.fromkeys(("teacher_id", "teacher_weights_sha256", "teacher_top1"))
    runs = [fake.run("student", seed) for seed in range(3)]
    folder = fake.write(tmp_path / "g", *(fake.record(run, **alone) for run in runs), planned=(fake.run("kd"),))
    for kd in (fake.run("kd"),):
        Folder(folder).fail(kd.id, "TeacherError: at chance", "")
    assert main([str(folder)]) == 0
    with (folder / "tables" / "main.csv").open() as file:
        rows = {row["method"]: row for row in csv.DictReader(file)}
    assert rows["student"]["n"] == "3"
    assert float(rows["student"]["top1_percent"]) > 80
    assert (rows["kd"]["state"], rows["kd"]["top1_percent"]) == ("failed", "")
    assert "teacher" not in rows
