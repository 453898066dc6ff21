"""Programs with a bug made by machine: of labelled programs, and (`risk-lsp corpus programs`) of library code."""

from __future__ import annotations

import argparse
import ast
import json
import lzma
import random
import sys
import textwrap
import warnings
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TypeVar

from risk_lsp.edits.slips import Edit, small_edits
from risk_lsp.lab.training.labelled_programs import LabelledProgram
from risk_lsp.lab.training.training_documents import (
    LIBRARIES_TO_MEASURE,
    TrainingDocument,
    fetched_packages,
    installed_distributions,
    worth_learning,
)
from risk_lsp.text.document import Span, stripped_line_spans

Item = TypeVar("Item")


def with_injected_bugs(programs: Iterable[LabelledProgram], count: int, seed: int) -> list[LabelledProgram]:
    """`count` programs, each a passing one with one small edit; problems take turns, and so do the kinds of edit.

    An edit may leave what the program does unchanged; without running tests that cannot be told, and such labels are
    noise that training has to bear.
    """
    chooser = random.Random(seed)
    found: list[LabelledProgram] = []
    for program in passing_in_turn(programs, chooser):
        if len(found) == count:
            break
        edit = _chosen(small_edits(program.text, program.scored), program.text, chooser)
        if edit is not None:
            found.append(_inject(program, edit))
    return found


def passing_in_turn(programs: Iterable[LabelledProgram], chooser: random.Random) -> Iterator[LabelledProgram]:
    """The programs that passed, each once in an order drawn by `chooser`; problems take turns."""
    by_group: dict[str, list[LabelledProgram]] = defaultdict(list)
    for program in programs:
        if program.passed:
            by_group[program.group].append(program)
    rounds = [chooser.sample(by_group[group], len(by_group[group])) for group in sorted(by_group)]
    for position in range(max(map(len, rounds), default=0)):
        for own in rounds:
            if position < len(own):
                yield own[position]


def _chosen(edits: list[Edit], text: str, chooser: random.Random) -> Edit | None:
    """A random edit after which the program still parses; the operator is drawn first, or names would crowd it out."""
    by_operator: dict[str, list[Edit]] = defaultdict(list)
    for edit in edits:
        by_operator[edit.operator].append(edit)
    for operator in chooser.sample(sorted(by_operator), len(by_operator)):
        edit = chooser.choice(by_operator[operator])
        if compiles(edit.apply(text)):
            return edit
    return None


def _inject(program: LabelledProgram, edit: Edit) -> LabelledProgram:
    text = edit.apply(program.text)
    end = edit.span.start + len(edit.replacement)
    growth = len(text) - len(program.text)
    edited = Span(edit.span.start, end)
    if not edit.replacement.strip():
        # The first character at or behind it that is no white space, else the last one of the text.
        lines = (line for line in stripped_line_spans(text) if line.end > edited.start and line.start < line.end)
        line = next(lines, None)
        start = max(0, len(text) - 1) if line is None else max(edited.start, line.start)
        edited = Span(start, min(start + 1, len(text)))
    return LabelledProgram(
        id=f"{program.id}+{edit.operator}",
        group=program.group,
        benchmark=program.benchmark,
        text=text,
        scored=Span(program.scored.start, program.scored.end + growth),
        edited=(edited,),
        passed=False,
        task_id=program.task_id,
        model=program.model,
    )


def compiles(text: str) -> bool:
    """Whether Python can compile a program; its warnings are silenced."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(text, "<program>", "exec")
    except (SyntaxError, ValueError):
        return False
    return True


SOURCE = "library"
_FEWEST_LINES, _MOST_LINES = 5, 70  # of a function or class
_STRETCH = (60, 140)  # lines of a stretch of a module, at least and at most
_LONGEST = 5_000  # characters
_PER_FILE = 3
_STRETCHES = 0.2  # share of the programs
_WITH_A_BUG = 0.6  # share of the programs that get a twin with a bug
_FIELDS = ("id", "group", "benchmark", "text", "passed", "model", "source", "kind")


def add_programs_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `risk-lsp corpus programs`."""
    parser.add_argument("out", type=Path, help="file to write, .jsonl or .jsonl.xz")
    parser.add_argument("--count", type=int, default=1600, help="pieces of library code (default 1600)")
    parser.add_argument(
        "--packages", type=Path, help="folder of fetched packages, read beside those that are installed"
    )
    parser.add_argument("--seed", type=int, default=1)


def run_programs(args: argparse.Namespace) -> int:
    """Write the programs; returns the exit code."""
    fetched = fetched_packages(args.packages) if args.packages else iter(())
    programs = library_programs(chain(installed_distributions(), fetched), args.count, LIBRARIES_TO_MEASURE, args.seed)
    records = (
        {
            **{name: getattr(program, name) for name in _FIELDS},
            "scored": [*program.scored],
            "edited": [[*span] for span in program.edited or ()],
        }
        for program in programs
    )
    text = "".join(json.dumps(record) + "\n" for record in records).encode()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_bytes(lzma.compress(text) if args.out.suffix == ".xz" else text)
    passing = sum(program.passed for program in programs)
    print(f"wrote {args.out}: {passing:,} pieces, {len(programs) - passing:,} twins with a bug", file=sys.stderr)
    return 0


def library_programs(
    documents: Iterable[TrainingDocument], count: int, left_out: Collection[str], seed: int
) -> list[LabelledProgram]:
    """`count` pieces of library code, which passed, and twins of six in ten of them with one small edit.

    A piece is a function or class, or in one case of five a stretch of a module with several of them. Libraries take
    turns. `left_out`: names of distributions. Nothing is run: an edit may change nothing that a test would see, and a
    library may have a bug; both are noise that training has to bear.
    """
    chooser = random.Random(seed)
    by_library: dict[str, list[TrainingDocument]] = {}
    for document in documents:
        library = document.source.partition("==")[0].lower()
        if library not in left_out and "test" not in document.path and worth_learning(document.text):
            by_library.setdefault(library, []).append(document)
    queues = [_pieces(chooser.sample(own, len(own)), chooser) for _, own in sorted(by_library.items())]
    clean: list[LabelledProgram] = []
    names: Counter[str] = Counter()
    while queues and len(clean) < count:
        for queue in tuple(queues):
            piece = next(queue, None)
            if piece is None:
                queues.remove(queue)
                continue
            names[piece.group] += 1
            if names[piece.group] == 1:
                clean.append(piece)
    clean = clean[:count]
    bugs = with_injected_bugs(chooser.sample(clean, round(_WITH_A_BUG * len(clean))), len(clean), seed)
    return clean + [replace(bug, kind="injected") for bug in bugs]


def _pieces(documents: list[TrainingDocument], chooser: random.Random) -> Iterator[LabelledProgram]:
    for document in documents:
        try:
            tree = ast.parse(document.text)
        except (SyntaxError, ValueError, RecursionError):
            continue
        lines = document.text.splitlines(keepends=True)
        found = list(_stretches(tree, lines)) if chooser.random() < _STRETCHES else list(_definitions(tree, lines))
        for name, text in chooser.sample(found, min(_PER_FILE, len(found))):
            library = document.source.partition("==")[0]
            group = f"library/{library}/{document.path}/{name}"
            program = LabelledProgram(group, group, SOURCE, text, Span(0, len(text)), (), passed=True, model=library)
            yield replace(program, source=SOURCE, kind="reference")


def _definitions(tree: ast.Module, lines: list[str]) -> Iterator[tuple[str, str]]:
    """Name and text of functions, methods and classes of moderate length, at the margin."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            first = min([node.lineno, *(each.lineno for each in node.decorator_list)]) - 1  # from 0
            last = node.end_lineno or node.lineno
            text = textwrap.dedent("".join(lines[first:last]))
            if _FEWEST_LINES <= last - first <= _MOST_LINES and len(text) <= _LONGEST:
                yield f"{node.name}:{first}", text


def _stretches(tree: ast.Module, lines: list[str]) -> Iterator[tuple[str, str]]:
    """Statements of a module that follow one another, as many as make a stretch."""
    first = 0
    for node in tree.body:
        last = node.end_lineno or 0
        if last - first >= _STRETCH[0]:
            text = "".join(lines[first:last])
            if last - first <= _STRETCH[1] and len(text) <= _LONGEST:
                yield f"lines:{first}", text
            first = last
