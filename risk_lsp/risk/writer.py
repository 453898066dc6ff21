"""What the hosted model writes at a place of a document, scored by the rows that it computed while it wrote."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np

from risk_lsp.errors import ModelError
from risk_lsp.model.code_model import Activations
from risk_lsp.model.generation import Continuation, Prompt, WrittenTokens, continue_decoding
from risk_lsp.model.prompting import PromptReader, PromptRun, Surroundings, surroundings
from risk_lsp.model.tokenizer import Encoding
from risk_lsp.risk.engine import Engine
from risk_lsp.risk.span_risk import PartialRisk, WritingTask, WrittenText, spans_of_tokens
from risk_lsp.text.document import Span
from risk_lsp.text.extents import EndOfWriting, first_indentation, written_from
from risk_lsp.text.normal_form import ModelText
from risk_lsp.text.structure import sections

_TOP_P = 0.95
_MOST_BEFORE, _MOST_BEHIND = 768, 64  # tokens; what is behind is run again for every letter that somebody types
_SHARE_BEHIND = 8  # of a small context, one part of so many is for what is behind


class Writer:
    """Writes with the model of one engine, and reads nothing that it wrote again. Not for two threads at once.

    A text of n tokens costs one run of what is before it, and n runs of one token, side by side with other texts.
    """

    def __init__(self, engine: Engine) -> None:
        if not engine.model.host.has_head:
            raise ModelError(
                f"the model {engine.model.name} reads, and does not write",
                "choose one that writes, such as qwen2.5-coder-0.5b: risk-lsp models",
            )
        self._engine = engine
        self._statistics = engine.manifest.statistics
        self._reader = PromptReader(engine.model, engine.manifest.layers)

    def write(self, task: WritingTask, on_line: Callable[[WrittenText], None] | None = None) -> list[WrittenText]:
        """Up to `task.count` different texts, the one with the lowest risk first; none of nothing but blanks.

        `on_line` sees the likeliest text with its numbers each time that a line of it is complete. ModelError as
        `continuations` raises it.
        """
        different = {text.text: text for text in self.draw(task, on_line) if text is not None}
        return sorted(different.values(), key=lambda text: text.probability)

    def draw(self, task: WritingTask, on_line: Callable[[WrittenText], None] | None = None) -> list[WrittenText | None]:
        """Each of `task.count` texts as it was drawn, the likeliest first; None for nothing but blanks.

        An empty list where there is nothing to go on from. `on_line` and errors as of `write`.
        """
        text, start = task.text, written_from(task.text, task.start)
        blanks = text[start : task.start]
        first = first_indentation(text, start) if task.extent == "function" else ""
        end = EndOfWriting(text, start, task.start, task.extent, task.language_id)
        model = self._engine.model
        room = max(1, model.context - task.max_tokens - len(model.tokenizer.prefix) - 3)
        behind = min(_MOST_BEHIND, room // _SHARE_BEHIND)
        around = surroundings(
            model,
            text,
            start,
            task.end,
            task.language_id,
            most_before=min(_MOST_BEFORE, room - behind),
            most_behind=behind,
        )
        if not len(around.token_ids):
            return []
        run, decoding = self._reader.begin(around.token_ids)
        seeds = [None, *range(task.seed, task.seed + task.count - 1)]
        prompt = Prompt(around.token_ids, seeds, task.max_tokens, end, blanks + first, then_a_word=bool(first))
        layers = self._engine.manifest.layers

        def tell(so_far: Continuation) -> None:
            written = _worth_showing(so_far, blanks, text[task.end :])
            if on_line is not None and written is not None:
                on_line(self._score_written(task, start, written, so_far, run, around))

        (found,) = continue_decoding(
            model,
            decoding,
            [prompt],
            temperature=task.temperature,
            top_p=_TOP_P,
            layers=layers,
            on_line=None if on_line is None else tell,
        )
        shown = [_worth_showing(each, blanks, text[task.end :]) for each in found]
        scored = {
            written: self._score_written(task, start, written, each, run, around)
            for written, each in zip(reversed(shown), reversed(found), strict=True)  # of equal texts the first counts
            if written is not None
        }
        return [None if written is None else scored[written] for written in shown]

    def _score_written(
        self, task: WritingTask, start: int, written: str, found: Continuation, run: PromptRun, around: Surroundings
    ) -> WrittenText:
        assert found.written is not None  # layers were asked for
        end = task.start + len(written)
        document = self._engine.model_text(task.text[: task.start] + written + task.text[task.end :], task.language_id)
        tokens = int(np.searchsorted(found.written.encoding.starts, end - start))
        own = _moved_activations(found.written, tokens, start, end, self._engine.manifest.layers, self._statistics)
        part = _part_around(document, Span(task.start, end))
        before = self._around(run, around.before, around.first_before, part, 0)
        behind = self._around(run, around.behind, around.first_behind, part, end - task.end)
        known = Activations.join([before, own, behind])
        read = _in_model_text(document, known)
        risks = self._engine.partial_risk(document, read, read.encoding).risks
        return WrittenText(
            written,
            task.start,
            PartialRisk(risks, spans_of_tokens(known.encoding.starts, known.encoding.ends)),
            float(found.written.log_probabilities[:tokens].mean()) if tokens else 0.0,
            tokens,
            found.ended,
            hashlib.blake2b(around.token_ids.astype("<i8").tobytes(), digest_size=16).hexdigest(),
        )

    def _around(self, run: PromptRun, encoding: Encoding, first: int, part: Span, by: int) -> Activations:
        """What the model made of the prompt's tokens that stand in a part of the document, moved by so much."""
        inside = np.flatnonzero((encoding.starts + by >= part.start) & (encoding.ends + by <= part.end))
        tokens = slice(int(inside[0]), int(inside[-1]) + 1) if len(inside) else slice(0, 0)
        moved = Encoding(encoding.token_ids[tokens], encoding.starts[tokens] + by, encoding.ends[tokens] + by)
        in_prompt = slice(first + tokens.start, first + tokens.stop)
        return self._reader.activations(run, in_prompt, moved, statistics=self._statistics)


def _worth_showing(found: Continuation, blanks: str, behind: str) -> str | None:
    """What is new of a text that begins with blanks; None for nothing, and for what stands there already."""
    text = found.text
    if not found.ended and "\n" in text.lstrip():  # the last line of several was cut short
        text = text[: text.rindex("\n")]
    new = text[len(blanks) :].rstrip()
    if not text.startswith(blanks) or not new.strip():
        return None
    return None if behind.lstrip().startswith(new.strip()) else new


def _part_around(document: ModelText, span: Span) -> Span:
    """The part of a document that the probe reads by itself, in which a span stands; more if it reaches over more."""
    inside = document.span_in_text(span)
    parts = [
        part
        for part in sections(document.text)
        if part.start < max(inside.end, inside.start + 1) and part.end > inside.start
    ]
    (around,) = document.stretches_in_document([Span(parts[0].start, parts[-1].end)]) if parts else (span,)
    return around


def _moved_activations(
    written: WrittenTokens, tokens: int, start: int, end: int, layers: tuple[int, ...], statistics: bool
) -> Activations:
    encoding = written.encoding
    own = Encoding(
        encoding.token_ids[:tokens], encoding.starts[:tokens] + start, np.minimum(encoding.ends[:tokens] + start, end)
    )
    log_probabilities = written.log_probabilities[:tokens] if statistics else None
    entropies = written.entropies[:tokens] if statistics else None
    return Activations(own, layers, written.values[:tokens], log_probabilities, entropies)


def _in_model_text(document: ModelText, known: Activations) -> Activations:
    """The tokens of a document as those of what a model reads of it: without those of which that holds nothing."""
    if document.text is document.document:
        return known
    encoding = known.encoding
    spans = [
        document.span_in_text(Span(start, end))
        for start, end in zip(encoding.starts.tolist(), encoding.ends.tolist(), strict=True)
    ]
    kept = np.array([place for place, span in enumerate(spans) if span.start < span.end], dtype=np.int64)
    places = np.array([spans[place] for place in kept.tolist()], dtype=np.int32).reshape(-1, 2)
    some = known.some(kept)
    ends = np.maximum.accumulate(places[:, 1])
    moved = Encoding(some.encoding.token_ids, np.maximum.accumulate(places[:, 0]), ends)
    return Activations(moved, some.layers, some.values, some.log_probabilities, some.entropies)
