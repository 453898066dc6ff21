"""The text that a model reads for a document, and where in the document its parts stand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from risk_lsp.text.lines import content_places
from risk_lsp.text.normal_form import normal_form
from risk_lsp.text.spans import Span

# How a document is read: as it is, or in the normal form. A probe is fitted to one of them, so another rule of the
# normal form needs another number.
Reading = Literal["verbatim", "normal-1"]
READINGS: tuple[Reading, ...] = get_args(Reading)


class ModelText:
    """What a model reads of a document, and the translation of offsets between the two.

    What the normal form leaves out, such as a comment, is not in `text`: no token stands for it.
    """

    def __init__(self, document: str, reading: Reading, language_id: str = "python") -> None:
        self.document = document
        self.language_id = language_id
        self._form = None if reading == "verbatim" else normal_form(document, language_id)
        self.text = document if self._form is None else self._form.text

    def spans_in_document(
        self, starts: NDArray[np.integer], ends: NDArray[np.integer]
    ) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """The document's characters that stand in the spans [starts, ends) of `text`, int32 in the order given.

        In the document a span reaches from its first character that is no white space to its last. A span of white
        space alone is empty, in front of what follows it: so a comment behind a line is no part of any.
        """
        if self._form is None:
            return starts.astype(np.int32), ends.astype(np.int32)
        places = content_places(self.text)
        first, behind = np.searchsorted(places, starts), np.searchsorted(places, ends)
        in_document = np.append(self._form.starts[places], len(self.document)).astype(np.int32)
        found_starts = in_document[first]
        found_ends = found_starts.copy()
        holds = first < behind
        found_ends[holds] = self._form.ends[places[behind[holds] - 1]]
        return found_starts, found_ends

    def span_in_text(self, span: Span) -> Span:
        """Where the characters of a span of the document stand in `text`; an empty span at their place if none does."""
        if self._form is None:
            return span
        start = int(np.searchsorted(self._form.ends, span.start, side="right"))
        return Span(start, max(start, int(np.searchsorted(self._form.starts, span.end, side="left"))))

    def stretches_in_document(self, spans: Iterable[Span]) -> tuple[Span, ...]:
        """Spans of `text` as spans of the document, grown by the characters next to them that `text` leaves out."""
        form = self._form
        if form is None:
            return tuple(spans)
        before, behind = np.append(0, form.ends), np.append(form.starts, len(self.document))
        return tuple(Span(int(before[start]), int(behind[end])) for start, end in spans)
