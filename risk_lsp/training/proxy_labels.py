"""Labels from the nearest passing program: an upper bound on the minimal patch, made by nothing but comparison."""

from __future__ import annotations

import difflib
import re
from collections import defaultdict
from collections.abc import Iterator
from hashlib import md5
from pathlib import Path
from typing import Any

from risk_lsp.patches.intent import with_intent
from risk_lsp.text.code_lines import code_line_spans
from risk_lsp.text.lines import LineIndex
from risk_lsp.text.spans import Span, stripped_line_spans
from risk_lsp.training.labelled import LabelledProgram
from risk_lsp.training.shared_programs import Sample, read_prompts, read_records, read_samples

PROXY_FILE = "proxy_patches_nearest_pass.jsonl.xz"
_LEXEME = re.compile(r"\w+|[^\w\s]+")


def read_proxy_labelled(folder: Path, per_group: int) -> tuple[list[LabelledProgram], dict[str, float]]:
    """Passing programs and failing ones with a proxy patch, and the natural share of failing programs by problem.

    At most `per_group` passing and as many failing programs of one problem. Only benchmarks that have proxy patches in
    number are used (HumanEval and MBPP): one whose failing programs are all left out would look faultless.
    """
    patches = {record["program_md5"]: record for record in read_records(folder / PROXY_FILE)}
    prompts = read_prompts(folder)
    kept: dict[tuple[str, bool], list[LabelledProgram]] = defaultdict(list)
    outcomes: dict[str, list[bool]] = defaultdict(list)
    for sample in sorted(read_samples(folder), key=_stable_order):
        if sample.passed is None or sample.benchmark not in ("humaneval", "mbpp"):
            continue
        outcomes[sample.group].append(sample.passed)
        patch = patches.get(_digest(sample.program))
        chosen = kept[sample.group, sample.passed]
        if len(chosen) < per_group and (sample.passed or patch is not None):
            chosen.append(_labelled(sample, prompts.get(sample.task_id, ""), None if sample.passed else patch))
    shares = {group: outcome.count(False) / len(outcome) for group, outcome in outcomes.items()}
    return [program for programs in kept.values() for program in programs], shares


def edited_spans(program: str, nearest: str, changed_lines: list[int], insert_before: list[int]) -> Iterator[Span]:
    """The spans of `program` that differ from `nearest`, on the lines that the comparison named.

    A changed line whose words all occur in the other program counts as a whole. Where lines are missing, the first
    character of the code line that would follow them is marked (at the end of the program, of the last code line): a
    comment or a docstring could not carry the label.
    """
    lines = stripped_line_spans(program)
    code = code_line_spans(program, "python") or [line for line in lines if line.start < line.end]
    differing = list(_differing_words(program, nearest))
    for number in changed_lines:
        words = [span for span in differing if span.start < lines[number].end and span.end > lines[number].start]
        yield from words or [lines[number]]
    for number in insert_before:
        place = lines[number].start if number < len(lines) else len(program)
        anchor = next((line for line in code if line.start >= place), code[-1] if code else Span(0, 0))
        yield Span(anchor.start, min(anchor.start + 1, anchor.end))


def _labelled(sample: Sample, prompt: str, patch: dict[str, Any] | None) -> LabelledProgram:
    text, shift = with_intent(sample.program, prompt)
    lines = LineIndex(sample.program)
    given = lines.start(sample.prompt_lines) if sample.prompt_lines < lines.count else len(sample.program)
    edited: tuple[Span, ...] = ()
    if patch is not None:
        found = edited_spans(sample.program, patch["nearest"], patch["changed_lines"], patch["insert_before"])
        edited = tuple(Span(start + shift, end + shift) for start, end in found)
    return LabelledProgram(
        id=f"{sample.source}/{sample.model}/{sample.task_id}/{_digest(sample.program)[:8]}",
        group=sample.group,
        benchmark=sample.benchmark,
        text=text,
        scored=Span(given + shift, len(text)),
        edited=edited,
        passed=bool(sample.passed),
        task_id=sample.task_id,
        model=sample.model,
    )


def _differing_words(program: str, nearest: str) -> Iterator[Span]:
    own = list(_LEXEME.finditer(program))
    matcher = difflib.SequenceMatcher(None, [word.group() for word in own], _LEXEME.findall(nearest), autojunk=False)
    for tag, first, last, _, _ in matcher.get_opcodes():
        if tag in ("replace", "delete"):
            yield from (Span(*word.span()) for word in own[first:last])


def _digest(program: str) -> str:
    return md5(program.encode("utf-8", "replace"), usedforsecurity=False).hexdigest()


def _stable_order(sample: Sample) -> tuple[str, str]:
    return sample.group, _digest(sample.program)
