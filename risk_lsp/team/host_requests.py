"""What a team's host is asked, checked: requests for scores and questions, and the texts that edits refer to."""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from risk_lsp.errors import BadInput, RiskError
from risk_lsp.team.admission import PersonLimits
from risk_lsp.text.extents import EXTENTS

_LONGEST_NAME = 100
_MOST_EDITS = 256
_LARGEST_VERSION = 2**53
_MOST_FILLS = 16
_MOST_NEW_TOKENS = 256
_MOST_SPANS = 64
_MOST_TEXTS = 64
_SHAPES = "docs/team.md says what a request holds"


class TooLarge(RiskError):
    """A request or a text is longer than the host takes."""


class OtherVersion(RiskError):
    """The host does not have the version that edits refer to, or has a newer one. `version`: the one it has."""

    def __init__(self, version: int | None) -> None:
        self.version = version
        has = "none of this document" if version is None else f"version {version} of this document"
        super().__init__(f"the host has {has}", "send the whole text under a higher version")


@dataclass(frozen=True)
class TextEdit:
    """`text` in place of the characters [start, end)."""

    start: int
    end: int
    text: str


@dataclass(frozen=True)
class ScoreRequest:
    """A version of a document: its whole `text`, or `edits` of the version `base`, one after the other.

    `document` is a name that the client makes up, `at` the offset of the character that the person is at.
    """

    document: str
    version: int
    language_id: str
    at: int
    text: str | None
    base: int | None
    edits: tuple[TextEdit, ...]


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object of a request. Raises BadInput for anything else."""
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadInput("the request is no JSON", _SHAPES) from error
    if not isinstance(parsed, dict):
        raise BadInput("the request is no JSON object", _SHAPES)
    return parsed


def parse_score(body: bytes) -> ScoreRequest:
    """The request of `/v1/score`. Raises BadInput for a field that is missing, of another kind, or out of range."""
    given = parse_object(body)
    text, edits = given.get("text"), given.get("edits")
    if (text is None) == (edits is None):
        raise BadInput("a request has a text or edits, and not both", _SHAPES)
    if edits is not None and (not isinstance(edits, list) or len(edits) > _MOST_EDITS):
        raise BadInput(f"edits: expected a list of at most {_MOST_EDITS}", _SHAPES)
    return ScoreRequest(
        document=_name(given, "document"),
        version=_number(given, "version", 0, _LARGEST_VERSION),
        language_id=_name(given, "language_id"),
        at=_number(given, "at", 0, _LARGEST_VERSION),
        text=None if text is None else _text(given, "text"),
        base=None if edits is None else _number(given, "base", 0, _LARGEST_VERSION),
        edits=tuple(map(_edit, edits or ())),
    )


def parse_question(body: bytes, limits: PersonLimits, *, writes: bool) -> tuple[str, dict[str, Any]]:
    """The worker's question and its parameters in a request of `/v1/questions`. Raises BadInput, or TooLarge."""
    given = parse_object(body)
    question, asked = given.get("question"), given.get("parameters")
    if not isinstance(asked, dict):
        raise BadInput("parameters: expected an object", _SHAPES)
    parameters: dict[str, Any]
    if question == "alternatives":
        span, top = asked.get("span"), _number(asked, "top", 1, _MOST_FILLS)
        parameters = {"text": _text(asked, "text"), "language_id": _name(asked, "language_id"), "top": top}
        parameters["span"] = _span(span, parameters["text"])
    elif question == "infill":
        parameters = {
            "text": _text(asked, "text"),
            "count": _number(asked, "count", 1, _MOST_FILLS),
            "max_tokens": _number(asked, "max_tokens", 1, _MOST_NEW_TOKENS),
        }
        parameters["spans"] = [_span(span, parameters["text"]) for span in _list(asked, "spans", _MOST_SPANS)]
    elif question == "preferences":
        parameters = {"text": _text(asked, "text"), "variants": _texts(asked, "variants")}
    elif question == "risks":
        parameters = {"texts": _texts(asked, "texts"), "language_id": _name(asked, "language_id")}
    elif question == "write" and writes:
        parameters = _writing(asked)
    else:
        raise BadInput("this host answers no such question", "ask alternatives, infill, preferences or risks")
    if _characters(parameters) > limits.characters:
        raise TooLarge(f"the texts are longer than {limits.characters:,} characters together", "ask about fewer")
    return question, parameters


def _writing(asked: dict[str, Any]) -> dict[str, Any]:
    text, temperature = _text(asked, "text"), asked.get("temperature")
    if not isinstance(temperature, int | float) or not 0 <= temperature <= 2:
        raise BadInput("temperature: expected a number from 0 to 2", _SHAPES)
    start, end = _span([asked.get("start"), asked.get("end")], text)
    if asked.get("extent") not in EXTENTS:
        raise BadInput(f"extent: expected one of {', '.join(EXTENTS)}", _SHAPES)
    return {
        "text": text,
        "start": start,
        "end": end,
        "extent": asked["extent"],
        "language_id": _name(asked, "language_id"),
        "count": _number(asked, "count", 1, _MOST_FILLS),
        "max_tokens": _number(asked, "max_tokens", 1, _MOST_NEW_TOKENS),
        "temperature": temperature,
        "seed": _number(asked, "seed", 0, _LARGEST_VERSION),
    }


def _characters(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return sum(map(_characters, parts))


def _number(given: dict[str, Any], name: str, least: int, most: int) -> int:
    value = given.get(name)
    if type(value) is not int or not least <= value <= most:
        raise BadInput(f"{name}: expected a whole number from {least} to {most}", _SHAPES)
    return value


def _text(given: dict[str, Any], name: str) -> str:
    value = given.get(name)
    if not isinstance(value, str):
        raise BadInput(f"{name}: expected a string", _SHAPES)
    return value


def _name(given: dict[str, Any], name: str) -> str:
    value = _text(given, name)
    if not 0 < len(value) <= _LONGEST_NAME:
        raise BadInput(f"{name}: expected 1 to {_LONGEST_NAME} characters", _SHAPES)
    return value


def _list(given: dict[str, Any], name: str, most: int) -> list[Any]:
    value = given.get(name)
    if not isinstance(value, list) or len(value) > most:
        raise BadInput(f"{name}: expected a list of at most {most}", _SHAPES)
    return value


def _texts(given: dict[str, Any], name: str) -> list[str]:
    texts = _list(given, name, _MOST_TEXTS)
    if not all(isinstance(text, str) for text in texts):
        raise BadInput(f"{name}: expected strings", _SHAPES)
    return texts


def _span(value: Any, text: str) -> list[int]:
    if not isinstance(value, list) or len(value) != 2 or any(type(offset) is not int for offset in value):
        raise BadInput("a span: expected two whole numbers", _SHAPES)
    if not 0 <= value[0] <= value[1] <= len(text):
        raise BadInput("a span lies outside of its text", "count code points; the end is after the last one")
    return value


def _edit(value: Any) -> TextEdit:
    if not isinstance(value, list) or len(value) != 3 or not isinstance(value[2], str):
        raise BadInput("an edit: expected [start, end, text]", _SHAPES)
    start, end, text = value
    if type(start) is not int or type(end) is not int or not 0 <= start <= end:
        raise BadInput("an edit: expected two whole numbers in order", _SHAPES)
    return TextEdit(start, end, text)


class PersonTexts:
    """The newest versions of one person's documents, as many as the limits allow: those asked about last."""

    def __init__(self, limits: PersonLimits) -> None:
        self._limits = limits
        self._texts: OrderedDict[str, tuple[int, str]] = OrderedDict()
        self._characters = 0

    def __len__(self) -> int:
        return len(self._texts)

    def take(self, asked: ScoreRequest) -> str:
        """Keep the version that a request brings; returns its text.

        Raises OtherVersion for one that is not newer than what is kept, or edits another version; BadInput for an edit
        outside of the text; TooLarge for a text over the limit. Nothing is kept then.
        """
        version, text = self._texts.get(asked.document, (None, ""))
        if version is not None and asked.version <= version:  # a request that was sent before, too
            raise OtherVersion(version)
        if asked.text is not None:
            text = asked.text
        elif version is None or asked.base != version:
            raise OtherVersion(version)
        for edit in asked.edits:
            if edit.end > len(text):
                raise BadInput("an edit lies outside of the text", "edits follow one another, in code points")
            text = text[: edit.start] + edit.text + text[edit.end :]
            if len(text) > self._limits.characters:
                break
        if len(text) > self._limits.characters:
            most = f"{self._limits.characters:,}"
            raise TooLarge(f"the text has more than {most} characters", "this host scores shorter ones")
        self._keep(asked.document, asked.version, text)
        return text

    def _keep(self, document: str, version: int, text: str) -> None:
        _, before = self._texts.pop(document, (0, ""))
        self._texts[document] = (version, text)
        self._characters += len(text) - len(before)
        limits = self._limits
        while len(self._texts) > limits.documents or (
            self._characters > limits.kept_characters and len(self._texts) > 1
        ):
            _, (_, dropped) = self._texts.popitem(last=False)
            self._characters -= len(dropped)
