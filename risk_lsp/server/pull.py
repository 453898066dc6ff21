"""Diagnostics for clients that ask for them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from lsprotocol import types
from lsprotocol.converters import get_converter
from pygls.exceptions import JsonRpcException

_SERVER_CANCELLED = -32802
_converter = get_converter()


def report(
    items: Sequence[types.Diagnostic], previous: str | None
) -> types.RelatedFullDocumentDiagnosticReport | types.RelatedUnchangedDocumentDiagnosticReport:
    """The answer to a pull: the diagnostics, or that they are what the client has."""
    result_id = _id_of(items)
    if result_id == previous:
        return types.RelatedUnchangedDocumentDiagnosticReport(result_id)
    return types.RelatedFullDocumentDiagnosticReport(items, result_id=result_id)


def overtaken() -> JsonRpcException:
    """The answer to a pull whose text is gone: the client keeps what it has, and has asked anew for its own edit."""
    return JsonRpcException("the document changed meanwhile", _SERVER_CANCELLED, {"retriggerRequest": False})


def _id_of(items: Sequence[types.Diagnostic]) -> str:
    content: Any = [_converter.unstructure(item) for item in items]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode("ascii")).hexdigest()[:16]
