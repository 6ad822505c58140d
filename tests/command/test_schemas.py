"""The committed JSON Schemas are current, and say of every committed file what the suite says of it."""

import json
import tomllib
from pathlib import Path
from urllib.request import url2pathname

import pytest
from jsonschema import Draft202012Validator

from benchmark.command.listing import shown
from benchmark.command.schemas import FOLDER, SCHEMAS, text
from benchmark.ground.errors import UsageError
from benchmark.launch.slurm.profile import PROFILES
from benchmark.spec import GRIDS, grid_names
from benchmark.spec.value import shipped_names

REFERENCE = Path(__file__).parents[2] / "results" / "reference"


def complaints(schema: str, value: object) -> list[str]:
    return [error.message for error in Draft202012Validator(SCHEMAS[schema]()).iter_errors(value)]


@pytest.mark.parametrize("name", SCHEMAS)
def test_it_is_current(name: str) -> None:
    assert (FOLDER / f"{name}.json").read_text(encoding="utf-8") == text(name), "python -m benchmark.command.schemas"


@pytest.mark.parametrize("path", [*GRIDS.glob("*.toml"), *PROFILES.glob("*.toml")], ids=lambda path: path.stem)
def test_files_name_theirs_and_are_valid(path: Path) -> None:
    named = path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("#:schema ")
    assert (path.parent / named).resolve().parent == FOLDER
    assert complaints(Path(named).stem, tomllib.loads(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("name", ["digits", "gpu"])
def test_what_is_shown_names_its_schema_wherever_it_is_copied_to(name: str) -> None:
    schema, _, text = shown(name).partition("\n")
    assert Path(url2pathname(schema.removeprefix("#:schema file:"))).parent == FOLDER
    [path] = [path for path in (*GRIDS.glob("*.toml"), *PROFILES.glob("*.toml")) if path.stem == name]
    assert path.read_text(encoding="utf-8").endswith(f"\n{text}")


def test_grids_and_profiles_have_names_of_their_own() -> None:
    assert not set(grid_names()) & set(shipped_names(PROFILES))
    with pytest.raises(UsageError, match="unknown grid or profile 'gpus': did you mean gpu"):
        shown("gpus")


def test_committed_grids_and_records_are_valid() -> None:
    for path in REFERENCE.glob("*/grid.toml"):
        assert complaints("grid", tomllib.loads(path.read_text(encoding="utf-8"))) == []
    for folder in REFERENCE.glob("*/records"):
        assert complaints("record", json.loads(min(folder.glob("*.json")).read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    ("schema", "change", "said"),
    [
        ("grid", {"metods": ["kd"]}, "'metods' was unexpected"),
        ("grid", {"recipe": {"epochs": 1}}, "'batch_size' is a required property"),
        ("grid", {"teacher_recipe": {"epoch": 1}}, "'epoch' was unexpected"),
        ("profile", {"job-name": "mine"}, "should not be valid under"),
        ("profile", {"workers": "two"}, "'two' is not of type 'integer'"),
    ],
)
def test_what_the_suite_refuses_it_marks(schema: str, change: dict[str, object], said: str) -> None:
    path = GRIDS / "smoke.toml" if schema == "grid" else PROFILES / "cpu.toml"
    assert any(said in each for each in complaints(schema, tomllib.loads(path.read_text(encoding="utf-8")) | change))
