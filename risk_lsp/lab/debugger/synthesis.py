"""Programs of a model, why they fail, and what repairs them: asked for, run, and kept as soon as they are there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, TextIO

from risk_lsp.errors import BadInput
from risk_lsp.lab.debugger.debugging_data import BROKEN, Examiner, broken_records, published_records
from risk_lsp.lab.debugger.dialogue import Reply, Respondent, kind_of, repair_question, situation_of
from risk_lsp.lab.json_lines import read_appended
from risk_lsp.lab.patches.sample_command import ProgramWriter, SamplingOptions, WantedProgram, sample_record, seed_of
from risk_lsp.repair.model_questions import feedback_prompt, program_in, repair_prompt
from risk_lsp.report.wording import shown_progress
from risk_lsp.sandbox.verdicts import Problem


@dataclass(frozen=True)
class Crew:
    """Who writes programs, who says why they fail, and who repairs them, given that."""

    writer: ProgramWriter
    critic: Respondent
    repairer: Respondent


@dataclass(frozen=True)
class SynthesisOptions:
    """attempts: explanations, each with a repair, of every failing program. together: programs that are worked on."""

    sampling: SamplingOptions
    attempts: int
    together: int


def synthesise(
    problems: Sequence[Problem], crew: Crew, examiner: Examiner, options: SynthesisOptions, out: Path, messages: TextIO
) -> int:
    """Append to `out` what it lacks, one record for each program, and return how many those are.

    A run that was killed loses no more than the programs that it was working on; the next one makes them again, and
    the same ones where the models draw by seeds.
    """
    known, programs = _known_programs(out, options.sampling.model)
    missing = [
        (problem, index)
        for problem in problems
        for index in range(options.sampling.per_problem)
        if (problem.task_id, index) not in known
    ]
    out.parent.mkdir(parents=True, exist_ok=True)
    with shown_progress(messages, "programs", len(missing)) as progress, out.open("a", encoding="utf-8") as file:
        for first in range(0, len(missing), options.together):
            part = missing[first : first + options.together]
            records = _write_records(part, crew, options)
            for record, (problem, _) in zip(records, part, strict=True):
                examined = examiner.examine(problem, record["program"])
                record |= {"verified": examined.passed, "err": examined.reason, "error": examined.failure}
                key = problem.task_id, record["program"]
                record["repeats"] = key in programs
                programs.add(key)
            failing = [
                (problem, record)
                for record, (problem, _) in zip(records, part, strict=True)
                if not record["verified"] and not record["repeats"]
            ]
            _repair(failing, crew, examiner, options)
            file.write("".join(json.dumps(record) + "\n" for record in records))
            file.flush()
            progress.show(first + len(part))
    return len(missing)


def add_published(out: Path, pairs: Sequence[Path], problems: Mapping[str, Problem], examiner: Examiner) -> None:
    """Append to `out` the pairs of these files that it lacks, and that fail and pass here, too."""
    _, known = _known_programs(out, "")
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("a", encoding="utf-8") as file:
        for record in published_records(pairs, problems, examiner, known):
            file.write(json.dumps(record) + "\n")
            file.flush()


def add_broken(
    out: Path, problems: Sequence[Problem], examiner: Examiner, *, per_problem: int, seed: int, messages: TextIO
) -> None:
    """Append to `out`, where it lacks them, the right programs of problems, each with one edit that makes tests fail.

    The edits are those that the embedded repairs try. A problem without a reference is left out, and so is one that no
    edit of a line breaks.
    """
    known, _ = _known_programs(out, BROKEN)
    out.parent.mkdir(parents=True, exist_ok=True)
    with shown_progress(messages, "problems", len(problems)) as progress, out.open("a", encoding="utf-8") as file:
        for number, problem in enumerate(problems, start=1):
            if problem.reference and (problem.task_id, 0) not in known:
                found = broken_records(problem, examiner, per_problem=per_problem, seed=seed)
                file.write("".join(json.dumps(record) + "\n" for record in found))
                file.flush()
            progress.show(number)


def _write_records(part: Sequence[tuple[Problem, int]], crew: Crew, options: SynthesisOptions) -> list[dict[str, Any]]:
    """A record of a program for each problem and index, in their order."""
    wanted = [WantedProgram(problem, seed_of(options.sampling, problem, index)) for problem, index in part]
    written = {(item.problem.task_id, item.seed): program for item, program in crew.writer.write(wanted)}
    return [
        {
            **sample_record(problem, written[problem.task_id, item.seed], options.sampling),
            "index": index,
            "problem": asdict(problem),
            "critic": crew.critic.name,
            "repairer": crew.repairer.name,
            "repairs": [],
        }
        for item, (problem, index) in zip(wanted, part, strict=True)
    ]


def _repair(
    failing: Sequence[tuple[Problem, dict[str, Any]]], crew: Crew, examiner: Examiner, options: SynthesisOptions
) -> None:
    """Ask why each program fails and for a repair, and run that; what came of it is added to the records."""
    told = [(problem, record, record["program"], record["error"]) for problem, record in failing]
    questions = [
        repair_question(feedback_prompt(situation_of(problem, program, error)), _seeds(record, options), "words")
        for problem, record, program, error in told
    ]
    words = crew.critic.answers(questions)
    asked = [
        repair_question(
            repair_prompt(situation_of(problem, program, error, feedback=reply.text.strip())),
            [_seeds(record, options)[number]],
            kind_of(problem),
        )
        for (problem, record, program, error), replies in zip(told, words, strict=True)
        for number, reply in enumerate(replies)
    ]
    answers: Iterator[list[Reply]] = iter(crew.repairer.answers(asked))
    for (problem, record, program, _), replies in zip(told, words, strict=True):
        for reply in replies:
            (answer,) = next(answers)
            repaired = program_in(answer.text, program) or ""
            examined = examiner.examine(problem, repaired)
            record["repairs"].append(
                {
                    "explanation": reply.text.strip(),
                    "program": repaired,
                    "passed": examined.passed,
                    "err": examined.reason,
                    "share": round(examined.share, 4),
                    "tokens": [*reply[1:], *answer[1:]],
                }
            )


def _seeds(record: dict[str, Any], options: SynthesisOptions) -> list[int]:
    """31 bits for each attempt; a run that goes on finds the same ones."""
    names = [f"{options.sampling.seed or 0}:{record['task_id']}:{record['index']}:{n}" for n in range(options.attempts)]
    return [int.from_bytes(sha256(name.encode()).digest()[:4], "big") >> 1 for name in names]


def _known_programs(out: Path, model: str) -> tuple[set[tuple[str, int]], set[tuple[str, str]]]:
    """The problems and indices that `out` holds of this model, and the problems and programs of anybody.

    A last line that was cut short is removed.
    """
    known: set[tuple[str, int]] = set()
    programs: set[tuple[str, str]] = set()
    for where, record in read_appended(out):
        try:
            programs.add((record["task_id"], record["program"]))
            if record["model"] == model and "index" in record:
                known.add((record["task_id"], record["index"]))
        except KeyError as error:
            raise BadInput(f"{where}: is no record of this command ({error!r})", "name another file") from error
    return known, programs
