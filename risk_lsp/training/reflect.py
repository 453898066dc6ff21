"""Asking a language model which lines have to be edited: answers on disk, so that none is asked for twice."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from risk_lsp.evaluation.reflection import asked_lines, probabilities_of, question_about
from risk_lsp.training.labelled import LabelledProgram
from risk_lsp.training.shared_programs import read_records

if TYPE_CHECKING:
    from risk_lsp.patches.endpoint import Endpoint


def ask_about(
    programs: Sequence[LabelledProgram], endpoint: Endpoint, model: str, path: Path, messages: TextIO
) -> None:
    """Put one question a program to the model, each answer to the end of `path`; what it holds is not asked again."""
    known = {record["id"] for record in _records(path) if record["model"] == model}
    pending = [program for program in programs if program.id not in known]
    with path.open("a", encoding="utf-8") as out:
        for number, program in enumerate(pending, 1):
            answer = endpoint.complete(question_about(program.text, program.scored), temperature=0.0)
            out.write(json.dumps({"id": program.id, "model": model, "answer": answer.text}) + "\n")
            out.flush()
            if number % 20 == 0:
                messages.write(f"asked about {number:,} of {len(pending):,} programs\n")


def read_answers(programs: Sequence[LabelledProgram], model: str, path: Path) -> list[dict[int, float]]:
    """The probability of each line of each program, by number from 1; empty where nobody asked or none was given."""
    answers = {record["id"]: record["answer"] for record in _records(path) if record["model"] == model}
    return [
        probabilities_of(answers.get(program.id, ""), asked_lines(program.text, program.scored)) for program in programs
    ]


def _records(path: Path) -> list[dict[str, Any]]:
    """The answers so far. A last line that was cut short when a run was killed is removed."""
    if not path.is_file():
        return []
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole, encoding="utf-8")
    return list(read_records(path))
