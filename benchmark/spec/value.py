"""What every validated value has in common: frozen, hashed, and refused in one line. No torch here."""

import hashlib
import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictInt,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from benchmark.ground.errors import UsageError, unknown
from benchmark.ground.files import FileError, read_bytes
from benchmark.ground.text import LONGEST_LABEL, cleaned


def one_of(types: str) -> WrapValidator:
    """For a union: one complaint, in these words, in place of pydantic's for each of its types."""

    def validated(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        try:
            return handler(value)
        except ValidationError:
            raise ValueError(f"Input should be {types}, got {value!r}") from None

    return WrapValidator(validated)


Scalar = Annotated[bool | int | float | str, one_of("a boolean, a number or a string")]
Options = dict[str, dict[str, Scalar]]
"""Options per component of a method: {'kd': {'temperature': 4.0}}."""

Fields = dict[str, Scalar | list[Scalar]]
"""Some fields of a recipe."""

MOST = 2**31 - 1
"""What a 32-bit integer holds: libraries count with it, and nothing here has as many."""
Size = Annotated[StrictInt, Field(gt=0, le=MOST)]
Count = Annotated[StrictInt, Field(ge=0, le=2**63 - 1)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]*$", max_length=LONGEST_LABEL)]
Line = Annotated[str, AfterValidator(cleaned)]
"""Text that is shown, and that anybody may have written; it changes no number."""
Label = Annotated[str, AfterValidator(partial(cleaned, most=LONGEST_LABEL))]
"""The same of what stands in tables, figures and legends as a name."""


def _presentable(text: str) -> str:
    if cleaned(text, LONGEST_LABEL) != text:
        raise ValueError(
            f"{cleaned(ascii(text), LONGEST_LABEL)} is no name: one line of at most {LONGEST_LABEL} visible characters"
        )
    return text


Word = Annotated[str, AfterValidator(_presentable)]
"""A name that a run's id hashes, and that is therefore refused where it would have to be changed to be shown."""


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


COMPLAINTS = {
    "too_short": "Input should have at least one item",
    "tuple_type": "Input should be a list",
    "dict_type": "Input should be a table",
    "model_type": "Input should be a table",
}
"""pydantic's words for what TOML calls otherwise, by its type of error."""


def listed_once(what: str, names: Sequence[str]) -> None:
    """Raise ValueError for names that are there more than once."""
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{what} {', '.join(twice)} is listed twice")


AnyValue = TypeVar("AnyValue", bound=Value)


def digest(value: Any, size: int = 5) -> str:
    """Hex hash of a plain JSON value, `size` bytes long."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=size).hexdigest()


def derive_seed(*parts: Any) -> int:
    """A 63-bit seed from plain JSON values; unrelated for any two different lists of values."""
    return int(digest(list(parts), size=8), 16) >> 1


def read_toml(path: Path, what: str) -> dict[str, Any]:
    """A TOML file's values. Raises UsageError, which says what the file is, for one that is missing or not TOML."""
    try:
        content = read_bytes(path)
    except FileError as error:
        raise UsageError(f"{what} {error}") from None
    except OSError as error:
        raise UsageError(f"{what} {str(path)!r} cannot be read: {error.strerror}") from None
    return parse_toml(content, f"{what} {str(path)!r}")


def shipped_names(folder: Path) -> list[str]:
    """Of the TOML files that come with the suite in a folder, sorted."""
    return sorted(path.stem for path in folder.glob("*.toml"))


def file_or_shipped(name_or_file: str, folder: Path, kind: str) -> Path:
    """A TOML file, or by its name one that comes with the suite. Raises UsageError for a name that is none of these."""
    path = Path(name_or_file)
    if path.suffix != ".toml":
        path = folder / f"{name_or_file}.toml"
        if not path.exists():
            raise unknown(kind, name_or_file, [*shipped_names(folder), "FILE.toml"])
    return path


def parse_toml(content: bytes, source: str) -> dict[str, Any]:
    """Raises UsageError, which names the source, for what is not TOML."""
    try:
        return tomllib.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{source} is not TOML: {error}") from None


def parse(kind: type[AnyValue], raw: Any, source: str) -> AnyValue:
    """Validate plain values; raises UsageError with a line for every entry that is wrong, which names the key and the
    valid ones."""
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        complaints = [f"{source}: {_complaint(kind, each)}" for each in _telling(error.errors())]
        raise UsageError("\n".join(complaints)) from None


def first_complaint(error: ValidationError) -> str:
    """Where the first value is that does not validate, and why not: `cost.macs: Input should be ...`."""
    first = error.errors(include_url=False)[0]
    where = ".".join(map(str, first["loc"]))
    return f"{where}{': ' if where else ''}{first['msg'].removeprefix('Value error, ')}"


def _telling(errors: Sequence[Any]) -> list[Any]:
    """One complaint for every entry, those that explain most first, without what follows from others."""
    entries: dict[tuple[Any, ...], Any] = {}
    for each in sorted(errors, key=_explains):
        entries.setdefault(_entry(each), each)
    whole = {entry[:1] for entry in entries if len(entry) == 2}  # a list may lack entries because they are wrong
    own = {entry[1:] for entry in entries if entry[:1] == ("recipe",)}  # a teacher's recipe takes them over
    if () in own:  # and there is none to take them from
        entries.pop((), None)
    return [
        each
        for entry, each in entries.items()
        if entry not in whole and not (entry[:1] == ("teacher_recipe",) and entry[1:] in own)
    ]


def _entry(error: Any) -> tuple[Any, ...]:
    """What the first two parts of a location name, a union's alternatives aside: `architectures.mine`, `recipe.epochs`.
    All tables that are missing at the top are one."""
    parts = tuple(part for part in error["loc"] if "[" not in str(part))
    return () if error["type"] == "missing" and len(parts) == 1 else parts[:2]


def _complaint(kind: type[Value], error: Any) -> str:
    where = ".".join(str(part) for part in error["loc"] if "[" not in str(part))  # a union's alternatives
    if error["type"] == "extra_forbidden":
        complaint = str(unknown("key", str(error["loc"][-1]), _keys_at(kind, error["loc"][:-1])))
    elif error["type"] == "value_error":  # one of our own validators, which names the value itself
        complaint = error["msg"].removeprefix("Value error, ")
    else:
        complaint = COMPLAINTS.get(error["type"], error["msg"])
        if error["type"] != "missing":
            complaint += f", got {error['input']!r}"
    return f"{where + ': ' if where else ''}{complaint}"


def _explains(error: Any) -> int:
    """Rank of a complaint among several: a misspelt key explains more than what is missing for it, and our own
    validators more than the other alternatives of a union."""
    return {"extra_forbidden": 0, "value_error": 1}.get(error["type"], 2)


def _keys_at(kind: type[Value], location: tuple[int | str, ...]) -> list[str]:
    """The valid keys of the table that a validation error points into."""
    for part in location:
        if field := kind.model_fields.get(str(part)):
            kind = next(_values_in(field.annotation), kind)
    return list(kind.model_fields)


def _values_in(annotation: Any) -> Iterator[type[Value]]:
    if isinstance(annotation, type) and issubclass(annotation, Value):
        yield annotation
    for part in get_args(annotation):
        yield from _values_in(part)
