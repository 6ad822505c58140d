"""report.html: nothing loaded from elsewhere, readable by all, and its tables sort in a real browser."""

import base64
import re
import shutil
import subprocess
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from tempfile import mkdtemp

import drawn_grids as grids
import fake_results as fake
import pytest
from PIL import Image

from analysis.__main__ import main

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium here (Debian: apt-get install chromium)")

QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--hide-scrollbars", "--no-first-run", "--enable-logging=stderr"),
    "--host-resolver-rules=MAP * ~NOTFOUND",
)


@cache
def page() -> Path:
    """Of two pairs and four methods with odd names, a hole and a diverged run; made once and only read."""
    folder = Path(mkdtemp()) / "grid"
    labels = ("student", "kd", "sp", "<b>größe</b>")
    runs = [
        fake.run(f"m{i}" if i == 3 else name, 0, pair, label=name)
        for i, name in enumerate(labels)
        for pair in fake.PAIRS
    ]
    accuracies = (0.90, 0.87, 0.92, 0.91, 0.945, 0.93)
    records = [fake.record(run, top1) for run, top1 in zip(runs, accuracies, strict=False)]
    records.append(fake.record(runs[6], status="diverged", reason="loss is inf & <lost>", diverged_epoch=4))
    fake.write(folder, *records, planned=(runs[7],))
    assert main([str(folder)]) == 0
    return folder / "report.html"


class Elements(HTMLParser):
    """Every element of a page with its attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attributes}))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.found if name == tag]


def elements() -> Elements:
    return Elements(page().read_text(encoding="utf-8"))


def test_nothing_is_loaded_from_elsewhere() -> None:
    found = elements()
    links = [attributes[name] for _, attributes in found.found for name in ("src", "href") if name in attributes]
    assert links
    assert all(link.startswith(("#", "data:")) for link in links)
    assert not found.all("link")
    style = re.search(r"<style>(.*)</style>", page().read_text(encoding="utf-8"), re.DOTALL)
    assert style
    assert "url(" not in style[1]
    assert "@import" not in style[1]


def test_links_within_the_page_lead_somewhere_and_ids_are_unique() -> None:
    found = elements()
    ids = [attributes["id"] for _, attributes in found.found if "id" in attributes]
    assert len(set(ids)) == len(ids)
    assert {link["href"][1:] for link in found.all("a") if link["href"].startswith("#")} <= set(ids)


def test_figures_are_images_with_words_for_those_who_cannot_see_them() -> None:
    images = elements().all("img")
    assert len(images) == 5  # figure1 among them
    assert all(len(image["alt"]) > 40 for image in images)
    kind, content = images[0]["src"].split(",")
    assert kind == "data:image/svg+xml;base64"
    assert b"</svg>" in base64.b64decode(content)


def test_the_data_of_figures_can_be_saved_from_the_page() -> None:
    [link] = [link for link in elements().all("a") if link.get("download") == "gains.csv"]
    content = base64.b64decode(link["href"].split(",")[1])
    assert content == (page().parent / "figures" / "gains.csv").read_bytes()


def test_names_and_messages_stay_text() -> None:
    text = page().read_text(encoding="utf-8")
    assert "<b>größe" not in text
    assert "&lt;b&gt;größe" in text
    assert "loss is inf &amp; &lt;lost&gt;" in text


def test_holes_provenance_and_hardware_are_told() -> None:
    words = " ".join(elements().words)
    assert "seed 0 diverged (loss is inf & <lost>)" in words
    assert "seed 0 missing" in words
    assert "6 of 8 runs done, 1 diverged, 1 missing" in words
    assert "2-core CPU" in words
    assert "0000000" in words
    assert "resnet_l, seed 0" in words
    assert "96.39" in words
    assert "figure of published versus reproduced not drawn" in words


def test_the_summary_is_prose_below_the_pages_own_heading() -> None:
    found = elements()
    assert len(found.all("h1")) == 1
    assert "What these results say" in " ".join(found.words)


def test_the_same_bytes_every_time() -> None:
    before = page().read_bytes()
    assert main([str(page().parent)]) == 0
    assert page().read_bytes() == before


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_letters_stand_out_by_day_and_by_night() -> None:
    """Contrast of 4.5 : 1, what the Web Content Accessibility Guidelines ask of text."""
    schemes = re.findall(r":root \{(.*?)\}", page().read_text(encoding="utf-8"), re.DOTALL)
    assert len(schemes) == 2
    for scheme in schemes:
        colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", scheme))
        for letters in ("ink", "quiet", "link"):
            for ground in ("paper", "shade"):
                light, dark = sorted((luminance(colours[letters]), luminance(colours[ground])), reverse=True)
                assert (light + 0.05) / (dark + 0.05) >= 4.5


# In a browser


def browse(tmp_path: Path, address: str, *options: str) -> subprocess.CompletedProcess[str]:
    assert BROWSER is not None
    command = [BROWSER, *QUIET, f"--user-data-dir={tmp_path / 'browser'}", *options, address]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=180)


def dom(tmp_path: Path, address: str) -> str:
    """The page as it stands after its script has run, which must not have complained."""
    done = browse(tmp_path, address, "--dump-dom")
    assert "CONSOLE" not in done.stderr, done.stderr
    return done.stdout


def order(text: str, table: str) -> list[str]:
    """Names of a table's rows, from above."""
    found = re.search(rf'data-name="{table}">(.*?)</table>', text, re.DOTALL)
    assert found
    return re.findall(r'<th scope="row">(.*?)</th>', found[1])


def sorted_headings(text: str) -> list[str]:
    return re.findall(r'<th scope="col" aria-sort="(\w+)"', text)


@needs_browser
def test_an_address_opens_the_page_sorted(tmp_path: Path) -> None:
    plain = dom(tmp_path, page().as_uri())
    assert order(plain, "main") == ["Teacher", "Student alone", "KD", "SP", "&lt;b&gt;größe&lt;/b&gt;"]
    falling = dom(tmp_path, f"{page().as_uri()}#sort=main:1:descending")
    # Groups keep their places; a cell without a number goes last either way.
    assert order(falling, "main") == ["Teacher", "Student alone", "SP", "KD", "&lt;b&gt;größe&lt;/b&gt;"]
    assert sorted_headings(falling) == ["descending"]
    assert sorted_headings(plain) == []
    rising = dom(tmp_path, f"{page().as_uri()}#sort=main:1:ascending")
    assert order(rising, "main") == ["Student alone", "Teacher", "KD", "SP", "&lt;b&gt;größe&lt;/b&gt;"]


@needs_browser
def test_a_click_on_a_heading_sorts_and_another_turns_it_round(tmp_path: Path) -> None:
    for clicks, expected in ((1, ["SP", "KD"]), (2, ["KD", "SP"])):
        click = 'document.querySelectorAll("[data-name=main] thead button")[1].click();' * clicks
        clicked = tmp_path / f"{clicks}.html"
        text = page().read_text(encoding="utf-8")
        clicked.write_text(text.replace("</body>", f"<script>{click}</script></body>"), encoding="utf-8")
        assert order(dom(tmp_path, clicked.as_uri()), "main")[2:4] == expected


@needs_browser
def test_an_address_that_sorts_nothing_changes_nothing(tmp_path: Path) -> None:
    for fragment in ("#sort=nothing:1:ascending", "#sort=main:99:ascending", "#sort=main", "#%E0%A4%A"):
        assert sorted_headings(dom(tmp_path, page().as_uri() + fragment)) == []


@needs_browser
@pytest.mark.parametrize("width", [1200, 400])
def test_the_page_fits_its_window(width: int, tmp_path: Path) -> None:
    probe = tmp_path / "probe.html"
    script = (
        "const all = [...document.images].every((image) => image.naturalWidth > 0);"
        "document.title = `${document.documentElement.scrollWidth} ${innerWidth} ${all}`;"
    )
    text = page().read_text(encoding="utf-8")
    probe.write_text(
        text.replace("</body>", f"<script>onload = () => {{ {script} }}</script></body>"), encoding="utf-8"
    )
    found = browse(tmp_path, probe.as_uri(), f"--window-size={width},900", "--virtual-time-budget=3000", "--dump-dom")
    title = re.search(r"<title>(\d+) (\d+) (\w+)</title>", found.stdout)
    assert title, found.stdout[:500]
    assert int(title[1]) <= int(title[2])
    assert title[3] == "true"


@needs_browser
def test_a_screenshot_shows_words_and_colours(tmp_path: Path) -> None:
    shot = tmp_path / "page.png"
    browse(tmp_path, page().as_uri(), "--window-size=1200,3000", f"--screenshot={shot}")
    with Image.open(shot) as image:
        colours = image.convert("RGB").getcolors(maxcolors=1 << 22)
    assert colours is not None
    assert len(colours) > 200


@pytest.mark.usefixtures("undrawn")
def test_too_many_runs_are_left_to_the_table_beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from analysis.report import listing

    monkeypatch.setattr(listing, "MOST_RUNS", 3)
    folder = grids.write(tmp_path / "grid", grids.PAIRS[:1], ["student", "kd"], 2)
    assert main([str(folder)]) == 0
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert "Every run" not in text
    assert 'href="#runs"' not in text
