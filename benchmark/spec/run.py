"""The plain values that everything else passes around: validated, frozen and hashed. No torch here.

A *run* is one cell of a grid. Its id hashes exactly what changes its numbers, so two runs with one id are
the same experiment wherever and however they were scheduled.
"""

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StrictBool, StrictFloat, StrictInt, field_validator, model_validator

from benchmark.spec.value import Count, Label, Name, Options, Scalar, Size, Value, Word, digest

Share = Annotated[StrictFloat, Field(gt=0, le=1)]
Precision = Literal["float32", "tf32", "bfloat16"]

PROTOCOL_REVISION = 1
"""Raised when the training or evaluation code changes what every run's numbers are."""

LARGEST_IMAGE = 4096
"""Pixels along a side of what networks are given."""

LABELS_ONLY = "student"
"""The method that reads nothing of a teacher: the control of every comparison, and how teachers are trained."""

TIMM = "timm"
"""Stands for timm's own pretrained weights, in place of a file."""

OF_REFERENCE = "reference:"
"""Begins the name of a file of weights in `results/reference`, of a clone or of a wheel: NAME.safetensors."""
IN_REFERENCE = rf"{OF_REFERENCE}\w[\w.-]*\.safetensors"


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
    """resident: all images on the device, at the recipe's input size. streamed: image files or rows of Parquet,
    decoded for every batch, for sets that do not fit; random crops are then of the full image, as crop_scale says."""
    path: str | None = None

    def identity(self) -> dict[str, Any]:
        return {name: value for name, value in super().identity().items() if name != "path"}


WEIGHTS = """
    pretrained pretrained_cfg pretrained_cfg_overlay pretrained_filter_fn pretrained_model_args pretrained_strict
    checkpoint_path cache_dir
"""
INTERFACE = """
    features_only feature_cfg feature_cls out_indices aux_logits scriptable exportable no_jit kwargs_filter
    model_cls model_cfg model_name variant cfg device dtype
"""
TAKEN = {
    "num_classes": "the data set says how many classes there are",
    "in_chans": "the recipe's mean says how many channels there are",
    **dict.fromkeys(WEIGHTS.split(), "weights = 'timm' or a file loads weights, so that their hash is in the run's id"),
    **dict.fromkeys(INTERFACE.split(), "the suite decides how a network is built and called"),
}
"""Arguments of timm's factories that no architecture may give, and who has the say instead: options shape a network,
and reach neither its weights nor the number of its classes and channels nor the interface that the suite reads."""


class Architecture(Value):
    """A timm model: `timm.create_model(model, num_classes=..., **options)`; no option may be one of `TAKEN`.

    `stem = "small"` makes the first convolution stride 1 (3x3 where it was larger) and drops the pooling after it,
    the usual change for images of 32 pixels and below. `collapsed_map = "accept"` says that a last map of 1 x 1 is
    meant, where a network built for larger images gets small ones.

    `weights` are what the network starts from instead of random ones: "timm", its own pretrained ones, or a file, by
    its path from the working folder on, or "reference:NAME.safetensors", in `results/reference`. Planning adds the
    file's hash, which alone is part of a run's identity; a grid that states it itself accepts that file only.
    """

    name: Name
    model: Word
    options: dict[str, Scalar | list[Scalar]] = {}
    stem: Literal["timm", "small"] = "timm"
    collapsed_map: Literal["refuse", "accept"] = "refuse"
    weights: Annotated[str, Field(min_length=1)] | None = None
    weights_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    revision: Count = 0

    @field_validator("options", mode="before")
    @classmethod
    def _within_reach(cls, options: Any) -> Any:
        if isinstance(options, Mapping) and (taken := sorted(TAKEN.keys() & options.keys())):
            raise ValueError("; ".join(f"{name} is not an option of an architecture: {TAKEN[name]}" for name in taken))
        return options

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.weights_sha256 and not self.weights:
            raise ValueError("weights_sha256 without weights: say which file, or 'timm'")
        if self.weights and self.weights.startswith(OF_REFERENCE) and not re.fullmatch(IN_REFERENCE, self.weights):
            raise ValueError(f"weights = {self.weights!r} must be '{OF_REFERENCE}NAME.safetensors', in no folder")
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
    learning_rate: Annotated[StrictFloat, Field(gt=0)]
    momentum: Annotated[StrictFloat, Field(ge=0, lt=1)] = 0.9
    nesterov: StrictBool = False
    weight_decay: Annotated[StrictFloat, Field(ge=0)] = 0.0
    max_norm: Annotated[StrictFloat, Field(gt=0)] | None = None
    """After every step, the L2 norm of each hidden unit's incoming weights is cut down to this (Hinton et al. 2012,
    arXiv:1207.0580); a unit's are those of one output of a linear layer or convolution, the classifier's aside."""
    label_smoothing: Annotated[StrictFloat, Field(ge=0, lt=1)] = 0.0
    schedule: Literal["constant", "step", "cosine"] = "cosine"
    milestones: tuple[Size, ...] = ()
    decay: Share = 0.1
    warmup_epochs: Count = 0
    rate_changes: Literal["epoch", "step"] = "epoch"
    """How often warm-up and cosine move on: with the epoch, as most published code of this field does it, or with every
    step, which suits few epochs."""
    without_classes: tuple[Count, ...] = ()
    """Classes whose images are left out of the transfer set: of training alone, not of validation and test."""
    input_size: Annotated[StrictInt, Field(gt=0, le=LARGEST_IMAGE)]
    crop_padding: Annotated[StrictInt, Field(ge=0, le=LARGEST_IMAGE)] = 0
    padding: Literal["zero", "reflect"] = "zero"
    crop_pct: Share | None = None
    crop_scale: tuple[Share, Share] = (
        0.08,
        1.0,
    )
    flip: StrictBool = False
    mean: tuple[StrictFloat, ...]
    std: tuple[Annotated[StrictFloat, Field(gt=0)], ...]
    precision: Precision = "float32"
    """float32, as IEEE has it, also on a GPU; tf32: of convolutions, on a GPU; bfloat16: by torch's autocast."""
    teacher_precision: Precision = "float32"
    channels_last: StrictBool = False
    deterministic: StrictBool = False
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
        if list(self.without_classes) != sorted(set(self.without_classes)):
            raise ValueError(f"without_classes = {list(self.without_classes)} must rise")
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
    method: Word
    options: Options = {}
    revisions: dict[Word, int] = {}
    recipe: Recipe
    seed: Count
    teacher: "Run | None" = None
    shuffled: StrictBool = False
    protocol: int = PROTOCOL_REVISION
    pair: Label = ""
    label: Label = ""

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

    @property
    def untrained(self) -> bool:
        """Whether its network keeps random weights: the teacher of a control."""
        return self.recipe.epochs == 0 and self.student.weights is None

    @property
    def as_it_came(self) -> bool:
        """Whether its network has the weights of a file and is trained no further."""
        return self.recipe.epochs == 0 and self.student.weights is not None

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
