"""Labelled programs (docs/probe.md) from programs and their patches."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import Any

from risk_lsp.patches.hunks import Hunk, edited_spans
from risk_lsp.patches.intent import statement_of, with_intent
from risk_lsp.patches.lexemes import read_code
from risk_lsp.patches.problems import Problem, Sample
from risk_lsp.patches.renaming import parses
from risk_lsp.patches.search import Patch
from risk_lsp.text.code_lines import code_line_spans
from risk_lsp.text.lines import LineIndex
from risk_lsp.text.spans import Span

# Benchmarks that show the problems, or the code, of another one: together they are one kind of source.
_SOURCES = {
    "humanevalplus": "humaneval",
    "humanevalpro": "humaneval",
    "humanevalfix": "humaneval",
    "mbppplus": "mbpp",
    "mbpppro": "mbpp",
    "debugbench": "leetcode",
    "thealgorithms_history": "thealgorithms",
    "pylib_history": "pylib",
}
# The published verdicts on their programs are those of the contest's own judge.
_JUDGED = {"lcb", "leetcode", "condefects"}
_FEW_ASSERTS = 5


def has_weak_tests(problem: Problem, sample: Sample) -> bool:
    """Whether it says little that the program passed: its tests make few checks, or it fails stricter ones."""
    if sample.kind != "sampled":
        return False
    if sample.plus is not None:
        return not sample.plus
    if sample.passed and problem.benchmark in _JUDGED:
        return False
    asserts = problem.tests.count("assert ") if problem.asserts is None else problem.asserts
    return asserts < _FEW_ASSERTS


def sample_id(sample: Sample) -> str:
    """A name for the program that depends on what it is, not on where it was found."""
    digest = sha256(sample.program.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{sample.task_id}/{sample.model}/{digest[:12]}"


def labelled_record(problem: Problem, sample: Sample, passed: bool, patch: Patch | None = None) -> dict[str, Any]:
    """One labelled program: the fields that docs/probe.md names, and those that docs/patches.md adds.

    "edited" is [] for a program that passed and null for a failing one without a patch. Offsets are into "text", which
    shows what was asked and leaves the problem's prelude out.
    """
    lines = LineIndex(sample.program)
    given = lines.start(sample.prompt_lines) if sample.prompt_lines < lines.count else len(sample.program)
    dropped = given if problem.prelude else 0
    text, header = with_intent(sample.program[dropped:], (problem.text or problem.prompt).strip())
    shift = header - dropped
    record: dict[str, Any] = {
        "id": sample_id(sample),
        "group": sample.group,
        "benchmark": sample.benchmark,
        "source": _SOURCES.get(sample.benchmark, sample.benchmark),
        "kind": sample.kind,
        "asked": statement_of(problem),
        "text": text,
        "scored": [given + shift, len(text)],
        "edited": [] if passed else None,
        "passed": passed,
        "task_id": sample.task_id,
        "model": sample.model,
        "origin": sample.origin,
        "copies": sample.n,
    }
    if passed:
        record["weak_tests"] = has_weak_tests(problem, sample)
    else:
        record["syntax_error"] = not parses(sample.program)
    if patch is not None:
        edited = edited_spans(patch.hunks)
        record["edited"] = [[span.start + shift, span.end + shift] for span in edited]
        record["patch"] = _described(sample.program, given, patch, edited, shift)
    return record


def _described(program: str, given: int, patch: Patch, edited: list[Span], shift: int) -> dict[str, Any]:
    lines = code_line_spans(program, "python", Span(given, len(program)))
    tokens = [lexeme.span for line in read_code(program).lines for lexeme in line.lexemes if lexeme.span.start >= given]
    return {
        "source": patch.source,
        "fixed": patch.fixed,
        "hunks": [_hunk(hunk, shift) for hunk in patch.hunks],
        "lines": len(lines),
        "lines_touched": _overlapping(lines, edited),
        "tokens": len(tokens),
        "tokens_touched": _overlapping(tokens, edited),
        "tokens_added": sum(hunk.added for hunk in patch.hunks),
    }


def _hunk(hunk: Hunk, shift: int) -> list[Any]:
    return [hunk.span.start + shift, hunk.span.end + shift, hunk.replacement]


def _overlapping(spans: Iterable[Span], edited: list[Span]) -> int:
    return sum(any(span.start < other.end and other.start < span.end for other in edited) for span in spans)
