"""Whether a program may be offered at all, whatever its tests say."""

from __future__ import annotations

import ast
import warnings

from risk_lsp.repair.candidates import cuts_code_off
from risk_lsp.repair.request import RepairRequest


def is_sound(request: RepairRequest, made: str) -> bool:
    """Whether a program differs from the request's and, being Python, parses and does not merely cut code off."""
    if request.language_id != "python":
        return made != request.text
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(made)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return made != request.text and not cuts_code_off(request.text, made)
