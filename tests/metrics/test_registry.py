"""A metric is one function, registered once: training, records, tables and command lines know it from there."""

import re
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import fake_results as fake
import numpy as np
import pytest

from analysis import load_results
from analysis.__main__ import main as analyse
from analysis.runs.columns import markdown
from analysis.score import main as score
from benchmark import metrics
from benchmark.command.listing import available
from benchmark.ground.errors import COMPLETE, UsageError
from benchmark.ground.files import write_bytes
from benchmark.metrics import METRICS, Array, check, measure, metric
from benchmark.metrics.columns import TAKEN
from benchmark.records import Cost, Folder, RecordError, Result, read_record
from benchmark.records.predictions import Predictions, sha256
from benchmark.training.evaluation import measures

DOCS = Path(__file__).parents[2] / "docs" / "metrics.md"


@pytest.fixture
def brier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The one edit that a new metric takes: a file of the documentation's example."""
    [code] = re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), flags=re.DOTALL)
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "brier.py").write_text(code)
    monkeypatch.setattr(metrics, "__path__", [*metrics.__path__, str(tmp_path / "modules")])
    metrics.discover()
    yield
    del METRICS["brier"], sys.modules["benchmark.metrics.brier"]


def said(seed: int) -> Predictions:
    labels = np.arange(60) % 5
    logits = np.random.default_rng(seed).standard_normal((60, 5)) + 2 * np.eye(5)[labels]
    return Predictions(logits.astype(np.float32), labels)


def test_a_new_metric_is_known_everywhere(
    brier: None, tmp_path: Path, unsaved: None, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "grid"
    for method in ("student", "kd"):
        for seed in range(2):
            predictions = said(seed + 2 * (method == "kd"))
            run, found = fake.run(method, seed), measures(predictions, None)
            assert found["measures"].keys() == {"brier"}
            content = predictions.content()
            fake.write(folder, fake.record(run, **found, predictions_sha256=sha256(content)))
            write_bytes(Folder(folder).predictions_path(run.id), content)
    [*_, record] = Folder(folder).records()[0]
    assert record.result.measures
    Folder(folder).write_tables()
    assert (folder / "runs.csv").read_text().splitlines()[0].endswith(",predictions_sha256,brier")
    runs = load_results(folder)
    assert runs.brier.between(0, 1).all()
    assert "| `brier` | mean squared error of the probabilities, a share |" in markdown()
    [line] = [line for line in available("metrics", "digits") if line.startswith("brier")]
    assert line == "brier (%, lower is better): mean squared error of the probabilities, a share; needs logits, labels"
    assert analyse([str(folder), "--metric", "brier"]) == COMPLETE
    text = (folder / "selection" / "tables" / "main.md").read_text()
    assert "Brier score (%; lower is better)" in text
    out = tmp_path / "brier.csv"
    assert score([str(folder), "--metric", "brier", "--out", str(out)]) != COMPLETE  # the teacher kept nothing
    assert "no record in" in capsys.readouterr().err
    assert len(out.read_text().splitlines()) == 5


def test_packages_of_others_bring_metrics_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is broken is left out, and said to be, with its line."""
    group = metrics.ENTRY_POINTS
    points = [EntryPoint(name, f"{name}_of_others", group) for name in ("there", "gone", "script", "mute")]
    (tmp_path / "script_of_others.py").write_text("raise SystemExit(2)\n")
    mute = "from benchmark.metrics import metric\n\n@metric('Title', 'Short')\ndef mute(logits): pass\n"
    (tmp_path / "mute_of_others.py").write_text(mute)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "there_of_others", ModuleType("there_of_others"))
    monkeypatch.setattr(metrics, "entry_points", lambda group: points)
    with pytest.warns(UserWarning, match="is left out") as said:
        metrics.discover()
    assert [str(each.message).replace(str(tmp_path), "") for each in said] == [
        "'gone_of_others' is left out, it cannot be imported: ModuleNotFoundError: No module named 'gone_of_others'",
        "'script_of_others' is left out, it cannot be imported: SystemExit: 2 (raised in /script_of_others.py:1)",
        "'mute_of_others' is left out, it cannot be imported: UsageError: metric 'mute' has no docstring "
        "(raised in /mute_of_others.py:3)",
    ]


def test_a_file_that_cannot_be_imported_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "half.py").write_text("\nimport nothing_of_that_name\n")
    monkeypatch.setattr(metrics, "__path__", [*metrics.__path__, str(tmp_path)])
    with pytest.warns(UserWarning, match=r"^benchmark/metrics/half\.py is left out, .*\(raised in .*half\.py:2\)$"):
        metrics.discover()


def test_it_is_computed_where_records_are_older_than_it(brier: None, tmp_path: Path, unsaved: None) -> None:
    folder = tmp_path / "grid"
    for method in ("student", "kd"):
        predictions = said(method == "kd")
        old = {name: value for name, value in measures(predictions, None).items() if name != "measures"}
        fake.write(folder, fake.record(fake.run(method), **old))
        write_bytes(Folder(folder).predictions_path(fake.run(method).id), predictions.content())
    assert load_results(folder).brier.isna().all()
    assert analyse([str(folder), "--metric", "brier"]) == COMPLETE
    value = 100 * (METRICS["brier"](said(1).given()) or 0)
    assert f"{value:.2f}" in (folder / "selection" / "tables" / "main.md").read_text()


def test_what_a_metric_may_not_be() -> None:
    def blurred(images: Array) -> float:
        """How blurred."""
        return float(images.mean())

    def mute(logits: Array) -> float:
        return 0.0

    for function, message in ((blurred, "images"), (mute, "docstring")):
        with pytest.raises(UsageError, match=message):
            metric("Title", "Short")(function)
    assert "mute" not in METRICS


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("top1", "one already, in benchmark.metrics.classification"),
        ("seed", r"a column of that name \(of initial weights"),
        ("train_top1", r"a column of that name \(training accuracy of the last epoch"),
        ("latency_seconds", r"a column of that name \(of one image"),
        ("angle_correlation", "what records call the metric cosine_pearson"),
    ],
)
def test_a_name_that_stands_for_something_else_is_refused(name: str, where: str) -> None:
    def function(logits: Array) -> float:
        """Another."""
        return 0.0

    function.__name__ = name
    before = dict(METRICS)
    with pytest.raises(UsageError, match=f"metric {name!r} cannot be registered: .*{where}"):
        metric("Title", "Short")(function)
    assert before == METRICS


def test_every_field_of_results_and_costs_is_taken() -> None:
    fields = {metric.field for metric in METRICS.values()}
    assert {*Result.model_fields, *Cost.model_fields} <= {*fields, *TAKEN}


def test_what_is_not_a_number_is_not_defined() -> None:
    """A record takes none, and a training that is finished would fail by its metric."""

    def kappa(logits: Array) -> float:
        """None of it."""
        return float("nan")

    try:
        metric("Title", "Short")(kappa)
        assert METRICS["kappa"]({"logits": np.eye(4)}) is None
        assert "kappa" not in measure({"logits": np.eye(4)})
    finally:
        del METRICS["kappa"]


def test_what_is_not_given_is_not_measured() -> None:
    labels = np.arange(4)
    assert measure({"logits": np.eye(4), "labels": labels}).keys() == {"top1", "top5", "nll", "ece"}
    assert measure({}) == {}


def test_a_record_of_impossible_measures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="agreement_right without a teacher"):
        check({"agreement_right": 0.5}, taught=False)
    check({"of_a_later_version": 7.0}, taught=False)
    folder = Folder(fake.write(tmp_path / "grid", fake.record(fake.run(), measures={"agreement_right": 0.5})))
    path = folder.record_path(fake.run().id)
    assert read_record(path).result.measures == {"agreement_right": 0.5}
    path.write_text(path.read_text().replace('"agreement_right": 0.5', '"agreement_right": 1.5'))
    with pytest.raises(RecordError, match=r"agreement_right = 1\.5 lies outside of 0 to 1"):
        read_record(path)
