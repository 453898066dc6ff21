"""Every program that one edit makes of another, without those that only cut code off."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from types import CodeType
from typing import NamedTuple

from risk_lsp.edits.expressions import surgical_edits
from risk_lsp.edits.mends import mending_edits, syntax_mends
from risk_lsp.edits.slips import Edit, small_edits
from risk_lsp.edits.statements import blocks_of, statement_edits
from risk_lsp.text.document import Span
from risk_lsp.text.structure import syntax_tree


def superseded_statements(program: str) -> int:
    """How many statements never run: behind a return, raise, break or continue, and definitions that a later one hides.

    0 for a program that does not parse.
    """
    tree = syntax_tree(program)
    if tree is None:
        return 0
    return sum(_cut_off(block) + _hidden(block) for node in ast.walk(tree) for block in blocks_of(node))


def _cut_off(block: Sequence[ast.stmt]) -> int:
    for index, statement in enumerate(block):
        if _leaves(statement):
            rest = block[index + 1 :]
            return sum(isinstance(node, ast.stmt) for statement in rest for node in ast.walk(statement))
    return 0


def _leaves(statement: ast.stmt) -> bool:
    """Whether what follows the statement in its block can never run."""
    if isinstance(statement, (ast.Return, ast.Raise, ast.Break, ast.Continue)):
        return True
    if isinstance(statement, ast.If):
        return _never_ends(statement.body) and bool(statement.orelse) and _never_ends(statement.orelse)
    if isinstance(statement, (ast.With, ast.AsyncWith)):
        return _never_ends(statement.body)
    if isinstance(statement, ast.While):
        endless = isinstance(statement.test, ast.Constant) and bool(statement.test.value)
        return endless and not any(isinstance(node, ast.Break) for node in ast.walk(statement))
    return False


def _never_ends(block: Sequence[ast.stmt]) -> bool:
    return any(_leaves(statement) for statement in block)


def _hidden(block: Sequence[ast.stmt]) -> int:
    names = [node.name for node in block if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))]
    return len(names) - len(set(names))


_CANDIDATES_AT_MOST = 6000
_MOVES_CONTROL = re.compile(r"\b(return|raise|break|continue|pass|def|while|True)\b|\n")


class Candidate(NamedTuple):
    """An edit and the program that it makes."""

    edit: Edit
    text: str


def candidates(text: str, *, given: int = 0, within: Span | None = None) -> list[Candidate]:
    """The programs of single edits behind `given` and inside `within`, in the order of the text, each program once.

    All of them parse, none merely cuts code off, and no two differ in white space or brackets alone.
    """
    tree = syntax_tree(text)
    if tree is None:
        return list(_distinct(text, syntax_mends(text, given)))
    region = within or Span(given, len(text))
    edits = (
        *mending_edits(text, given),
        *small_edits(text, Span(given, len(text))),
        *surgical_edits(text, tree),
        *statement_edits(text, tree),
    )
    inside = [edit for edit in edits if max(region.start, given) <= edit.span.start and edit.span.end <= region.end]
    return list(_distinct(text, sorted(inside, key=lambda edit: edit.span)))


def with_infills(text: str, spans_and_fills: list[tuple[Span, str]], known: set[str]) -> list[Candidate]:
    """Candidates of a model's infills: those that parse, and whose program is not among `known`."""
    edits = (Edit(span, fill, "infill") for span, fill in spans_and_fills)
    return [candidate for candidate in _distinct(text, edits) if candidate.text not in known]


def cuts_code_off(before: str, after: str) -> bool:
    """Whether a change merely makes code unreachable, or hides a definition behind another one."""
    return superseded_statements(after) > superseded_statements(before)


def _distinct(text: str, edits: Iterable[Edit]) -> Iterator[Candidate]:
    seen_texts, seen_shapes = {text}, {_shape(text)}
    for edit in edits:
        made = edit.apply(text)
        if made in seen_texts or len(seen_texts) > _CANDIDATES_AT_MOST:
            continue
        seen_texts.add(made)
        shape = _shape(made)
        if shape is None or shape in seen_shapes:
            continue
        seen_shapes.add(shape)
        changed = text[edit.span.start : edit.span.end] + edit.replacement
        may_cut = edit.operator == "indentation" or _MOVES_CONTROL.search(changed)
        if may_cut and cuts_code_off(text, made):
            continue
        yield Candidate(edit, made)


def _shape(text: str) -> tuple[object, ...] | None:
    """What the program compiles to, positions aside; None if it does not compile."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a program's own, such as for invalid escapes
            return _shape_of(compile(text, "program.py", "exec", dont_inherit=True))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _shape_of(code: CodeType) -> tuple[object, ...]:
    constants = (_shape_of(item) if isinstance(item, CodeType) else repr(item) for item in code.co_consts)
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    return (code.co_code, code.co_exceptiontable if hasattr(code, "co_exceptiontable") else b"", *names, *constants)
