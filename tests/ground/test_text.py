"""Others' text: cleaned where it comes in, escaped where it goes out, in every form of output."""

import csv
import json
import shutil
import subprocess
import sys
from io import StringIO
from pathlib import Path

import fake_results as fake
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from pydantic import ValidationError
from rich.table import Table
from rich.text import Text

from analysis.tables.latex import comment
from analysis.tables.latex import escape as latex_escape
from analysis.tables.markdown import escape
from benchmark.ground.console import Terminal
from benchmark.ground.files import parse_rows, rows_as_csv
from benchmark.ground.text import LONGEST, LONGEST_LABEL, Visible, cleaned, visible
from benchmark.spec import Architecture, Run

ROOT = Path(__file__).parents[2]
HOSTILE = {
    "kd\n\\immediate\\write18{touch run}": "kd \\immediate\\write18{touch run}",
    "kd\r\n\t rkd": "kd rkd",
    "\x1b[2Jkd\x07": "\\x1b[2Jkd\\x07",
    "kd\x9b31m": "kd\\x9b31m",
    "k\u202ed": "k\\u202ed",
    "a\u2028b\x85c": "a b c",
    "kd\udcff": "kd\\udcff",
    "größe 方法 é": "größe 方法 é",
}


@pytest.mark.parametrize(("text", "shown"), HOSTILE.items())
def test_text_comes_in_on_one_line_of_visible_characters(text: str, shown: str) -> None:
    assert cleaned(text) == shown
    assert fake.run("kd", label=text).label == shown


def test_long_texts_are_cut_and_stay_apart() -> None:
    one, other = (cleaned("x" * 3_000 + end, LONGEST_LABEL) for end in "ab")
    assert len(one) == len(other) == LONGEST_LABEL
    assert one != other
    assert one.startswith("xxx")
    assert "... (3001 characters, " in one
    assert len(fake.record(fake.run(), status="diverged", reason="y " * 3_000).result.reason or "") == LONGEST


@given(st.text())
def test_what_is_clean_stays_as_it_is(text: str) -> None:
    assert cleaned(cleaned(text)) == cleaned(text)
    assert cleaned(text).isprintable()
    assert visible(visible(text)) == visible(text)


@pytest.mark.parametrize("name", ["kd\n", "k\x1bd", "k" * 201])
def test_what_an_id_hashes_is_refused_instead(name: str) -> None:
    with pytest.raises(ValidationError, match="is no name: one line of at most 200 visible characters"):
        Architecture(name="a", model=name)
    with pytest.raises(ValidationError, match="is no name"):
        Run(**{**fake.run().model_dump(), "method": name})


FORMULAS = ("=1+1", "=cmd|' /C calc'!A0", "+cmd", "-cmd", "@SUM(A1)", "-1-1", "--1", "\uff1d1+1", "\uff20SUM(A1)")


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_of_a_csv_file_is_a_formula(text: str) -> None:
    written = rows_as_csv([{"method": text, "n": -1.5}])
    [row] = csv.DictReader(StringIO(written.decode()))
    assert row == {"method": f"'{text}", "n": "-1.5"}
    assert parse_rows(written, "rows") == [{"method": text, "n": "-1.5"}]


@pytest.mark.parametrize("text", ["-1.5", "+0.25", "-3e-07", "-inf", "−1.25", "'quoted'", "kd-2"])
def test_numbers_and_words_of_a_csv_file_stay_as_they_are(text: str) -> None:
    assert rows_as_csv([{"value": text}]) == f"value\n{text}\n".encode()
    assert parse_rows(rows_as_csv([{"value": text}]), "rows") == [{"value": text}]


MARKDOWN = (
    *("<script>alert(1)</script>", "<!-- ", "</td>", "<https://a.b>", "&lt;b&gt; &#60;", "![x](http://a.b/c.png)"),
    *(
        "[x](javascript:alert(1))",
        "[x]: http://a.b",
        "`code`",
        "**bold** __init__ _x_ *y*",
        "a\\*b",
        "a | b",
        "~~gone~~",
    ),
    *("rkd_da[distance=10] & 50 % < 0.001", "$x^2$", "größe", "p < 0.05, * better"),
)


@pytest.mark.parametrize("text", MARKDOWN)
def test_markdown_shows_text_and_nothing_else(text: str) -> None:
    for start in ("", "- ", "word "):
        shown = MarkdownIt("gfm-like", {"linkify": False}).render(start + escape(text))
        plain = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
        assert plain.strip() in shown


def test_names_of_the_suite_need_no_escapes_in_markdown() -> None:
    for name in (
        "kd+rkd_da[distance=10,angle=20.5]",
        "digits: resnet_l → efficientnet_s",
        "p < 0.05; * better, † worse",
        "equals the student alone at net_w0.31 [0.28, 0.36]: 1.50 times fewer MACs",
    ):
        assert escape(name) == name


def test_a_comment_of_latex_is_one_line_of_ascii() -> None:
    for text in HOSTILE:
        assert comment(text).startswith("% ")
        assert comment(text).isascii()
        assert comment(text).isprintable()
        assert latex_escape(text).isascii()
        assert latex_escape(text).isprintable()


def test_streams_and_terminal_show_what_would_steer_them(capsys: pytest.CaptureFixture[str]) -> None:
    stream = StringIO()
    print("\r 10 %", "a\x1b[31m\u202eb\tc\rd", file=Visible(stream))  # type: ignore[arg-type]
    assert stream.getvalue() == "\r 10 % a\\x1b[31m\\u202eb\tc\\rd\n"
    table = Table("k\x1b[1md")
    table.add_row("a\x9bb\u202e")
    console = Terminal()
    console.print(table, Text("c\x1b]0;title\x07d"), "e\x1b[0mf", "[bold]g")
    shown = capsys.readouterr().out
    assert all(part in shown for part in ("k\\x1b[1md", "a\\x9bb\\u202e", "c\\x1b]0;titled", "e\\x1b[0mf", "[bold]g"))
    assert visible(shown) == shown


ATTACKS = (
    *("kd\n\\newwrite\\out\\immediate\\openout\\out=run.txt\\input{/etc/passwd}", "<script>alert(1)</script>"),
    *("=cmd|' /C calc'!A0", "\x1b[2J\u202ekd", "x" * 3_000, "%\\end{document}", "[a](javascript:b)"),
)


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The analysis of a results folder whose labels, reasons and devices are attacks, run as people run it."""
    folder = tmp_path_factory.mktemp("attacked") / "grid"
    runs = [fake.run(f"m{i}", seed, label=label) for i, label in enumerate(ATTACKS) for seed in range(2)]
    records = [*map(fake.record, [*runs, fake.run("student"), fake.run("student", 1)])]
    records.append(fake.record(fake.run("m9", label="m9"), status="diverged", reason="; ".join(ATTACKS)))
    fake.write(folder, *records)
    for path in (folder / "records").glob("*.json"):
        raw = json.loads(path.read_text())
        number = path.stem.split("-")[-3].removeprefix("m")
        if number.isdigit() and int(number) < len(ATTACKS):
            raw["run"]["label"] = ATTACKS[int(number)]
        raw["provenance"]["device"] = "<script>device</script>\x1b[1m\n% \\input{x}"
        path.write_text(json.dumps(raw))
    done = subprocess.run(
        [sys.executable, "-m", "analysis", folder], cwd=ROOT, capture_output=True, timeout=300, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    assert visible(done.stdout + done.stderr) == done.stdout + done.stderr
    return folder


def test_no_file_of_an_analysis_carries_an_attack(attacked: Path) -> None:
    texts = {path: path.read_text(encoding="utf-8") for path in attacked.rglob("*.*") if path.suffix in TEXTS}
    assert {path.suffix for path in texts} == set(TEXTS)
    for path, text in texts.items():
        assert visible(text) == text, path
        if path.suffix in (".md", ".html"):
            assert "<script>alert" not in text, path
            assert "<script>device" not in text, path
        if path.suffix == ".csv":
            cells = [cell for row in csv.reader(StringIO(text)) for cell in row]
            assert not [cell for cell in cells if cell.startswith(("=", "@", "\t"))]
            assert max(map(len, cells)) <= LONGEST


TEXTS = (".csv", ".md", ".tex", ".html")


def test_latex_runs_nothing_of_an_attack(attacked: Path) -> None:
    if not shutil.which("latexmk"):
        pytest.skip("latexmk is not installed")
    command = ["latexmk", "-pdf", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(command, cwd=attacked, capture_output=True, text=True, errors="replace", timeout=300)
    assert done.returncode == 0, done.stdout[-2000:]
    assert not (attacked / "run.txt").exists()
    assert "/etc/passwd" not in (attacked / "paper.fls").read_text()
