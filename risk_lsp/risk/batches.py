"""Texts in groups, because a model reads several together faster than one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

_Item = TypeVar("_Item")

# A batch ends at either: enough texts to fill runs of the model, few enough to lose little in an interruption.
_ITEMS = 64
_CHARACTERS = 200_000


def in_batches(items: Iterable[_Item], characters_of: Callable[[_Item], int]) -> Iterator[list[_Item]]:
    """The items in their order, so many at a time."""
    batch: list[_Item] = []
    characters = 0
    for item in items:
        batch.append(item)
        characters += characters_of(item)
        if len(batch) == _ITEMS or characters >= _CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch
