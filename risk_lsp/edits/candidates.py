"""Every program that one edit makes of another, without those that only cut code off; and edits that mend what does not
parse, or what models often leave out.
"""

from __future__ import annotations

import ast
import builtins
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from types import CodeType
from typing import NamedTuple

from risk_lsp.edits.expressions import surgical_edits
from risk_lsp.edits.lexemes import read_code
from risk_lsp.edits.renaming import local_names
from risk_lsp.edits.slips import Edit, small_edits
from risk_lsp.edits.statements import blocks_of, statement_edits
from risk_lsp.text.document import LineIndex, Span
from risk_lsp.text.structure import NodeSpans, syntax_tree
from risk_lsp.text.tracking import difference

_MODULES = frozenset(
    (
        *("bisect", "collections", "copy", "datetime", "decimal", "fractions", "functools", "hashlib", "heapq"),
        *("itertools", "json", "math", "operator", "os", "random", "re", "statistics", "string", "sys", "time"),
        "typing",
    )
)
_HOMES = {
    "collections": "Counter OrderedDict defaultdict deque namedtuple",
    "functools": "cmp_to_key lru_cache reduce",
    "heapq": "heapify heappop heappush nlargest nsmallest",
    "itertools": "accumulate chain combinations groupby permutations product zip_longest",
    "math": "ceil comb factorial floor gcd log pi sqrt",
    "typing": "Any Dict List Optional Set Tuple Union",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}
_CONVERSIONS = ("list", "tuple", "set", "sorted", "str", "int", "float", "bool", "len", "abs", "sum")


def mending_edits(text: str, given: int) -> list[Edit]:
    """Mends of a program behind the offset `given`; none if it does not parse."""
    tree = syntax_tree(text)
    if tree is None:
        return []
    return [edit for edit in _Mends(text, given).edits(tree) if edit.span.start >= given]


class _Mends:
    def __init__(self, text: str, given: int) -> None:
        self._text = text
        self._given = given
        self._places = NodeSpans(text)
        self._code = read_code(text)

    def edits(self, tree: ast.Module) -> Iterator[Edit]:
        yield from self._imports(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                yield from self._missing_return(node)
                # Returns that stand one block too deep, such as inside of a loop that they end at once.
                for line in self._code.lines:
                    inside = node.lineno <= self._places.lines.line_of(line.content.start) + 1 <= (node.end_lineno or 0)
                    if inside and line.words[0] == "return" and line.level >= 2:
                        shallower = self._code.indentation(line.level - 1)
                        yield Edit(Span(line.start, line.content.start), shallower, "indentation")
            elif isinstance(node, ast.Return) and node.value is not None:
                start, end = self._places.span(node.value)
                for name in _CONVERSIONS:
                    yield Edit(Span(start, end), f"{name}({self._text[start:end]})", "conversion")
                yield Edit(Span(start, end), f"round({self._text[start:end]}, 2)", "conversion")
                yield Edit(Span(start, end), f"not ({self._text[start:end]})", "condition negated")

    def _imports(self, tree: ast.Module) -> Iterator[Edit]:
        read = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
        bound = _bound_names(tree)
        line = next((line for line in self._code.lines if line.content.start >= self._given), None)
        for name in sorted(read - bound - set(dir(builtins))):
            statement = f"import {name}" if name in _MODULES else f"from {_HOME_OF.get(name)} import {name}"
            if line is not None and (name in _MODULES or name in _HOME_OF):
                indentation = self._text[line.start : line.content.start]
                yield Edit(Span(line.start, line.start), f"{indentation}{statement}\n", "import")

    def _missing_return(self, function: ast.FunctionDef) -> Iterator[Edit]:
        last = function.body[-1]
        start, end = self._places.span(last)
        if isinstance(last, ast.Expr):
            value = last.value
            yield Edit(Span(start, start), "return ", "return")
            if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "print":
                yield Edit(Span(start, start + len("print")), "return ", "return")
        elif not isinstance(last, (ast.Return, ast.Raise)):
            indentation = self._text[self._places.lines.start(last.lineno - 1) : start]
            for result in [*sorted(_bound_names(function)), "True", "False"]:
                yield Edit(Span(end, end), f"\n{indentation}return {result}", "return")


def _bound_names(scope: ast.AST) -> set[str]:
    """Names that are assigned, taken as parameters, imported or defined."""
    names = local_names(scope)
    for node in ast.walk(scope):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node is not scope:
            names.add(node.name)
    return names


_BEAM = 10
_DEPTH = 6
_CUTS = 12
_CLOSING = (")", "]", "}", '"', "'", "))", '"""', "'''")


def syntax_mends(text: str, given: int) -> Iterator[Edit]:
    """Edits behind the offset `given` after which the program parses, those of fewer steps first.

    A beam search: each step mends the place where the parser stops; texts whose error comes later go on.
    """
    beam = [(text, "")]
    if _error_line(text) is None:
        return
    seen = {text}
    for _ in range(_DEPTH):
        following: list[tuple[int, int, str, str]] = []
        for broken, _ in beam:
            for mended, operator in _steps(broken, given):
                if mended in seen or not mended.startswith(text[:given]):
                    continue
                seen.add(mended)
                line = _error_line(mended)
                if line is None:
                    start, end, _, inserted = difference(text, mended)
                    yield Edit(Span(start, end), inserted, operator)
                else:
                    following.append((-line, len(following), mended, operator))
        beam = [(mended, operator) for _, _, mended, operator in sorted(following)[:_BEAM]]


def _steps(text: str, given: int) -> Iterator[tuple[str, str]]:
    lines = LineIndex(text)
    at = min(max((_error_line(text) or 1) - 1, 0), lines.count - 1)
    for number in {max(at - 1, 0), at}:
        content = Span(lines.start(number), lines.content_end(number))
        if content.start < given:
            continue
        for edit in _line_edits(text, content):
            yield edit.apply(text), edit.operator
    for first in range(at, max(at - _CUTS, 0), -1):
        if lines.start(first) >= given and text[given : lines.start(first)].strip():
            yield text[: lines.start(first)], "end cut off"


def _line_edits(text: str, content: Span) -> Iterator[Edit]:
    source = text[content.start : content.end]
    bare = source.strip()
    indentation = source[: len(source) - len(source.lstrip())]
    end = Span(content.end, content.end)
    yield Edit(content, "", "line dropped")
    yield Edit(content, f"# {source}", "line made a comment")
    for unit in ("    ", " "):
        yield Edit(Span(content.start, content.start), unit, "indentation")
    if indentation:
        for width in {1, min(4, len(indentation)), len(indentation)}:
            yield Edit(Span(content.start, content.start + width), "", "indentation")
    if bare and not bare.endswith(":"):
        yield Edit(end, ":", "colon added")
    for bracket in _CLOSING:
        yield Edit(end, bracket, "bracket closed")
        if bare.endswith(":"):
            yield Edit(Span(content.end - 1, content.end - 1), bracket, "bracket closed")
    if source.endswith((")", "]", "}", ",", "\\")):
        yield Edit(Span(content.end - 1, content.end), "", "bracket dropped")
    yield Edit(end, f"\n{indentation}    pass", "block filled")


def _error_line(text: str) -> int | None:
    """The line, from 1, where the parser stops; None for a program that parses."""
    try:
        ast.parse(text)
    except SyntaxError as error:
        return error.lineno or 1
    except (ValueError, RecursionError, MemoryError):
        return 1
    return None


def superseded_statements(program: str) -> int:
    """How many statements never run: behind a return, raise, break or continue, and definitions that a later one hides.

    0 for a program that does not parse.
    """
    tree = syntax_tree(program)
    if tree is None:
        return 0
    count = 0
    for block in (block for node in ast.walk(tree) for block in blocks_of(node)):
        names = [node.name for node in block if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))]
        count += len(names) - len(set(names))
        leaving = next((index for index, statement in enumerate(block) if _leaves(statement)), len(block))
        behind = (node for statement in block[leaving + 1 :] for node in ast.walk(statement))
        count += sum(isinstance(node, ast.stmt) for node in behind)
    return count


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
