"""Whatever a folder holds, the result is right or the message clear: no traceback, no silently wrong mean."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import fake_results as fake
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analysis.__main__ import main
from analysis.report import numbers
from analysis.report.paper import paper
from analysis.report.summary import summary
from analysis.runs.load import load
from analysis.statistics.evidence import collect_evidence
from analysis.tables.budget import budget_table
from analysis.tables.gains import gain_table
from analysis.tables.latex import latex
from analysis.tables.main import main_table
from analysis.tables.markdown import markdown
from analysis.tables.published import published_table
from benchmark.records import Folder, Record
from benchmark.records import folder as recording

pytestmark = pytest.mark.usefixtures("undrawn")

METHODS = ("student", "kd", "größe $x_2$ 方法")
PLACES = [(method, seed, pair) for method in METHODS for seed in range(2) for pair in fake.PAIRS]
STATES = st.sampled_from(
    ["done", "done", "done", "diverged", "not_applicable", "planned", "failed", "absent", "invalid"]
)


def told(folder: Path) -> str:
    """Everything that is written in words, drawing left aside."""
    evidence = collect_evidence(load([folder]).runs)
    tables = [main_table(evidence), budget_table(evidence), gain_table(evidence), published_table(evidence.matches)]
    named = numbers.named(numbers.numbers(evidence))
    texts = [form(table) for table in tables for form in (markdown, latex)]
    return "\n".join(
        [*texts, numbers.macros(named), summary(evidence), paper(evidence, tables, [], numbers.citations(named))]
    )


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(STATES, min_size=len(PLACES), max_size=len(PLACES)),
    st.lists(st.integers(0, 1000), min_size=len(PLACES), max_size=len(PLACES)),
)
def test_any_part_of_a_grid_gives_right_means_and_names_every_hole(states: list[str], top1: list[int]) -> None:
    with TemporaryDirectory() as name:
        path, expected = Path(name), dict[tuple[str, str], list[float]]()
        for (method, seed, pair), state, value in zip(PLACES, states, top1, strict=True):
            run = fake.run(f"m{METHODS.index(method)}" if method != "student" else method, seed, pair, label=method)
            if state in ("done", "diverged", "not_applicable"):
                fake.write(path, fake.record(run, value / 1000, status=state))
            if state in ("planned", "failed", "invalid"):
                Folder(path).plan(run)
            if state == "failed":
                Folder(path).fail(run.id, "out of memory", log="")
            if state == "invalid":
                Folder(path).record_path(run.id).parent.mkdir(exist_ok=True)
                Folder(path).record_path(run.id).write_text('{"schema_version": 1}', encoding="utf-8")
            if state == "done":
                expected.setdefault(("_".join(pair), method), []).append(value / 10)
        if not {"done", "diverged", "not_applicable"} & set(states):
            assert main([str(path)]) == 2
            return
        runs = load([path]).runs
        assert told(path)
        table = main_table(collect_evidence(runs))
        for row in table.data:
            values = expected.get((row["pair"], row["method"]))
            if row["method"] == "teacher":
                continue
            assert (row["top1_percent"] is None) == (values is None)
            if values:
                assert row["n"] == len(values)
                assert row["top1_percent"] == pytest.approx(sum(values) / len(values))
            assert row["state"] == "done" or row["note"]


def one(tmp_path: Path, **changes: object) -> tuple[Path, Path]:
    """A folder of two good runs, and the path of a third's record, changed by hand."""
    runs = [fake.run("kd", seed) for seed in range(3)]
    folder = fake.write(tmp_path / "grid", *map(fake.record, runs))
    path = Folder(folder).record_path(runs[2].id)
    raw = json.loads(path.read_text(encoding="utf-8"))
    for name, value in changes.items():
        (raw["result"] if name in raw["result"] else raw)[name] = value
    path.write_text(json.dumps(raw), encoding="utf-8")
    return folder, path


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"schema_version": 2}, "has schema version 2; this suite reads 1"),
        ({"schema_version": 2, "novelty": 1}, "has schema version 2; this suite reads 1"),
        ({"top1": float("nan")}, "result.top1: Input should be a finite number"),
        ({"top1": float("inf")}, "result.top1: Input should be a finite number"),
        ({"run_id": "other"}, "says other, its run hashes to"),
        ({"status": "fine"}, "status: Input should be 'done', 'diverged' or 'not_applicable'"),
    ],
)
def test_a_record_that_cannot_be_used_is_named_and_its_cell_says_so(
    changes: dict[str, object], complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, path = one(tmp_path, **changes)
    assert main([str(folder)]) == 0
    error = capsys.readouterr().err
    assert complaint in error
    assert str(path) in error
    assert "(n = 2)" in (folder / "tables/main.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("text", ["", "[]", "3", "{", '"x"', "\udcff"])
def test_no_kind_of_file_is_taken_for_a_record(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, path = one(tmp_path)
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert main([str(folder)]) == 0
    assert str(path) in capsys.readouterr().err


def test_a_method_without_the_student_alone_is_tabled_without_gains(tmp_path: Path) -> None:
    folder = fake.write(tmp_path / "grid", *(fake.record(fake.run("kd", seed)) for seed in range(3)))
    assert main([str(folder)]) == 0
    assert "No method can be compared" in (folder / "summary.md").read_text(encoding="utf-8")
    assert not (folder / "tables/gains.md").exists()


def test_only_stale_records_say_how_to_count_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = fake.run("kd").model_copy(update={"revisions": {"kd": 0}})
    folder = fake.write(tmp_path / "grid", fake.record(run))
    assert main([str(folder)]) == 0
    output = capsys.readouterr()
    assert "1 record is left out as stale (kd revision 0, now 1); --include-stale counts them" in output.err
    assert "stale [a]" in output.out
    assert main([str(folder), "--include-stale"]) == 0
    assert " 92.30 |" in capsys.readouterr().out


def test_several_weights_of_one_teacher_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records = [fake.record(fake.run("kd", seed), teacher_weights_sha256=f"{'ab'[seed]}" * 64) for seed in range(2)]
    assert main([str(fake.write(tmp_path / "grid", *records))]) == 0
    assert "has several weights (aaaaaaaaaaaa and bbbbbbbbbbbb)" in capsys.readouterr().err


def test_grids_are_analysed_together(tmp_path: Path) -> None:
    first = fake.full_grid(tmp_path / "a")
    second = fake.full_grid(tmp_path / "b", dataset="fashion")
    assert main([str(first), str(second), "--out", str(tmp_path / "both")]) == 0
    text = (tmp_path / "both/summary.md").read_text(encoding="utf-8")
    assert "8 methods on 4 pairs of 2 data sets" in text
    assert "beat the student alone on these 4 pairs." in text


def test_every_record_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = fake.full_grid(tmp_path / "grid")
    read: list[Path] = []
    original = recording.read_record

    def counted(path: Path) -> Record:
        read.append(path)
        return original(path)

    monkeypatch.setattr(recording, "read_record", counted)
    assert main([str(folder)]) == 0
    assert len(read) == len(set(read)) == 48


def test_many_records_that_cannot_be_used_are_still_one_short_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = fake.full_grid(tmp_path / "grid")
    for path in (folder / "records").iterdir():
        path.write_text("{", encoding="utf-8")
    assert main([str(folder)]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert message.count(".json") == 1
    assert "and so for 48 in all" in message


@pytest.mark.parametrize(
    ("text", "complaint"), [("pairs = [{t", "is not TOML"), ('pairs = [{teacher = "a"}]', "a pair has no 'student'")]
)
def test_a_grid_file_that_cannot_be_used_is_named(
    text: str, complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = fake.full_grid(tmp_path / "grid")
    (folder / "grid.toml").write_text(text, encoding="utf-8")
    assert main([str(folder)]) == 2
    message = capsys.readouterr().err
    assert f"{folder / 'grid.toml'}" in message
    assert complaint in message
    assert message.count("\n") == 1


def test_a_record_that_is_not_valid_is_a_hole_where_nothing_says_what_was_planned(tmp_path: Path) -> None:
    records = [fake.record(fake.run(method)) for method in ("student", "kd", "sp")]
    folder = Folder(fake.write(tmp_path / "g", *records))
    path = folder.record_path(records[2].run_id)
    path.write_text(path.read_text().replace('"top1": 0.', '"top1": 7.'))
    runs = load([folder.path]).runs.set_index("method")
    assert dict(runs.status) == {"kd": "done", "sp": "failed", "student": "done"}
    assert runs.reason["sp"] == "its record is not valid"
