"""JSON Schemas of what people write and read: grids and profiles, which editors complete and check by them, records.

python -m benchmark.command.schemas writes the committed ones anew.
"""

import json
from pathlib import Path
from typing import Any

from benchmark.launch.slurm.profile import OWN_OPTIONS, Profile
from benchmark.records import Record
from benchmark.spec import STANDARD, Grid

FOLDER = Path(__file__).parents[1] / "schemas"


def grid() -> dict[str, Any]:
    """Of a TOML file: it may leave out what `Grid` fills in before it validates."""
    schema = Grid.model_json_schema()
    inside = schema["$defs"]
    partial = {
        **inside["Recipe"],
        "description": "Where the teacher's recipe differs from the student's.",
        "required": [],
    }
    schema["properties"]["teacher_recipe"] = partial
    schema["required"] = [name for name in schema["required"] if name not in ("name", "teacher_recipe")]
    inside["Architecture"]["required"] = ["model"]
    controls = schema["properties"]["control"]
    controls["items"] = {"anyOf": [controls["items"], {"enum": list(STANDARD)}]}
    return schema


def profile() -> dict[str, Any]:
    """Of a TOML file: the suite's own keys, and beside them any option of sbatch but those that the suite sets."""
    schema = Profile.model_json_schema()
    schema["additionalProperties"] = schema["properties"].pop("sbatch")["additionalProperties"]
    taken = [spelt for name in OWN_OPTIONS for spelt in {name, name.replace("-", "_")}]
    schema["propertyNames"] = {"not": {"enum": sorted(taken)}}
    del schema["required"]
    return schema


def record() -> dict[str, Any]:
    """Of `records/<run>.json`."""
    return Record.model_json_schema()


SCHEMAS = {"grid": grid, "profile": profile, "record": record}


def text(name: str) -> str:
    """A schema as it is committed."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **SCHEMAS[name]()}
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for name in SCHEMAS:
        (FOLDER / f"{name}.json").write_text(text(name), encoding="utf-8")
