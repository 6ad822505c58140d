"""Where a number stands: on a pair of a data set, and there under a method."""

from collections.abc import Iterable
from itertools import groupby
from typing import TypeVar

Block = tuple[str, str]
"""Data set and pair."""

Place = tuple[str, str, str]
"""Data set, pair, method."""


class OfBlock:
    """Whatever belongs to a pair of a data set."""

    dataset: str
    pair: str

    @property
    def block(self) -> Block:
        return self.dataset, self.pair


class OfPlace(OfBlock):
    """Whatever belongs to a cell."""

    method: str

    @property
    def place(self) -> Place:
        return self.dataset, self.pair, self.method


AnyOfBlock = TypeVar("AnyOfBlock", bound=OfBlock)


def by_block(found: Iterable[AnyOfBlock]) -> list[list[AnyOfBlock]]:
    """Neighbours on one pair together."""
    return [list(members) for _, members in groupby(found, key=lambda each: each.block)]
