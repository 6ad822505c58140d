"""Checks of option values: each raises a ValueError that names the option, its value and the valid ones."""

from collections.abc import Sequence


def positive(option: str, value: float) -> None:
    if not value > 0:
        raise ValueError(f"{option} = {value:g} is not above 0")


def at_least(option: str, value: float, least: float = 0) -> None:
    if not value >= least:
        raise ValueError(f"{option} = {value:g} is not at least {least:g}")


def one_of(option: str, value: str, valid: Sequence[str]) -> None:
    if value not in valid:
        raise ValueError(f"{option} = {value!r} is none of {', '.join(valid)}")
