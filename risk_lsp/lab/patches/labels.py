"""Labelled programs (docs/probe.md) from programs and their patches, with and without the programs."""

from __future__ import annotations

import ast
import json
import lzma
from collections import defaultdict
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

from risk_lsp.edits.hunks import Hunk, apply_hunks, edited_spans
from risk_lsp.edits.lexemes import read_code
from risk_lsp.errors import BadInput
from risk_lsp.files import SHARED, write_whole
from risk_lsp.lab.json_lines import read_objects
from risk_lsp.lab.patches.programs import Sample
from risk_lsp.lab.patches.search import Patch
from risk_lsp.sandbox.verdicts import Problem
from risk_lsp.text.document import Span
from risk_lsp.text.structure import code_line_spans, parses, syntax_tree

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def with_intent(program: str, prompt: str) -> tuple[str, int]:
    """The program with what was asked as its module docstring, and how many characters that put in front.

    A program that already says what was asked (its prompt's longest line is in it) stays as it is.
    """
    lines = [line.strip() for line in prompt.splitlines() if line.strip()]
    if not lines or max(lines, key=len) in program:
        return program, 0
    header = '"""' + prompt.replace("\\", "\\\\").replace('"""', "'''") + '\n"""\n'
    return header + program, len(header)


def problem_statement(problem: Problem) -> str:
    """What was asked, in words: the problem's text, or what the code of its prompt says of its last definition."""
    if problem.text:
        return problem.text.strip()
    # The tree of a prompt that is code, whole or up to the body of its last definition.
    trees = map(syntax_tree, (problem.prompt, f"{problem.prompt.rstrip()}\n    pass\n"))
    tree = next((tree for tree in trees if tree is not None), None)
    definitions = [node for node in tree.body if isinstance(node, _DEFINITIONS)] if tree else []
    if not definitions:
        return problem.prompt.strip()
    last = definitions[-1]
    return ast.get_docstring(last) or _comment_above(problem.prompt, last)


def _comment_above(prompt: str, definition: ast.stmt) -> str:
    """The lines of comment that end right above a definition, without their marks."""
    found: list[str] = []
    for line in reversed(prompt.splitlines()[: definition.lineno - 1]):
        if not line.startswith("#"):
            break
        found.insert(0, line.lstrip("#").strip())
    return "\n".join(found)


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
    """Whether a pass tells little of a program: the tests make few checks, or it fails stricter ones."""
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
    given = sample.given
    dropped = given if problem.prelude else 0
    text, header = with_intent(sample.program[dropped:], (problem.text or problem.prompt).strip())
    shift = header - dropped
    record: dict[str, Any] = {
        "id": sample_id(sample),
        "group": sample.group,
        "benchmark": sample.benchmark,
        "source": _SOURCES.get(sample.benchmark, sample.benchmark),
        "kind": sample.kind,
        "asked": problem_statement(problem),
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
        record["patch"] = _describe_patch(sample.program, given, patch, edited, shift)
    return record


def _describe_patch(program: str, given: int, patch: Patch, edited: list[Span], shift: int) -> dict[str, Any]:
    lines = code_line_spans(program, "python", Span(given, len(program)))
    tokens = [lexeme.span for line in read_code(program).lines for lexeme in line.lexemes if lexeme.span.start >= given]
    return {
        "source": patch.source,
        "fixed": patch.fixed,
        "hunks": [[hunk.span.start + shift, hunk.span.end + shift, hunk.replacement] for hunk in patch.hunks],
        "lines": len(lines),
        "lines_touched": _overlapping(lines, edited),
        "tokens": len(tokens),
        "tokens_touched": _overlapping(tokens, edited),
        "tokens_added": sum(hunk.added for hunk in patch.hunks),
    }


def _overlapping(spans: Iterable[Span], edited: list[Span]) -> int:
    return sum(any(span.start < other.end and other.start < span.end for other in edited) for span in spans)


LABELS = "labels"  # the folder
_SUFFIX = ".jsonl.xz"
_FORMAT_VERSION = 1
# What does not follow from the program; beside these the patch, of which "fixed" follows from the hunks. What makes the
# program itself of a reference is in "injected".
_KEPT = ("id", "passed", "edited", "error", "runs", "seconds", "answered", "injected")


def write_labels(folder: Path, records: Iterable[dict[str, Any]]) -> None:
    """Write one file a benchmark, from the records of programs that were searched or judged by a build."""
    lines: dict[str, list[dict[str, Any]]] = defaultdict(lambda: [{"format_version": _FORMAT_VERSION}])
    for record in sorted(records, key=lambda record: str(record["id"])):
        label = {name: record[name] for name in _KEPT if name in record}
        if "patch" in record:
            label["patch"] = {name: value for name, value in record["patch"].items() if name != "fixed"}
        lines[record["benchmark"]].append(label)
    folder.mkdir(parents=True, exist_ok=True)
    for benchmark, labels in lines.items():
        text = "".join(json.dumps(label, sort_keys=True) + "\n" for label in labels)
        write_whole(folder / f"{benchmark}{_SUFFIX}", lzma.compress(text.encode()), SHARED)


def read_labels(paths: Iterable[Path]) -> dict[str, dict[str, Any]]:
    """The labels of files, and of the files in folders, by the ids of their programs. BadInput for what is none."""
    files = [file for path in paths for file in (sorted(path.glob(f"*{_SUFFIX}")) if path.is_dir() else [path])]
    found: dict[str, dict[str, Any]] = {}
    for file in files:
        try:
            header, *labels = (record for _, record in read_objects(file))
            if header["format_version"] != _FORMAT_VERSION:
                raise BadInput(f"{file} has format version {header['format_version']}", f"this reads {_FORMAT_VERSION}")
            found |= {label["id"]: label for label in labels if label["id"] and label["passed"] in (True, False)}
        except (ValueError, KeyError) as error:
            raise BadInput(f"{file} holds no labels: {error}", "give what `patches build` wrote as labels") from None
    return found


def fixed_by(problem: Problem, sample: Sample, label: dict[str, Any]) -> str | None:
    """The program after the label's patch; None where it has none, or one that is of another text."""
    patch = label.get("patch")
    if patch is None:
        return None
    given = sample.given
    shift = labelled_record(problem, sample, passed=False)["scored"][0] - given
    hunks = [
        Hunk(Span(start - shift, end - shift), replacement, order, (), 0, 0, 0, 0)
        for order, (start, end, replacement) in enumerate(patch["hunks"])
    ]
    if any(not given <= hunk.span.start <= hunk.span.end <= len(sample.program) for hunk in hunks):
        return None
    return apply_hunks(sample.program, hunks)


def record_of(problem: Problem, sample: Sample, label: dict[str, Any], fixed: str | None) -> dict[str, Any]:
    """The whole record of a failing program, from the label that a search gave it; `fixed` is as from `fixed_by`."""
    record = labelled_record(problem, sample, passed=False)
    record |= {name: label[name] for name in _KEPT if name in label}
    return record if fixed is None else record | {"patch": {**label["patch"], "fixed": fixed}}
