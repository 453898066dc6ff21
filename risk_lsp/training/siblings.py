"""Other programs that the same model wrote for the same task."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path

from risk_lsp.evaluation.multisampling import SIBLINGS, code_lines
from risk_lsp.patches.problems import Sample, read_samples
from risk_lsp.text.lines import LineIndex
from risk_lsp.text.spans import Span
from risk_lsp.training.labelled import LabelledProgram


def read_siblings(paths: Iterable[Path], programs: Sequence[LabelledProgram]) -> list[list[list[str]]]:
    """The code lines of up to 5 siblings of each program, always the same ones; the program itself is none of them."""
    wanted = {(program.task_id, program.model) for program in programs}
    known: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    for path in paths:
        for sample in read_samples(path):
            if (sample.task_id, sample.model) in wanted:
                known[sample.task_id, sample.model].append(sample)
    lines = {key: [_code_lines(sample) for sample in sorted(samples, key=_place)] for key, samples in known.items()}
    return [_others(program, lines.get((program.task_id, program.model), [])) for program in programs]


def _others(program: LabelledProgram, candidates: list[list[str]]) -> list[list[str]]:
    own = code_lines(program.text, program.scored)
    found = list(candidates)
    if own in found:  # samples are distinct, so one that is equal is the program itself
        found.remove(own)
    return found[:SIBLINGS]


def _code_lines(sample: Sample) -> list[str]:
    lines = LineIndex(sample.program)
    given = lines.start(sample.prompt_lines) if sample.prompt_lines < lines.count else len(sample.program)
    return code_lines(sample.program, Span(given, len(sample.program)))


def _place(sample: Sample) -> bytes:
    return sha256(sample.program.encode("utf-8", "surrogatepass")).digest()
