"""The plain values that everything else passes around: validated, frozen and hashed. No torch here.

A *run* is one cell of a grid. Its id hashes exactly what changes its numbers, so two runs with one id are
the same experiment wherever and however they were scheduled.
"""

import hashlib
import json
import re
import tomllib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from benchmark.errors import UsageError, unknown

PROTOCOL_REVISION = 1
"""Raised when the training or evaluation code changes what every run's numbers are."""

GRIDS = Path(__file__).parent / "grids"

Scalar = bool | int | float | str
Options = dict[str, dict[str, Scalar]]
"""Options per component of a method: {'kd': {'temperature': 4.0}}."""

Fields = dict[str, Scalar | list[Scalar]]
"""Some fields of a recipe."""

TIMM = "timm"
"""Stands for timm's own pretrained weights, in place of a file."""

Size = Annotated[int, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]*$")]


class Value(BaseModel):
    """A frozen value that refuses keys it does not know. What it caches stays its own: copies start without."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, ignored_types=(cached_property,))

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        copy = super().model_copy(update=update, deep=deep)
        for cached in copy.__dict__.keys() - type(self).model_fields.keys():
            del copy.__dict__[cached]
        return copy

    def identity(self) -> dict[str, Any]:
        """What changes the numbers, as plain JSON values. Defaults are left out, so that a field added later changes no
        id; a default is therefore never changed without raising PROTOCOL_REVISION."""
        return self.model_dump(mode="json", exclude_defaults=True)

    @cached_property
    def identified(self) -> dict[str, Any]:
        """identity(), computed once: thousands of runs share a handful of recipes. Not to be changed."""
        return self.identity()


class Dataset(Value):
    """A data set by name and how it is split; sizes are images, drawn stratified by class.

    `train` and `validation` come out of the official training images (None: all that is left); `test` is the official
    test split where there is one, else that many images.

    `path`, absolute or below the data folder, is where a set lies that is not found by its name. It says nothing about
    the images and is not part of a run; nor is a hash of them part of its id, since ids are made and read where there
    are no data: the name stands for the images, and each record holds the hash of those it saw, which has to be the
    same for a teacher and its students.
    """

    name: Name
    train: Size | None = None
    validation: Count = 0
    test: Size | None = None
    split_seed: Count = 0
    image_column: str | None = None
    """Of Parquet files, where the choice is not obvious; likewise label_column."""
    label_column: str | None = None
    storage: Literal["resident", "streamed"] = "resident"
    """resident: all images on the device, at the recipe's input size. streamed: image files read for every batch, for
    sets that do not fit; random crops are then taken of the full image, as crop_scale says."""
    path: str | None = None

    def identity(self) -> dict[str, Any]:
        return {name: value for name, value in super().identity().items() if name != "path"}


class Architecture(Value):
    """A timm model: `timm.create_model(model, num_classes=..., **options)`.

    `stem = "small"` makes the first convolution stride 1 (3x3 where it was larger) and drops the pooling after it,
    the usual change for images of 32 pixels and below. `collapsed_map = "accept"` says that a last map of 1 x 1 is
    meant, where a network built for larger images gets small ones.

    `weights` are what the network starts from instead of random ones: "timm", its own pretrained ones, or a file, by
    its path from the working folder on. Planning adds the file's hash, which alone is part of a run's identity; a grid
    that states it itself accepts that file only.
    """

    name: Name
    model: str
    options: dict[str, Scalar | list[Scalar]] = {}
    stem: Literal["timm", "small"] = "timm"
    collapsed_map: Literal["refuse", "accept"] = "refuse"
    weights: Annotated[str, Field(min_length=1)] | None = None
    weights_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    revision: Count = 0

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.weights_sha256 and not self.weights:
            raise ValueError("weights_sha256 without weights: say which file, or 'timm'")
        if self.weights == TIMM and self.stem == "small":
            raise ValueError("weights = 'timm' do not fit stem = 'small': upscale with input_size instead")
        return self

    def identity(self) -> dict[str, Any]:
        if self.weights and not self.weights_sha256:
            raise ValueError(f"the weights of architecture {self.name!r} are not pinned yet")
        return self.model_dump(mode="json", exclude_defaults=True, exclude={"name", "collapsed_map", "weights"})


class Pair(Value):
    """A teacher and a student, by the names of their architectures."""

    teacher: Name
    student: Name

    @property
    def name(self) -> str:
        return f"{self.teacher}_{self.student}"


class Recipe(Value):
    """Everything about training that changes numbers. With 0 epochs a network is evaluated as it is, which is for
    pretrained teachers; schedule and warm-up then mean nothing.

    Images are resized to input_size, the whole image or, with a crop_pct, the shorter side to input_size / crop_pct
    and then the centre. Random crops: resident images are padded by crop_padding pixels; of streamed ones a random
    rectangle, of a share of the area within crop_scale and an aspect ratio within 3/4 and 4/3, is resized.
    """

    epochs: Count
    batch_size: Size
    last_batch: Literal["keep", "drop"] = "keep"
    learning_rate: Annotated[float, Field(gt=0)]
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    nesterov: bool = False
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    schedule: Literal["constant", "step", "cosine"] = "cosine"
    milestones: tuple[Size, ...] = ()
    decay: Annotated[float, Field(gt=0, le=1)] = 0.1
    warmup_epochs: Count = 0
    input_size: Size
    crop_padding: Count = 0
    padding: Literal["zero", "reflect"] = "zero"
    crop_pct: Annotated[float, Field(gt=0, le=1)] | None = None
    crop_scale: tuple[Annotated[float, Field(gt=0, le=1)], Annotated[float, Field(gt=0, le=1)]] = (0.08, 1.0)
    flip: bool = False
    mean: tuple[float, ...]
    std: tuple[Annotated[float, Field(gt=0)], ...]
    precision: Literal["float32", "bfloat16"] = "float32"
    teacher_precision: Literal["float32", "bfloat16"] = "float32"
    channels_last: bool = False
    deterministic: bool = False
    """On a GPU, ask for deterministic kernels; on a CPU they always are."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(self.mean) != len(self.std) or len(self.mean) not in (1, 3):
            raise ValueError(f"mean and std need 1 or 3 values each, not {len(self.mean)} and {len(self.std)}")
        if (self.schedule == "step") != bool(self.milestones):
            raise ValueError("schedule 'step' needs milestones, and only it takes them")
        if self.epochs and list(self.milestones) != sorted({m for m in self.milestones if m < self.epochs}):
            raise ValueError(f"milestones must rise and stay below the {self.epochs} epochs")
        if self.epochs and self.warmup_epochs >= self.epochs:
            raise ValueError(f"warmup_epochs must stay below the {self.epochs} epochs")
        if self.padding == "reflect" and not 0 < self.crop_padding < self.input_size:
            raise ValueError(f"padding 'reflect' needs a crop_padding from 1 to {self.input_size - 1}")
        if self.crop_scale[0] > self.crop_scale[1]:
            raise ValueError(f"crop_scale must rise, not fall from {self.crop_scale[0]:g} to {self.crop_scale[1]:g}")
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov needs a momentum above 0")
        return self

    @property
    def channels(self) -> int:
        return len(self.mean)


class Run(Value):
    """One cell: data set x pair x method x recipe x seed. `pair` and `label` are for people and stay out of the id.

    `shuffled` gives every image the teacher's outputs for another image of its batch.
    """

    dataset: Dataset
    student: Architecture
    method: str
    options: Options = {}
    revisions: dict[str, int] = {}
    recipe: Recipe
    seed: Count
    teacher: "Run | None" = None
    shuffled: bool = False
    protocol: int = PROTOCOL_REVISION
    pair: str = ""
    label: str = ""

    @field_validator("dataset")
    @classmethod
    def _anywhere(cls, dataset: Dataset) -> Dataset:
        """Where the images lie is the grid's to say, and another machine's to say otherwise."""
        return dataset.model_copy(update={"path": None}) if dataset.path else dataset

    def identity(self) -> dict[str, Any]:
        own = self.model_dump(mode="json", include={"method", "options", "revisions", "seed", "protocol"})
        teacher = self.teacher.hash if self.teacher else None
        values = {name: getattr(self, name).identified for name in ("dataset", "student", "recipe")}
        return {**own, **values, "teacher": teacher, **({"shuffled": True} if self.shuffled else {})}

    @cached_property
    def hash(self) -> str:
        return digest(self.identity())

    @cached_property
    def id(self) -> str:
        """Readable prefix and hash, for example `digits-resnet_l-resnet_s-kd-s0-1f0c9a77b2`."""
        names = [self.dataset.name, self.student.name, "teacher", f"s{self.seed}"]
        if self.teacher is not None:
            names = [self.dataset.name, self.teacher.student.name, self.student.name, self.method, f"s{self.seed}"]
        return "-".join(re.sub(r"[^A-Za-z0-9_.+]", "_", name) for name in names) + "-" + self.hash

    @cached_property
    def cohort_key(self) -> str:
        """Runs with one key share data set, teacher, recipe and seed and may train in lock-step."""
        teacher = self.teacher.hash if self.teacher else self.hash
        return digest([self.dataset.identified, teacher, self.recipe.identified, self.seed])


class Control(Value):
    """What a comparison needs beside methods: some of a grid's methods under another recipe, teacher or options.

    `METHOD@NAME` names its runs. recipe: fields that differ from the grid's; options: those that differ, by method;
    teacher "student" is the born-again one, the student's architecture trained alone by the student's recipe; shuffled
    gives every image the teacher's outputs for another image of its batch.
    """

    name: Name
    methods: tuple[str, ...] = ("student",)
    recipe: Fields = {}
    options: Options = {}
    teacher: Literal["pair", "student"] = "pair"
    shuffled: bool = False


TUNED = "tuned"
"""The name of the control whose options were chosen by tuning."""


class Range(Value):
    """Where trials of an option lie: evenly from `low` to `high`, in the option or in its logarithm."""

    low: float
    high: float
    scale: Literal["linear", "log"] = "log"

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.low < self.high:
            raise ValueError(f"low = {self.low:g} is not below high = {self.high:g}")
        if self.scale == "log" and self.low <= 0:
            raise ValueError(f"low = {self.low:g} has no logarithm; scale = 'linear' takes it")
        return self


class Tuning(Value):
    """The same number of trials for every method, the best by validation accuracy to be chosen.

    ranges: for a method either a list of trials, each a table of options, or for each option a list of values or a
    Range; the values of several options are combined at random, each used once (a Latin hypercube).
    """

    trials: Annotated[int, Field(ge=2)]
    seeds: tuple[Count, ...] = Field(min_length=1)
    ranges: dict[str, list[dict[str, Scalar]] | dict[str, Range | list[Scalar]]] = Field(min_length=1)

    @model_validator(mode="after")
    def _equal(self) -> Self:
        for method, ranges in self.ranges.items():
            lists = {method: ranges} if isinstance(ranges, list) else {f"{method}.{k}": v for k, v in ranges.items()}
            for name, values in lists.items():
                if isinstance(values, list) and len(values) != self.trials:
                    raise ValueError(f"{name} has {len(values)} trials; every method gets {self.trials}")
                if isinstance(values, list) and any(value in values[:i] for i, value in enumerate(values)):
                    raise ValueError(f"{name} names a trial twice")
        return self


RESERVED = ("teachers", "reference")
"""Names of the folders in `results` that are not a grid's."""


class Grid(Value):
    """A named grid, resolved: every default filled in."""

    name: Name
    description: str = ""
    datasets: tuple[Dataset, ...] = Field(min_length=1)
    architectures: dict[str, Architecture] = {}
    pairs: tuple[Pair, ...] = Field(min_length=1)
    methods: tuple[str, ...] = Field(min_length=1)
    options: dict[str, dict[str, Scalar]] = {}
    seeds: tuple[Count, ...] = Field((0, 1, 2), min_length=1)
    teacher_seed: Count | Literal["paired"] = 0
    recipe: Recipe
    teacher_recipe: Recipe
    recipes: dict[str, Fields] = {}
    """Fields that differ for an architecture, as student and as teacher."""
    control: tuple[Control, ...] = ()
    tuning: Tuning | None = None
    expected_accuracy: dict[str, dict[str, Annotated[float, Field(ge=0, le=1)]]] = {}
    """By data set and architecture: below this test accuracy a teacher is refused."""
    keep_weights: bool = False
    threads: Size | None = None
    """CPU threads per worker unless the command line says otherwise; None for an equal share of the cores. Small
    networks lose time on a second one, and records are bit-identical at one thread count only."""

    def located(self, dataset: Dataset) -> Dataset:
        """A run's data set with the path where this grid says it lies."""
        paths = {own.name: own.path for own in self.datasets}
        return dataset.model_copy(update={"path": paths.get(dataset.name)})

    def as_toml(self) -> dict[str, Any]:
        """Plain values for a TOML file, which has no null: keys without a value are left out."""
        return self.model_dump(mode="json", exclude_none=True)

    @model_validator(mode="before")
    @classmethod
    def _resolve(cls, raw: Any) -> Any:
        """Shorthands of a TOML file: the teacher's recipe differs from the student's only where it says so, and an
        architecture without an entry is the timm model of that name. What is not of the right kind is left as it is,
        for the validation of the fields to name.
        """
        if not isinstance(raw, Mapping):
            return raw
        raw = dict(raw)
        recipe, teacher_recipe = raw.get("recipe"), raw.get("teacher_recipe", {})
        if isinstance(recipe, Mapping) and isinstance(teacher_recipe, Mapping):
            raw["teacher_recipe"] = {**recipe, **teacher_recipe}
        named = raw.get("architectures", {})
        if isinstance(named, Mapping):
            models = [m for m in _models(raw.get("pairs")) if m not in named]
            entries = {**named, **{model: {"model": model} for model in models}}
            raw["architectures"] = {
                name: {"name": name, **entry} if isinstance(entry, Mapping) else entry
                for name, entry in entries.items()
            }
        return raw

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.name in RESERVED:
            raise ValueError(f"name {self.name!r} is kept for a folder beside the grids' own; choose another")
        known = {dataset.name for dataset in self.datasets}
        for dataset, accuracies in self.expected_accuracy.items():
            if dataset not in known:
                raise ValueError(f"expected_accuracy: {unknown('dataset', dataset, known)}")
            for name in accuracies.keys() - self.architectures.keys():
                raise ValueError(f"expected_accuracy.{dataset}: {unknown('architecture', name, self.architectures)}")
        for name in self.recipes.keys() - self.architectures.keys():
            raise ValueError(f"recipes: {unknown('architecture', name, self.architectures)}")
        for name in self.architectures:
            self.teacher_recipe_of(name)
            for control in (None, *self.control):
                self.recipe_of(name, control)
        for what, names in (
            ("control", [control.name for control in self.control]),
            ("dataset", [dataset.name for dataset in self.datasets]),
            ("pair", [pair.name for pair in self.pairs]),
            ("method", list(self.methods)),
            ("seed", [str(seed) for seed in self.seeds]),
        ):
            twice = {name for name in names if names.count(name) > 1}
            if twice:
                raise ValueError(f"{what} {', '.join(sorted(twice))} is listed twice")
        return self

    def recipe_of(self, architecture: str, control: Control | None = None) -> Recipe:
        """How a student of this architecture is trained, also under a control."""
        recipe = _changed(self.recipe, self.recipes.get(architecture, {}), f"recipes.{architecture}")
        return _changed(recipe, control.recipe, f"control.{control.name}.recipe") if control else recipe

    def teacher_recipe_of(self, architecture: str) -> Recipe:
        return _changed(self.teacher_recipe, self.recipes.get(architecture, {}), f"recipes.{architecture}")

    def control_named(self, name: str) -> Control:
        """Raises UsageError for one that is not there."""
        for control in self.control:
            if control.name == name:
                return control
        raise unknown("control", name, [control.name for control in self.control])

    def control_of(self, method: str) -> Control | None:
        """The control in `METHOD@CONTROL`, None for a method alone. Raises UsageError for one that is not there."""
        name = method.partition("@")[2]
        return self.control_named(name) if "@" in method else None

    @property
    def all_methods(self) -> tuple[str, ...]:
        """What 'all' means: the methods, and the controls of the grid file with their methods."""
        controls = [control for control in self.control if control.name != TUNED]
        controlled = [f"{method}@{control.name}" for control in controls for method in control.methods]
        return tuple(dict.fromkeys((*self.methods, *controlled)))


def _changed(recipe: Recipe, fields: Fields, source: str) -> Recipe:
    """A recipe with other values of some fields. Raises UsageError for one that it does not have."""
    return parse(Recipe, {**recipe.model_dump(), **fields}, source) if fields else recipe


TABLES: dict[str, type[Value]] = {
    "datasets": Dataset,
    "dataset": Dataset,
    "architectures": Architecture,
    "student": Architecture,
    "teacher": Run,
    "pairs": Pair,
    "recipe": Recipe,
    "teacher_recipe": Recipe,
    "control": Control,
    "tuning": Tuning,
}
"""What the values below a key of a grid or a run are."""

COMPLAINTS = {
    "too_short": "Input should have at least one item",
    "tuple_type": "Input should be a list",
    "dict_type": "Input should be a table",
    "model_type": "Input should be a table",
}
"""pydantic's words for what TOML calls otherwise, by its type of error."""

ALTERNATIVES: dict[int | str, str] = {
    "bool": "Input should be a boolean, a number or a string",
    "constrained-int": "Input should be a whole number from 0 on or 'paired'",
}
"""Complaints about values of several types, by the first of these types, which pydantic adds to the location."""

AnyValue = TypeVar("AnyValue", bound=Value)


def digest(value: Any, size: int = 5) -> str:
    """Hex hash of a plain JSON value, `size` bytes long."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=size).hexdigest()


def derive_seed(*parts: Any) -> int:
    """A 63-bit seed from plain JSON values; unrelated for any two different lists of values."""
    return int(digest(list(parts), size=8), 16) >> 1


def grid_names() -> list[str]:
    return sorted(path.stem for path in GRIDS.glob("*.toml"))


def load_grid(name_or_file: str) -> Grid:
    """A grid by its name in `benchmark/grids`, or from a TOML file.

    Raises UsageError for a file that is missing, not TOML, or has a wrong key or value.
    """
    path = Path(name_or_file)
    if path.suffix != ".toml":
        path = GRIDS / f"{name_or_file}.toml"
        if not path.exists():
            raise unknown("grid", name_or_file, [*grid_names(), "FILE.toml"])
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"grid file {str(path)!r} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"grid file {str(path)!r} is not TOML: {error}") from None
    return parse(Grid, {"name": path.stem, **raw}, source=path.name)


def parse(kind: type[AnyValue], raw: Any, source: str) -> AnyValue:
    """Validate plain values; every complaint becomes one line that names the key and the valid ones."""
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        first = min(error.errors(), key=_explains)
        where = ".".join(str(part) for part in first["loc"] if "[" not in str(part))  # a union's alternatives
        if first["type"] == "extra_forbidden":
            key = str(first["loc"][-1])
            complaint = str(unknown("key", key, _keys_at(kind, first["loc"][:-1])))
        elif first["type"] == "value_error":  # one of our own validators, which names the value itself
            complaint = first["msg"].removeprefix("Value error, ")
        else:
            complaint = COMPLAINTS.get(first["type"], first["msg"])
            if first["loc"][-1:] and first["loc"][-1] in ALTERNATIVES:
                where, complaint = where.rpartition(".")[0], ALTERNATIVES[first["loc"][-1]]
            if first["type"] != "missing":
                complaint += f", got {first['input']!r}"
        raise UsageError(f"{source}: {where + ': ' if where else ''}{complaint}") from None


def _explains(error: Any) -> int:
    """Rank of a complaint among several: a misspelt key explains more than what is missing for it, and our own
    validators more than the other alternatives of a union."""
    return {"extra_forbidden": 0, "value_error": 1}.get(error["type"], 2)


def _models(pairs: Any) -> list[str]:
    """The names in pairs that are not validated yet."""
    tables = [pair for pair in pairs if isinstance(pair, Mapping)] if isinstance(pairs, list | tuple) else []
    return [model for pair in tables for key in ("teacher", "student") if isinstance(model := pair.get(key), str)]


def _keys_at(kind: type[Value], location: tuple[int | str, ...]) -> list[str]:
    """The valid keys of the table that a validation error points into."""
    for part in location:
        kind = TABLES.get(str(part), kind)
    return list(kind.model_fields)
