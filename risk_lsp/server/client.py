"""What the client said about itself in `initialize`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from risk_lsp.settings import SECTION

_TEXT_DOCUMENT = ("capabilities", "textDocument")
# What a client can do for repairs: ask for a hint, ask its own model, keep a secret, show an explanation itself.
_OFFERS = ("hint", "chat", "secret", "explanation")


@dataclass(frozen=True)
class Client:
    """The client's features that change what the server does.

    Read from the message as sent: a client whose other capabilities are newer than the protocol library, or wrong, is
    served all the same.
    """

    process_id: int | None
    initialization_options: Any
    markdown_hover: bool
    work_done_progress: bool
    configuration: bool
    registers_configuration_changes: bool
    code_action_literals: bool
    document_changes: bool
    apply_edit: bool
    refreshes: frozenset[str]
    wants_status: bool
    wants_analysed: bool
    annotates_edits: bool
    offers: frozenset[str]

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Client:
        """Read the params of `initialize`; what is missing counts as not supported."""
        process_id = params.get("processId")
        formats = _at(params, *_TEXT_DOCUMENT, "hover", "contentFormat")
        return cls(
            process_id=process_id if type(process_id) is int else None,
            initialization_options=params.get("initializationOptions"),
            markdown_hover=_prefers_markdown(formats),
            work_done_progress=_at(params, "capabilities", "window", "workDoneProgress") is True,
            configuration=_at(params, "capabilities", "workspace", "configuration") is True,
            registers_configuration_changes=(
                _at(params, "capabilities", "workspace", "didChangeConfiguration", "dynamicRegistration") is True
            ),
            code_action_literals=_at(params, *_TEXT_DOCUMENT, "codeAction", "codeActionLiteralSupport") is not None,
            document_changes=_at(params, "capabilities", "workspace", "workspaceEdit", "documentChanges") is True,
            apply_edit=_at(params, "capabilities", "workspace", "applyEdit") is True,
            refreshes=_refreshes(params),
            wants_status=_at(params, "capabilities", "experimental", SECTION, "status") is True,
            wants_analysed=_at(params, "capabilities", "experimental", SECTION, "analysed") is True,
            annotates_edits=_annotates_edits(params),
            offers=frozenset(
                name for name in _OFFERS if _at(params, "capabilities", "experimental", SECTION, name) is True
            ),
        )


def _annotates_edits(params: Mapping[str, Any]) -> bool:
    """Whether annotated edits may be sent, which have a place among versioned ones only."""
    edits = _at(params, "capabilities", "workspace", "workspaceEdit")
    return isinstance(_at(edits, "changeAnnotationSupport"), Mapping) and _at(edits, "documentChanges") is True


def _refreshes(params: Mapping[str, Any]) -> frozenset[str]:
    """The names below `workspace` whose answers the client takes anew when the server says so."""
    names = ("inlayHint", "codeLens", "diagnostics")
    return frozenset(name for name in names if _at(params, "capabilities", "workspace", name, "refreshSupport") is True)


def _prefers_markdown(formats: object) -> bool:
    """The formats are in order of preference; a client that names none is taken to show plain text."""
    known = [name for name in formats if name in ("markdown", "plaintext")] if isinstance(formats, list) else []
    return known[:1] == ["markdown"]


def _at(value: object, *path: str) -> object:
    for name in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value
