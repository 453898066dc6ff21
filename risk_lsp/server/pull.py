"""Diagnostics for clients that ask for them."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Sequence
from typing import Any

from lsprotocol import types
from lsprotocol.converters import get_converter
from pygls.exceptions import JsonRpcException

_SERVER_CANCELLED = -32802
_converter = get_converter()


class Reports:
    """Answers to pulls: the diagnostics, or that they are what the client has.

    Diagnostics that were replaced and come back get another id. A client may have two pulls on their way: the answer to
    the first gives it new diagnostics, the second still names the old ones and must not hear that those are unchanged.
    """

    def __init__(self) -> None:
        self._newest: dict[str, tuple[str, str]] = {}  # by URI: the content reported last, as a hash, and its id
        self._serial = itertools.count(1)

    def report(
        self, uri: str, items: Sequence[types.Diagnostic], previous: str | None
    ) -> types.RelatedFullDocumentDiagnosticReport | types.RelatedUnchangedDocumentDiagnosticReport:
        """The answer to a pull of a client that has the diagnostics with the id `previous`."""
        content = _hash_of(items)
        newest, result_id = self._newest.get(uri, ("", ""))
        if content != newest:
            result_id = f"{content}-{next(self._serial)}"
            self._newest[uri] = content, result_id
        if result_id == previous:
            return types.RelatedUnchangedDocumentDiagnosticReport(result_id)
        return types.RelatedFullDocumentDiagnosticReport(items, result_id=result_id)


def overtaken() -> JsonRpcException:
    """The answer to a pull whose text is gone: the client keeps what it has, and has asked anew for its own edit."""
    return JsonRpcException("the document changed meanwhile", _SERVER_CANCELLED, {"retriggerRequest": False})


def _hash_of(items: Sequence[types.Diagnostic]) -> str:
    content: Any = [_converter.unstructure(item) for item in items]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode("ascii")).hexdigest()[:16]
