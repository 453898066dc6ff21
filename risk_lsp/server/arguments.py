"""The arguments of commands, checked: whatever is wrong with them is answered with what was expected."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NoReturn

from lsprotocol import types
from pygls.exceptions import JsonRpcInvalidParams

from risk_lsp.server.convert import position_of

_LONGEST_MINUTES = 7 * 24 * 60


class Arguments:
    """The arguments of one command call. Readers take a place in the list and raise JsonRpcInvalidParams."""

    def __init__(self, command: str, usage: str, values: object, token: object = None) -> None:
        self._command = command
        self.progress_token = token if isinstance(token, int | str) and not isinstance(token, bool) else None
        self._usage = usage
        self._values = list(values) if isinstance(values, list) else []

    def uri(self, place: int) -> str:
        """A document's URI."""
        value = self._at(place)
        return value if isinstance(value, str) else self._refuse("the URI is a string")

    def text(self, place: int) -> str | None:
        """A text; None if there is no argument at the place."""
        value = self._at(place)
        return value if value is None or isinstance(value, str) else self._refuse("the last argument is a text")

    def line(self, place: int) -> int:
        """A line's number, from 0."""
        value = self._at(place)
        return value if type(value) is int and value >= 0 else self._refuse("the line is a whole number from 0")

    def minutes(self, place: int) -> float:
        """A number of minutes, up to a week."""
        value = self._at(place)
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if is_number and 0 <= value <= _LONGEST_MINUTES:
            return float(value)
        self._refuse(f"minutes are a number from 0 to {_LONGEST_MINUTES}")

    def one_of(self, place: int, *choices: str) -> str:
        """One of some words."""
        value = self._at(place)
        if isinstance(value, str) and value in choices:
            return value
        self._refuse("the last argument is " + " or ".join(f'"{choice}"' for choice in choices))

    def range(self, place: int) -> types.Range:
        """An LSP range."""
        value = self._at(place)
        start, end = (value.get("start"), value.get("end")) if isinstance(value, Mapping) else (None, None)
        first, last = position_of(start), position_of(end)
        return types.Range(first, last) if first and last else self._refuse("the range is an LSP range")

    def _at(self, place: int) -> Any:
        return self._values[place] if place < len(self._values) else None

    def _refuse(self, rule: str) -> NoReturn:
        raise JsonRpcInvalidParams(f"{self._command}: expected the arguments {self._usage}; {rule}")
