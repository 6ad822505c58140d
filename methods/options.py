"""Checks of option values: each raises a ValueError that names the option, its value and the valid ones."""

from collections.abc import Sequence


def positive(method: str, **options: float) -> None:
    for name, value in options.items():
        if not value > 0:
            raise ValueError(f"{method}.{name} = {value:g} is not above 0")


def at_least(least: float, method: str, **options: float) -> None:
    for name, value in options.items():
        if not value >= least:
            raise ValueError(f"{method}.{name} = {value:g} is not at least {least:g}")


def fraction(method: str, **options: float) -> None:
    for name, value in options.items():
        if not 0 <= value <= 1:
            raise ValueError(f"{method}.{name} = {value:g} is not between 0 and 1")


def one_of(valid: Sequence[str], method: str, **options: str) -> None:
    for name, value in options.items():
        if value not in valid:
            raise ValueError(f"{method}.{name} = {value!r} is none of {', '.join(valid)}")
