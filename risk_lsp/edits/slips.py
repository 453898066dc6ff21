"""Small edits of a Python program: what a slip of the pen changes, and what mends one.

The same operators make bugs (training) and search for fixes (patches, repair). An edit is a span and what replaces it.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable, Iterator
from itertools import pairwise, permutations
from typing import NamedTuple

from risk_lsp.edits.renaming import local_names
from risk_lsp.text.document import Span
from risk_lsp.text.structure import NodeSpans, syntax_tree


class Edit(NamedTuple):
    """Replace `span` by `replacement`. `operator` names the kind of change."""

    span: Span
    replacement: str
    operator: str

    def apply(self, text: str) -> str:
        """The text after the edit."""
        return text[: self.span.start] + self.replacement + text[self.span.end :]


# Each operator: how it is written, and what a slip of the pen makes of it.
COMPARISONS: dict[type[ast.cmpop], tuple[str, tuple[str, ...]]] = {
    ast.Lt: ("<", ("<=", ">")),
    ast.LtE: ("<=", ("<", ">=")),
    ast.Gt: (">", (">=", "<")),
    ast.GtE: (">=", (">", "<=")),
    ast.Eq: ("==", ("!=",)),
    ast.NotEq: ("!=", ("==",)),
    ast.In: ("in", ("not in",)),
    ast.NotIn: ("not in", ("in",)),
    ast.Is: ("is", ("is not",)),
    ast.IsNot: ("is not", ("is",)),
}
ARITHMETIC: dict[type[ast.operator], tuple[str, tuple[str, ...]]] = {
    ast.Add: ("+", ("-",)),
    ast.Sub: ("-", ("+",)),
    ast.Mult: ("*", ("+", "**")),
    ast.Div: ("/", ("//", "*")),
    ast.FloorDiv: ("//", ("/", "%")),
    ast.Mod: ("%", ("//",)),
    ast.Pow: ("**", ("*",)),
    ast.BitAnd: ("&", ("|",)),
    ast.BitOr: ("|", ("&",)),
    ast.BitXor: ("^", ("|",)),
    ast.LShift: ("<<", (">>",)),
    ast.RShift: (">>", ("<<",)),
}
_PAIRS = ("min max", "any all", "append extend", "lower upper", "isupper islower", "floor ceil")
_TWINS = {name: twin for pair in _PAIRS for name, twin in permutations(pair.split())}
_BUILTINS = frozenset(dir(builtins))


def small_edits(text: str, within: Span | None = None) -> list[Edit]:
    """Every small edit of a program, in the order of its text; only those inside `within`, if it is given.

    Operators: comparison, arithmetic and boolean operators, constants (+-1, True/False, empty string), conditions
    negated or un-negated, names exchanged for others of the same function, argument order, twins such as min/max, range
    and subscript bounds +-1, a return value dropped, a statement deleted or doubled. A program that does not parse has
    no edits.
    """
    tree = syntax_tree(text)
    if tree is None:
        return []
    walker = _Walker(text)
    found = list(walker.edits(tree))
    if within is not None:
        found = [edit for edit in found if within.start <= edit.span.start and edit.span.end <= within.end]
    return sorted(set(found))


def operator_edits(
    places: NodeSpans, left: ast.expr, right: ast.expr, sign: str, others: Iterable[str], name: str
) -> Iterator[Edit]:
    """The operator `sign` between two nodes exchanged for each of `others`, past brackets that close or open there.

    None where it cannot be told which characters are the operator's. name: of the edits' kind.
    """
    start, end = places.span(left).end, places.span(right).start
    gap = places.text[start:end]
    if gap.count(sign) != 1 or "#" in gap:
        return
    at = start + gap.index(sign)
    for other in others:
        yield Edit(Span(at, at + len(sign)), other, name)


class _Walker:
    """Walks one program; knows where its nodes stand in code points."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._places = NodeSpans(text)
        self._span = self._places.span

    def edits(self, tree: ast.Module) -> Iterator[Edit]:
        for scope in [
            tree,
            *(node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))),
        ]:
            # Names read in a scope, each exchanged for every other local name of it.
            local = sorted(local_names(scope) - _BUILTINS - {"self", "cls", "_"})
            for read in ast.walk(scope):
                if isinstance(read, ast.Name) and isinstance(read.ctx, ast.Load) and read.id in local:
                    span = self._span(read)
                    yield from (Edit(span, other, "name") for other in local if other != read.id)
        # The statements that are nothing but a string, and those strings.
        docstrings: set[ast.AST] = set()
        for statement in ast.walk(tree):
            value = statement.value if isinstance(statement, ast.Expr) else None
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                docstrings |= {statement, value}
        for node in ast.walk(tree):
            if node in docstrings:
                continue
            if isinstance(node, ast.expr):
                yield from self._expression(node)
            elif isinstance(node, ast.stmt):
                yield from self._statement(node)

    def _expression(self, node: ast.expr) -> Iterator[Edit]:
        if isinstance(node, ast.Compare):
            for (left, right), operator in zip(pairwise([node.left, *node.comparators]), node.ops, strict=True):
                sign, others = COMPARISONS[type(operator)]
                yield from operator_edits(self._places, left, right, sign, others, "comparison operator")
        elif isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC:
            sign, others = ARITHMETIC[type(node.op)]
            yield from operator_edits(self._places, node.left, node.right, sign, others, "arithmetic operator")
        elif isinstance(node, ast.BoolOp):
            sign, other = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
            for left, right in pairwise(node.values):
                yield from operator_edits(self._places, left, right, sign, (other,), "boolean operator")
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.Not, ast.USub)):
            yield Edit(Span(self._span(node).start, self._span(node.operand).start), "", "sign or negation dropped")
        elif isinstance(node, ast.Constant):
            value = node.value
            others = ()
            if isinstance(value, bool):
                others = (str(not value),)
            elif isinstance(value, int) and abs(value) < 10**6:
                others = tuple(str(other) for other in {value + 1, value - 1, 0, 1, 2} - {value})
            elif value in ("", " "):
                others = ('" "' if value == "" else '""',)
            yield from (Edit(self._span(node), other, "constant") for other in others)
        elif isinstance(node, ast.Call):
            yield from self._call(node)
        elif isinstance(node, ast.Attribute) and node.attr in _TWINS:
            end = self._span(node).end
            yield Edit(Span(end - len(node.attr), end), _TWINS[node.attr], "twin")
        elif isinstance(node, ast.Name) and node.id in _TWINS:
            yield Edit(self._span(node), _TWINS[node.id], "twin")
        elif isinstance(node, ast.Subscript):
            if isinstance(node.slice, ast.Slice):
                for bound in (node.slice.lower, node.slice.upper):
                    if bound is not None:
                        yield from self._shift(bound)
            elif not isinstance(node.slice, (ast.Tuple, ast.Constant)):
                yield from self._shift(node.slice)

    def _statement(self, node: ast.stmt) -> Iterator[Edit]:
        if isinstance(node, (ast.If, ast.While)):
            span, test = self._span(node.test), node.test
            is_negated = isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)
            if not is_negated:
                yield Edit(span, f"not ({self._source(span)})", "condition negated")
        if isinstance(node, ast.Return) and node.value is not None:
            yield Edit(self._span(node.value), "None", "return value dropped")
        if isinstance(node, ast.AugAssign) and type(node.op) in ARITHMETIC:
            sign, others = ARITHMETIC[type(node.op)]
            yield from operator_edits(
                self._places, node.target, node.value, f"{sign}=", tuple(f"{o}=" for o in others), "arithmetic operator"
            )
            yield from operator_edits(self._places, node.target, node.value, f"{sign}=", ("=",), "accumulation dropped")
        if isinstance(node, (ast.Assign, ast.AugAssign, ast.Expr, ast.Break, ast.Continue, ast.Return)):
            yield from self._delete(node)

    def _call(self, node: ast.Call) -> Iterator[Edit]:
        for left, right in pairwise(node.args):
            if not isinstance(left, ast.Starred) and not isinstance(right, ast.Starred):
                first, second = self._span(left), self._span(right)
                swapped = self._source(second) + self._text[first.end : second.start] + self._source(first)
                yield Edit(Span(first.start, second.end), swapped, "argument order")
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name == "range":
            for argument in node.args[:2]:
                yield from self._shift(argument)
        if name in ("sorted", "set", "list", "abs", "int") and len(node.args) == 1:
            yield Edit(self._span(node), self._source(self._span(node.args[0])), "call dropped")

    def _shift(self, node: ast.expr) -> Iterator[Edit]:
        if isinstance(node, ast.Constant):
            return
        span = self._span(node)
        yield Edit(Span(span.end, span.end), " + 1", "bound shifted")
        yield Edit(Span(span.end, span.end), " - 1", "bound shifted")
        if isinstance(node, ast.BinOp) and isinstance(node.right, ast.Constant) and node.right.value == 1:
            yield Edit(Span(self._span(node.left).end, span.end), "", "bound shifted")

    def _delete(self, node: ast.stmt) -> Iterator[Edit]:
        span, lines = self._span(node), self._places.lines
        start = lines.start(lines.line_of(span.start))
        end = lines.content_end(lines.line_of(max(span.start, span.end - 1)))
        if self._text[start : span.start].strip() or self._text[span.end : end].strip():
            return  # not alone on its lines
        yield Edit(span, "pass", "statement deleted")
        if isinstance(node, (ast.AugAssign, ast.Expr)):
            indentation = self._text[start : span.start]
            yield Edit(Span(span.end, span.end), f"\n{indentation}{self._source(span)}", "statement doubled")

    def _source(self, span: Span) -> str:
        return self._text[span.start : span.end]
