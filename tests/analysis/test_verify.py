"""Verification against references and expected means; merging records of several machines."""

import re
from pathlib import Path

import fake_results as fake
import pytest

from analysis import verify
from analysis.__main__ import main
from analysis.statistics.basic import summarise
from analysis.statistics.expected import Expectation, Expected
from analysis.statistics.moderated import Moderation, together
from benchmark.ground.errors import USAGE
from benchmark.records import Folder, Record


def grid(path: Path, values: dict[str, tuple[float, ...]], **result: object) -> Path:
    return fake.write(path, *fake.records(values, **result))


def verdicts(capsys: pytest.CaptureFixture[str], folder: Path, against: Path) -> tuple[int, str]:
    code = verify.main([str(folder), "--against", str(against)])
    return code, capsys.readouterr().out


REFERENCE = {"student": (80.0, 81.0, 82.0), "kd": (84.0, 85.0, 86.0)}


def test_identical_runs_are_within_even_with_one_seed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reference = grid(tmp_path / "reference", REFERENCE)
    code, text = verdicts(capsys, grid(tmp_path / "grid", {"student": (80.0,), "kd": (84.0,)}), reference)
    assert code == verify.ALL_WITHIN
    assert text.count("within (identical runs)") == 2


def test_a_mean_within_its_spread_is_within_and_one_far_off_is_outside(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reference = grid(tmp_path / "reference", REFERENCE)
    close = grid(tmp_path / "close", {"student": (80.5, 81.5, 81.9), "kd": (84.2, 85.3, 85.9)}, weights_sha256="other")
    assert verdicts(capsys, close, reference)[0] == verify.ALL_WITHIN
    far = grid(tmp_path / "far", {"student": (80.5, 81.5, 81.9), "kd": (74.2, 75.3, 75.9)}, weights_sha256="other")
    code, text = verdicts(capsys, far, reference)
    assert code == verify.OUTSIDE
    assert "1 within, 1 outside" in text
    # Both cells pool what both sides know of their variance, and lend each other.
    sides = {"student": (80.5, 81.5, 81.9), "kd": (74.2, 75.3, 75.9)}
    pooled = {name: (summarise(cell), summarise(REFERENCE[name])) for name, cell in sides.items()}
    lent = Moderation.fit(part for two in pooled.values() if (part := together(*two)))
    known = lent.agreement(*pooled["kd"])
    assert known
    assert re.search(rf"\| +−9\.87 \| +{known.half_width():.2f} \| +outside", text)


def test_more_cells_allow_for_more_chance() -> None:
    # Three runs with standard deviation 1, expected 3.2 points off: p = 0.031 for a cell that is alone.
    def cells(top1_percent: float, std_percent: float | None, n: int | None, count: int) -> Expected:
        found = [
            Expectation(dataset="d", pair=str(i), method="kd", top1_percent=top1_percent, std_percent=std_percent, n=n)
            for i in range(count)
        ]
        return Expected({(cell.dataset, cell.pair, cell.method): cell for cell in found})

    # Each is alone in its pair, so that nothing is lent.
    for count, word in ((1, "outside"), (2, "within")):
        verdicts = verify.verify(cells(81.0, 1.0, 3, count), cells(84.2, None, None, count))
        assert [verdict.word for verdict in verdicts] == [word] * count


def test_few_seeds_and_missing_cells_are_undecided(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reference = grid(tmp_path / "reference", {"student": (81.0,), "kd": (85.0,)})
    folder = grid(tmp_path / "grid", {"kd": (80.0,)})
    code, text = verdicts(capsys, folder, reference)
    assert code == verify.UNDECIDED
    assert "1 missing, 1 too few seeds" in text


def ended(seed: int, status: str = "diverged") -> Record:
    result = {"diverged_epoch": 2} if status == "diverged" else {}
    return fake.record(fake.run("kd", seed), status=status, reason="the loss was not finite", **result)


@pytest.mark.parametrize(
    ("ours", "word", "code"),
    [
        ([ended(1), ended(2)], r"outside \(identical runs; seeds 1 and 2 diverged\)", verify.OUTSIDE),
        ([ended(0), ended(1), ended(2)], r"outside \(seeds 0 to 2 diverged\)", verify.OUTSIDE),
        ([ended(2, "not_applicable")], r"outside \(identical runs; seed 2 not applicable\)", verify.OUTSIDE),
        ([ended(3)], r"undecided \(identical runs; seed 3 diverged\)", verify.UNDECIDED),
        ([ended(4)], r"within \(identical runs\)", verify.ALL_WITHIN),
    ],
)
def test_a_run_that_does_not_finish_reproduces_none_that_does(
    ours: list[Record], word: str, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kd = fake.records({"kd": (84.0, 85.0, 86.0)})
    reference = fake.write(tmp_path / "reference", *kd, ended(4))
    seeds = {record.run.seed for record in ours}
    folder = fake.write(tmp_path / "grid", *(each for each in kd if each.run.seed not in seeds), *ours)
    found, text = verdicts(capsys, folder, reference)
    assert found == code
    assert re.search(word, text)


def test_a_crash_decides_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reference = grid(tmp_path / "reference", REFERENCE)
    crashed = fake.run("kd", 2)
    folder = fake.write(tmp_path / "grid", *fake.records({**REFERENCE, "kd": (84.0, 85.0)}), planned=(crashed,))
    Folder(folder).fail(crashed.id, "CUDA out of memory", log="")
    code, text = verdicts(capsys, folder, reference)
    assert code == verify.UNDECIDED
    assert "undecided (seed 2 failed)" in text
    far = fake.write(tmp_path / "far", *fake.records({"kd": (54.0, 55.0, 56.0)}, weights_sha256="other"))
    crashed = fake.run("kd", 3)
    fake.write(far, planned=(crashed,))
    Folder(far).fail(crashed.id, "CUDA out of memory", log="")
    code, text = verdicts(capsys, far, reference)
    assert code == verify.OUTSIDE
    assert "outside (seed 3 failed)" in text


def test_what_is_expected_and_cannot_be_compared_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reference = grid(tmp_path / "reference", REFERENCE)
    folder = grid(tmp_path / "grid", REFERENCE)
    longer = fake.record(fake.run("kd", 3, epochs=31), 0.85)
    fake.write(reference, longer)
    assert verify.main([str(folder), "--against", str(reference)]) == verify.UNDECIDED
    assert "resnet_l_resnet_s, kd: not pooled, because its runs differ in recipe" in capsys.readouterr().err
    for path in reference.glob("records/*-kd-*"):
        path.write_text("{", encoding="utf-8")
    assert verify.main([str(folder), "--against", str(reference)]) == verify.UNDECIDED
    assert capsys.readouterr().err.count("cannot be read: Invalid JSON") == 4


def test_another_recipe_is_not_a_reproduction(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reference = grid(tmp_path / "reference", {"kd": (84.0, 85.0, 86.0)})
    longer = [fake.record(fake.run("kd", seed, epochs=60), 0.85) for seed in range(3)]
    code, text = verdicts(capsys, fake.write(tmp_path / "grid", *longer), reference)
    assert code == verify.OUTSIDE
    assert "other setup (recipe)" in text


def taught(path: Path, values: dict[str, tuple[float, ...]], *weights: str) -> Path:
    """Each seed under the teacher of its own seed, of these weights."""
    found = [
        fake.record(fake.run(m, s, teacher_seed=s), cell[s] / 100, teacher_weights_sha256=sha)
        for m, cell in values.items()
        for s, sha in enumerate(weights)
    ]
    return fake.write(path, *found)


FAR = {"student": (80.0, 81.0, 82.0), "kd": (74.2, 75.3, 75.9)}


def test_under_another_machines_teacher_a_difference_decides_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reference = grid(tmp_path / "reference", REFERENCE)
    near = grid(tmp_path / "near", {"kd": (84.1, 85.2, 86.3)}, teacher_weights_sha256="bb")
    assert "within (under another teacher's weights)" in verdicts(capsys, near, reference)[1]
    code, text = verdicts(capsys, grid(tmp_path / "far", FAR, teacher_weights_sha256="bb"), reference)
    assert code == verify.UNDECIDED
    assert "undecided (under another teacher's weights)" in text


def test_several_teachers_on_both_sides_decide(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    several = taught(tmp_path / "reference", REFERENCE, "aa", "ab", "ac")
    code, text = verdicts(capsys, taught(tmp_path / "far", FAR, "ba", "bb", "bc"), several)
    assert code == verify.OUTSIDE
    assert "1 within, 1 outside" in text


def cell(mean: float, std: float | None, n: int | None, method: str = "kd", pair: str = "p") -> Expectation:
    return Expectation(dataset="d", pair=pair, method=method, top1_percent=mean, std_percent=std, n=n)


def sides(*cells: tuple[Expectation, Expectation]) -> tuple[Expected, Expected]:
    found = [Expected({(c.dataset, c.pair, c.method): c for c in side}) for side in zip(*cells, strict=True)]
    return found[0], found[1]


def test_an_expectation_says_what_it_can() -> None:
    """One run of ours beside a known spread, a published mean of unknown runs, and what nobody can judge."""
    for ours, wanted, word in (
        (cell(80.0, None, 1), cell(80.5, 1.0, 5), "within"),
        (cell(80.0, None, 1), cell(95.0, 1.0, 5), "outside"),
        (cell(80.0, 1.0, 3), cell(84.0, None, 1), "within"),
        (cell(80.0, 1.0, 3), cell(84.0, None, None), "outside"),
        (cell(80.0, None, 1), cell(84.0, None, 1), "too few seeds"),
        (cell(80.0, 0.0, 3), cell(80.0, 0.0, 3), "within"),
        (cell(80.0, 0.0, 3), cell(81.0, 0.0, 3), "too few seeds"),
    ):
        [found] = verify.verify(*sides((ours, wanted)))
        assert found.word == word, (ours, wanted)


@pytest.mark.parametrize("suffix", [".toml", ".csv"])
def test_expected_means_may_come_from_a_file(suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = grid(tmp_path / "grid", REFERENCE)
    cells = [("student", 81.2, 1.0, 5), ("kd", 70.0, None, None)]
    place = {"dataset": "digits", "pair": "resnet_l_resnet_s"}
    path = tmp_path / f"expected{suffix}"
    if suffix == ".toml":
        tables = []
        for method, mean, std, n in cells:
            entries = {**place, "method": method, "top1_percent": mean, "std_percent": std, "n": n}
            tables.append("[[cell]]\n" + "\n".join(f"{k} = {v!r}" for k, v in entries.items() if v is not None))
        path.write_text("\n".join(tables), encoding="utf-8")
    else:
        lines = [f"digits,resnet_l_resnet_s,{m},{mean},{std or ''},{n or ''}" for m, mean, std, n in cells]
        path.write_text("dataset,pair,method,top1_percent,std_percent,n\n" + "\n".join(lines), encoding="utf-8")
    code, text = verdicts(capsys, folder, path)
    assert code == verify.OUTSIDE
    assert "1 within, 1 outside" in text


@pytest.mark.usefixtures("undrawn")
def test_the_main_table_of_a_colleague_serves_as_expectation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = grid(tmp_path / "grid", REFERENCE)
    assert main([str(folder)]) == 0
    capsys.readouterr()
    assert verdicts(capsys, folder, folder / "tables" / "main.csv")[0] == verify.ALL_WITHIN


WRONG = {
    ".toml": [
        ("[[cell]]\ndataset='d'\npair='p'\nmethod='kd'\ntop1_percent=101\n", "less than or equal to 100, got 101"),
        ("[[cell]]\ndataset='d'\npair='p'\nmethod='kd'\n", "top1_percent: Field required"),
        ("[[cell]\n", "is not TOML"),
        ("cell=[]", "at least one item"),
        ("[[cell]]\ndataset='d'\npair='p'\nmethod='kd'\ntop1_percent=nan\n", "finite"),
        ("[[cell]]\ndataset='d'\npair='p'\nmethod='k'\ntop1_percent=1\n" * 2, "listed twice"),
    ],
    ".csv": [
        (
            "dataset,pair,method,top1_percent,std\nd,p,kd,85.5,1.0\n",
            "have a column 'std'; valid: dataset, pair, method,",
        ),
        ("dataset,pair,method\nd,p,kd\n", "have no column 'top1_percent'"),
        ("dataset,pair,method,top1_percent\nd,p,kd,\n", "cell.0.top1_percent: Field required"),
        ("dataset,pair,method,top1_percent\n", "at least one item"),
    ],
}


@pytest.mark.parametrize(
    ("suffix", "text", "complaint"), [(suffix, *each) for suffix, own in WRONG.items() for each in own]
)
def test_a_wrong_file_is_one_line(
    suffix: str, text: str, complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"expected{suffix}"
    path.write_text(text, encoding="utf-8")
    assert verify.main([str(grid(tmp_path / "grid", REFERENCE)), "--against", str(path)]) == USAGE
    message = capsys.readouterr().err
    assert complaint in message
    assert message.count("\n") == 1


def test_a_grid_without_reference_says_what_there_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify.main([str(grid(tmp_path / "mine", REFERENCE))]) == USAGE
    (listed,) = re.findall(r"\(references: (.*)\)", capsys.readouterr().err)
    assert {"digits", "cifar100_cpu"} <= set(listed.split(", "))
    assert "all" not in listed.split(", ")  # it has no records of its own
    assert verify.main([str(tmp_path / "nowhere")]) == USAGE
