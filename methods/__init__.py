"""The registry of methods.

Every module of this package, and every module that an installed package names under the entry-point group
`relational_distillation.methods`, registers its methods when it is imported.
"""

import inspect
import signal
import sys
import traceback
import warnings
from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from pkgutil import iter_modules

if sys.argv[:1] == ["-m"] and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # python -m methods.check: an interrupted import is no error of torch

from methods.base import REGISTRY, Entry, Method, Scalar, Tap, Task
from methods.composition import Composition

ENTRY_POINTS = "relational_distillation.methods"
LEFT_OUT = (Exception, SystemExit)
"""What an import may raise, a script's among them, without taking the other methods down."""


class MethodError(ValueError):
    """A method or an option that does not exist, or an option of the wrong type."""


@cache
def _discover() -> None:
    for module in iter_modules(__path__):
        try:
            import_module(f"{__name__}.{module.name}")
        except LEFT_OUT as error:
            told = f"methods/{module.name}.py is left out, it cannot be imported: {_why(error)}"
            warnings.warn(told, stacklevel=2)
    for point in entry_points(group=ENTRY_POINTS):
        try:
            point.load()
        except LEFT_OUT as error:
            warnings.warn(f"{point.value!r} is left out, it cannot be imported: {_why(error)}", stacklevel=2)


def _why(error: BaseException) -> str:
    """An import's error, and the last line of the module's, or of what that imports, which it passed."""
    passed = [place for place in traceback.extract_tb(error.__traceback__)[1:] if not _is_machinery(place.filename)]
    where = f" (raised in {passed[-1].filename}:{passed[-1].lineno})" if passed else ""
    return f"{type(error).__name__}: {error}{where}"


def _is_machinery(file: str) -> bool:
    return file.startswith("<frozen") or "importlib" in Path(file).parts or file == inspect.getfile(Method)


def names(installed: bool = True) -> list[str]:
    """Registered names, sorted; `installed = False` leaves third parties' out."""
    _discover()
    own = f"{__name__}."
    return sorted(n for n, entry in REGISTRY.items() if installed or entry.method.__module__.startswith(own))


def entry(name: str) -> Entry:
    """The registered entry of a single name. Raises MethodError with the nearest names."""
    _discover()
    if name not in REGISTRY:
        near = get_close_matches(name, names(), n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        raise MethodError(f"unknown method {name!r}: {hint}valid: {', '.join(names())}, joined by + to compose")
    return REGISTRY[name]


def components(name: str) -> list[str]:
    """The names that a composition such as `kd+rkd_da` joins; checked to exist and to differ."""
    parts = name.split("+")
    for part in parts:
        entry(part)
    if len(set(parts)) < len(parts):
        raise MethodError(f"method {name!r} composes a method with itself")
    return parts


def resolve(name: str, overrides: Mapping[str, Mapping[str, Scalar]] = {}) -> dict[str, dict[str, Scalar]]:
    """The options that describe a run, by component: defaults filled in, but for those that were added to a method
    later, which are there only where they differ. Overrides of methods that `name` lacks are ignored.
    """
    complete, usual = complete_options(name, overrides), complete_options(name)
    return {
        part: {k: v for k, v in values.items() if k not in entry(part).method.added or v != usual[part][k]}
        for part, values in complete.items()
    }


def complete_options(name: str, overrides: Mapping[str, Mapping[str, Scalar]] = {}) -> dict[str, dict[str, Scalar]]:
    """Every option of every component, with which it is built. Overrides of methods that `name` lacks are ignored."""
    parts = components(name)
    return {part: _options(part, len(parts) > 1, overrides.get(part, {})) for part in parts}


def revisions(name: str) -> dict[str, int]:
    """The revision of every component."""
    return {part: entry(part).method.revision for part in components(name)}


def label(name: str, options: Mapping[str, Mapping[str, Scalar]], base: Mapping[str, Mapping[str, Scalar]] = {}) -> str:
    """The name with every option that differs from the defaults as overridden by `base`: `rkd_da[distance=10]`."""
    usual, complete = complete_options(name, base), complete_options(name, options)

    def one(part: str) -> str:
        changed = [f"{k}={_short(v)}" for k, v in complete[part].items() if v != usual[part][k]]
        return part + (f"[{','.join(changed)}]" if changed else "")

    return "+".join(one(part) for part in components(name))


def summary(name: str) -> str:
    """The first paragraph of a method's docstring, on one line."""
    return " ".join((inspect.getdoc(entry(name).method) or "").partition("\n\n")[0].split())


def idea(name: str) -> str:
    """What a method transfers: the first paragraph of its module's docstring, on one line; empty without one."""
    module = inspect.getmodule(entry(name).method)
    return " ".join((inspect.getdoc(module) or "").partition("\n\n")[0].split())


def classes(name: str) -> list[type[Method]]:
    return [entry(part).method for part in components(name)]


def labels(name: str) -> dict[str, str]:
    """What the components of a method call themselves for people, as far as they do."""
    found = {}
    for part in components(name):
        label = entry(part).method.label
        if text := label if isinstance(label, str) else label.get(part, ""):
            found[part] = text
    return found


def reads(name: str, options: Mapping[str, Mapping[str, Scalar]] = {}) -> frozenset[Tap]:
    """Which outputs a method or composition uses with these options."""
    complete = complete_options(name, options)
    return frozenset().union(*(entry(part).method.reading(**values) for part, values in complete.items()))


def unsupported(name: str, task: Task, options: Mapping[str, Mapping[str, Scalar]] = {}) -> str | None:
    """Why a method cannot serve a pair, or None."""
    resolved, task = complete_options(name, options), _told(name, task, options)
    reasons = [reason for part in resolved if (reason := entry(part).method.unsupported(task, **resolved[part]))]
    return "; ".join(reasons) or None


def load(name: str, task: Task, options: Mapping[str, Mapping[str, Scalar]] | None = None) -> Method:
    """Build a method, or a composition of methods, for a task. Raises ValueError for a pair that it cannot serve."""
    if reason := unsupported(name, task, options or {}):
        raise ValueError(f"{name}: {reason}")
    resolved, task = complete_options(name, options or {}), _told(name, task, options or {})
    parts = {part: entry(part).method(task, **values) for part, values in resolved.items()}
    return Composition(task, parts) if len(parts) > 1 else next(iter(parts.values()))


def _told(name: str, task: Task, options: Mapping[str, Mapping[str, Scalar]]) -> Task:
    """What a method may know of a task: nothing of a teacher where it reads nothing, so that it is the same without."""
    return task if reads(name, options) else replace(task, teacher=None, classifier=None)


def _short(value: Scalar) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value).lower()


def _options(name: str, composed: bool, overrides: Mapping[str, Scalar]) -> dict[str, Scalar]:
    known = entry(name)
    parameters = {
        key: parameter.default
        for key, parameter in inspect.signature(known.method.__init__).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    values = {**parameters, **known.defaults, **(known.method.composed if composed else {})}
    for key, value in overrides.items():
        if key not in values:
            raise MethodError(f"method {name!r} has no option {key!r}; valid: {', '.join(sorted(values)) or 'none'}")
        typed = _typed(f"{name}.{key}", value, values[key])
        if not (composed and key in known.method.alone):
            values[key] = typed
    return values


def _typed(option: str, value: Scalar, default: Scalar) -> Scalar:
    """The value as the default's type; a whole number serves as a float."""
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not type(default):
        wanted = type(default).__name__
        raise MethodError(f"option {option} = {value!r} is not a {wanted}; its default is {default!r}")
    return value
