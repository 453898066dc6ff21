"""`textDocument/inlineCompletion`: what the model would write at the cursor, and what follows when it is accepted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lsprotocol import types

from risk_lsp.errors import RiskError, WorkerError, log_failure
from risk_lsp.risk.span_risk import WritingTask, WrittenText, texts_from_arrays
from risk_lsp.server.command_table import ACCEPT_WRITTEN
from risk_lsp.server.documents.document_places import Origin, content_hash
from risk_lsp.server.documents.open_documents import reason_not_scored
from risk_lsp.server.state import State
from risk_lsp.server.wire.convert import offset_of, range_of
from risk_lsp.server.wire.messenger import Messenger
from risk_lsp.server.wire.protocol import barrier
from risk_lsp.server.writing.suggestions import Suggestion, Suggestions, find_accepted
from risk_lsp.text.document import Part, Span
from risk_lsp.text.extents import Extent, extent_at
from risk_lsp.worker.messages import ScoredArrays

if TYPE_CHECKING:
    from risk_lsp.server.session import Session

_MOST_TOKENS: dict[Extent, int] = {"line": 48, "block": 96, "function": 192}
_WHEN_INVOKED = 3  # texts; one where nobody asked
_BUILT_IN = "default"  # what the built-in bundle calls itself
# No longer than a line of a terminal: Neovim waits for a key after a longer one.
_RECOMMENDATION = "risk-lsp: the built-in model writes poorly (see risk-lsp models)"
_SECONDS = 30.0  # until what is written is given up: whoever was there has gone on


class InlineCompletions:
    """Has one text at a time written: the newest request takes the place of the one before, and so does an edit."""

    def __init__(self, state: State, messenger: Messenger) -> None:
        self._state = state
        self._messenger = messenger
        self.writing: asyncio.Task[list[WrittenText]] | None = None  # the last that was begun
        self.shown: dict[int | str, asyncio.Task[Any]] = {}  # by the token of its progress
        self._told = False
        self.suggestions = Suggestions()

    def complete(self, params: types.InlineCompletionParams) -> Generator[Any, Any, Any]:
        """Answer a request; nothing where writing is off, and nothing that was written for an older text."""
        self.give_up()
        part = self._state.documents.part(params.text_document.uri)
        if part is None or self.reason_not(part) is not None or params.context.selected_completion_info is not None:
            return types.InlineCompletionList([])
        place = offset_of(part, params.position, self._state.encoding)
        invoked = params.context.trigger_kind is types.InlineCompletionTriggerKind.Invoked
        document = part.document
        extent = extent_at(document.text, place, document.language_id)
        task = WritingTask(
            document.text,
            place,
            place,
            extent,
            document.language_id,
            count=_WHEN_INVOKED if invoked else 1,
            max_tokens=_MOST_TOKENS[extent],
        )
        writing = self.begin(task)
        self._messenger.protocol.when_cancelled(writing.cancel)
        texts = yield barrier("writing", _outcome), (writing,), None
        is_newest = self._state.documents.is_newest(part.document)
        offered = self.offer(part, Span(place, place), texts) if is_newest else []
        return types.InlineCompletionList([self._item(part, each) for each in offered])

    def begin(
        self,
        task: WritingTask,
        on_line: Callable[[WrittenText], None] = lambda _: None,
        seconds: float = _SECONDS,
        opening: str = "",
    ) -> asyncio.Task[list[WrittenText]]:
        """Have something written, in the place of what is being written. `on_line` sees it grow, if the task tells of
        lines.

        `opening`: the last of the text before the place that is a part of what is offered.
        """
        self.give_up()
        self.writing = asyncio.get_running_loop().create_task(self._ask_worker(task, on_line, seconds, opening))
        return self.writing

    def give_up(self) -> None:
        """Stop what is being written."""
        if self.writing is not None:
            self.writing.cancel()
            self.writing = None

    def cancel_shown(self, token: int | str) -> None:
        """Stop what is being written under that progress."""
        if token in self.shown:
            self.shown[token].cancel()

    def stop(self) -> None:
        """Stop what is being written, and forget what was offered."""
        self.give_up()
        self.suggestions.forget()

    def recommend(self) -> None:
        """Say once that the built-in model writes poorly, if it is the one that writes."""
        if self._state.host.bundle_name == _BUILT_IN and not self._told:
            self._told = True
            self._messenger.tell(types.MessageType.Info, _RECOMMENDATION)

    async def _ask_worker(
        self, task: WritingTask, on_line: Callable[[WrittenText], None], seconds: float, opening: str
    ) -> list[WrittenText]:
        def texts_of(answer: ScoredArrays) -> list[WrittenText]:
            texts = texts_from_arrays(answer.header, answer.arrays)
            return [replace(each, text=opening + each.text, start=each.start - len(opening)) for each in texts]

        def pass_on(part: ScoredArrays) -> None:
            try:
                on_line(*texts_of(part))
            except Exception as error:  # the whole is still to come
                log_failure("a text that is being written", error)

        asked = self._state.host.ask("write", task.to_json(), pass_on)
        return texts_of(await asyncio.wait_for(asked, seconds))

    def describe(self, part: Part, replaced: Span, text: WrittenText) -> Suggestion:
        """A text with its numbers as a person is to see them."""
        view = self._state.views.get_whole(part.document.uri)
        outside = None if view is None else view.placed.outside
        return self.suggestions.describe(part.document, replaced, text, self._state.host.priors, outside)

    def offer(self, part: Part, replaced: Span, texts: list[WrittenText]) -> list[Suggestion]:
        """Texts as suggestions that can be accepted, without those above the gate."""
        gate = self._state.settings_of(part.document).risk_gate
        shown = [text for text in texts if text.probability <= gate]
        return self.suggestions.offer([self.describe(part, replaced, text) for text in shown])

    def reason_not(self, part: Part) -> str | None:
        """Why nothing is written, for people; None if something is."""
        settings = self._state.settings_of(part.document)
        if not settings.enabled or not settings.inline_completion:
            return "writing is off (setting inlineCompletion)"
        if self._state.snooze.is_on:
            return "risk-lsp is paused"
        return reason_not_scored(part.document, settings) or self._state.host.explanation()

    def _item(self, part: Part, suggestion: Suggestion) -> types.InlineCompletionItem:
        state = self._state
        said = suggestion.to_json(state.settings_of(part.document).threshold, state.encoding)
        accept = types.Command(
            said["words"], ACCEPT_WRITTEN, "Takes note that a model wrote this", [part.uri, suggestion.id, said]
        )
        place = range_of(part, suggestion.replaced, state.encoding)
        return types.InlineCompletionItem(suggestion.written.text, range=place, command=accept)


async def _outcome(writing: asyncio.Task[list[WrittenText]]) -> list[WrittenText]:
    """What was written; nothing where that was given up. RiskError where the model cannot write."""
    await asyncio.wait([writing])
    if writing.cancelled():
        return []
    error = writing.exception()
    if isinstance(error, WorkerError | asyncio.TimeoutError):  # it is busy, or on its way back
        return []
    if error is not None:
        raise error if isinstance(error, RiskError) else RiskError("nothing could be written", "the log may say more")
    return writing.result()


def accept_written(session: Session, uri: str, suggestion_id: int) -> bool:
    """`accept` for a suggestion that was offered, by its id."""
    suggestion = session.inline_completions.suggestions.get(suggestion_id)
    return suggestion is not None and accept(session, uri, suggestion)


def accept(session: Session, uri: str, suggestion: Suggestion) -> bool:
    """Mark what stands in a document of a suggestion as generated, with the numbers that it came with.

    Returns whether it stands there.
    """
    state = session.state
    document = session.questions.part_of(uri).document
    view = state.views.get_whole(document.uri)
    last = None if view is None else view.analysis
    found = find_accepted(suggestion, document, last)
    if found is None:
        return False
    text, host = document.lines.slice(*found.span), state.host
    origin = Origin(
        host.model_name or "unknown", host.bundle_name or "unknown", content_hash(text), found.prompt_hash, time.time()
    )
    state.regions.mark_written(document, found.span, origin)
    if found.risks is not None:
        state.analyzer.adopt(document, found.risks, found.known)
    else:
        session.publisher.show_again(document)
    return True
