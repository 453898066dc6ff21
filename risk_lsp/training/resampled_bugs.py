"""Programs with one bug made by a code model: a part of a passing program, written anew.

Nobody runs the tests: what the model wrote may do the same as what stood there. Such labels are noise that training has
to bear. Like other bugs made by machine they are to learn from, never to calibrate with.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import islice
from typing import NamedTuple

import numpy as np

from risk_lsp.model.code_model import CodeModel
from risk_lsp.model.generation import Continuation, Prompt, continuations
from risk_lsp.patches.alignment import LineAligner
from risk_lsp.patches.hunks import Difference, edited_spans
from risk_lsp.patches.lexemes import read_code
from risk_lsp.text.spans import Span
from risk_lsp.training.injected_bugs import compiles, passing_in_turn
from risk_lsp.training.labelled import LabelledProgram
from risk_lsp.training.resampled_spans import Hole, end_of, hole_in

_TOGETHER = 24  # programs
_DRAWS = 2  # of each hole at a time
_ATTEMPTS = 4  # holes of a program
_MORE_TOKENS = 8  # than twice those that stood there: what is longer has got lost
_TEMPERATURE = 1.0


def with_resampled_bugs(
    model: CodeModel,
    programs: Iterable[LabelledProgram],
    count: int,
    seed: int,
    *,
    on_progress: Callable[[int], None] = lambda found: None,
) -> list[LabelledProgram]:
    """Up to `count` programs, each a passing one of which the model wrote an expression, a line or a few lines anew.

    Problems take turns, and every passing program is used once at most. The text compiles, and its code differs; the
    label is what of it differs, marked as a patch back to the program that passed would be. The model sees what stands
    before the part; it writes as many lines as stood there, or an expression up to what stands behind it. A program's
    bug depends on the seed, the program and the model alone. on_progress is told how many were found so far.
    ModelError for a model without its head.
    """
    waiting = passing_in_turn(programs, random.Random(seed))
    resampler = _Resampler(model, seed)
    found: list[LabelledProgram] = []
    while len(found) < count and (batch := list(islice(waiting, _TOGETHER))):
        found += resampler.bugs(batch)
        on_progress(min(len(found), count))
    return found[:count]


class _Asked(NamedTuple):
    """A hole in a program, in front of which `before` characters stay, and what the model is asked."""

    program: LabelledProgram
    hole: Hole
    start: int
    prompt: Prompt


class _Resampler:
    """One model that writes parts of programs."""

    def __init__(self, model: CodeModel, seed: int) -> None:
        self._model = model
        self._seed = seed

    def bugs(self, programs: Sequence[LabelledProgram]) -> list[LabelledProgram]:
        """At most one for each program, in their order."""
        found: dict[str, LabelledProgram] = {}
        for attempt in range(_ATTEMPTS):
            missing = [program for program in programs if program.id not in found]
            asked = [each for program in missing if (each := self._asked(program, attempt)) is not None]
            prompts = [each.prompt for each in asked]
            for each, drawn in zip(asked, continuations(self._model, prompts, temperature=_TEMPERATURE), strict=True):
                bug = next(filter(None, (_bug(each, text) for text in drawn)), None)
                if bug is not None:
                    found[each.program.id] = bug
        return [found[program.id] for program in programs if program.id in found]

    def _asked(self, program: LabelledProgram, attempt: int) -> _Asked | None:
        """What follows the tokens in front of a hole; the first token of the hole may reach before it."""
        chooser = random.Random(f"{self._seed}:{attempt}:{program.id}")
        hole = hole_in(program.text, program.scored, chooser)
        if hole is None:
            return None
        seeds = [chooser.getrandbits(31) for _ in range(_DRAWS)]
        encoding = self._model.encode(program.text)
        inside = np.flatnonzero((encoding.starts < hole.span.end) & (encoding.ends > hole.span.start))
        first, tokens = int(inside[0]), min(2 * len(inside) + _MORE_TOKENS, self._model.context // 2)
        prefix = self._model.tokenizer.prefix
        room = self._model.context - tokens - len(prefix)
        before = np.concatenate([prefix, encoding.token_ids[max(0, first - room) : first]]).astype(np.int64)
        if not len(before):
            return None
        over = partial(end_of, hole)
        return _Asked(program, hole, int(encoding.starts[first]), Prompt(before, seeds, tokens, over))


def _bug(asked: _Asked, drawn: Continuation) -> LabelledProgram | None:
    """The program with what was drawn in its hole; None if that has no end, changes no code, or does not compile."""
    program, hole = asked.program, asked.hole
    text = program.text[: asked.start] + drawn.text.rstrip() + program.text[hole.span.end :]
    if not drawn.ended or not drawn.text.strip() or not compiles(text):
        return None
    back = Difference(read_code(text), read_code(program.text), program.scored.start, LineAligner())
    edited = edited_spans(back.hunks())
    if not edited:
        return None
    return LabelledProgram(
        id=f"{program.id}+resampled {hole.kind}",
        group=program.group,
        benchmark=program.benchmark,
        text=text,
        scored=Span(program.scored.start, program.scored.end + len(text) - len(program.text)),
        edited=tuple(edited),
        passed=False,
        task_id=program.task_id,
        model=program.model,
    )
