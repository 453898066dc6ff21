"""Edits of expressions beyond slips of the pen: parts dropped, wrapped, swapped, or exchanged for other parts.

There are many more of them than of `slips.small_edits`, so whoever tries them needs a good order.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import pairwise

from risk_lsp.edits.slips import ARITHMETIC, COMPARISONS, Edit, operator_edits
from risk_lsp.text.document import Span
from risk_lsp.text.structure import NodeSpans

_ORDERS = ("<", "<=", ">", ">=", "==", "!=")
_ARITHMETIC_SIGNS = ("+", "-", "*", "/", "//", "%", "**")
_ORDERED_OPERATORS = (ast.Sub, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow)
_WRAPPERS = ("abs", "len", "set", "sorted", "list", "int", "str", "float", "sum", "max", "min", "tuple", "reversed")
_SUFFIXES = (".lower()", ".upper()", ".strip()", ".split()", ".copy()", "[::-1]", "[1:]", "[:-1]", "[0]", "[-1]")
_SHIFTS = (" + 1", " - 1", " * 2", " // 2")
_METHOD_FAMILIES = (
    ("lower", "upper", "swapcase", "capitalize", "title", "casefold"),
    ("isupper", "islower", "isalpha", "isdigit", "isalnum", "isspace", "isnumeric", "istitle"),
    ("startswith", "endswith"),
    ("index", "find", "rindex", "rfind", "count"),
    ("strip", "lstrip", "rstrip"),
    ("append", "extend", "add", "insert"),
    ("union", "intersection", "difference", "symmetric_difference"),
    ("keys", "values", "items"),
    ("split", "splitlines", "rsplit"),
    ("floor", "ceil", "sqrt", "gcd"),
    ("search", "match", "fullmatch", "findall"),
)
_FUNCTION_FAMILIES = (
    ("min", "max", "sum", "len", "sorted"),
    ("any", "all"),
    ("int", "round", "abs", "float", "str"),
    ("list", "set", "sorted", "tuple"),
    ("ord", "chr"),
)
_FAMILY_OF = {name: family for family in (*_METHOD_FAMILIES, *_FUNCTION_FAMILIES) for name in family}
_NO_VALUES = ("annotation", "returns", "decorator_list", "bases")
_LONGEST_DONOR = 24
_MOST_DONORS = 24


def surgical_edits(text: str, tree: ast.Module) -> Iterator[Edit]:
    """Edits of the expressions of a program, `tree` being what `ast.parse` made of `text`; some may come twice."""
    functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    surgeon = _Surgeon(text, functions)
    for scope in tree.body:
        donors = surgeon.donors(scope)
        for parent in ast.walk(scope):
            for role, value in ast.iter_fields(parent):
                for node in value if isinstance(value, list) else [value]:
                    if isinstance(node, ast.expr) and role not in _NO_VALUES:
                        yield from surgeon.edits(parent, node, donors)


class _Surgeon:
    def __init__(self, text: str, functions: set[str]) -> None:
        self._places = NodeSpans(text)
        self._text = text
        self._functions = sorted(functions)[:6]

    def donors(self, scope: ast.AST) -> list[str]:
        """Short expressions of a scope that others may be exchanged for, the most frequent first."""
        counts: dict[str, int] = {}
        for node in ast.walk(scope):
            if isinstance(node, (ast.Name, ast.Attribute, ast.Call, ast.Subscript, ast.Constant)):
                if isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
                    source = self._places.source(node)
                    if len(source) <= _LONGEST_DONOR and "\n" not in source:
                        counts[source] = counts.get(source, 0) + 1
            elif isinstance(node, ast.arg):
                counts[node.arg] = counts.get(node.arg, 0) + 1
                counts[f"len({node.arg})"] = counts.get(f"len({node.arg})", 0) + 1
        return sorted(counts, key=lambda source: -counts[source])[:_MOST_DONORS]

    def edits(self, parent: ast.AST, node: ast.expr, donors: list[str]) -> Iterator[Edit]:
        is_written = isinstance(getattr(node, "ctx", None), (ast.Store, ast.Del))
        is_docstring = isinstance(parent, ast.Expr) and isinstance(node, ast.Constant)
        if is_written or is_docstring:
            return
        yield from self._reduce(node)
        yield from self._rearrange(node)
        yield from self._operators(node)
        yield from self._names(parent, node)
        if _is_operand(parent, node):
            yield from self._grow(parent, node)
            # An operand exchanged for another expression of the program.
            span, source = self._places.span(node), self._places.source(node)
            if len(source) <= 2 * _LONGEST_DONOR:
                yield from (Edit(span, donor, "expression exchanged") for donor in donors if donor != source)

    def _reduce(self, node: ast.expr) -> Iterator[Edit]:
        """A part stands for the whole."""
        span = self._places.span(node)
        parts: list[tuple[ast.expr, str]] = []
        if isinstance(node, ast.BinOp):
            parts = [(node.left, "operand dropped"), (node.right, "operand dropped")]
            # An operand inside of a chain left out: (a + b) * c becomes a * c.
            for side in (node.left, node.right):
                if isinstance(side, ast.BinOp):
                    for kept in (side.left, side.right):
                        yield Edit(self._places.span(side), self._bracket(kept), "operand dropped")
        elif isinstance(node, ast.BoolOp):
            yield from self._clauses(node)
        elif isinstance(node, ast.IfExp):
            parts = [(node.body, "branch kept"), (node.orelse, "branch kept")]
        elif isinstance(node, ast.Call):
            parts = [(argument, "call dropped") for argument in node.args[:2] if not isinstance(argument, ast.Starred)]
            if isinstance(node.func, ast.Attribute):
                parts.append((node.func.value, "call dropped"))
        elif isinstance(node, ast.Subscript):
            parts = [(node.value, "subscript dropped")]
        elif isinstance(node, ast.UnaryOp):
            parts = [(node.operand, "sign or negation dropped")]
        for part, operator in parts:
            yield Edit(span, self._bracket(part), operator)
        if isinstance(node, (ast.ListComp, ast.GeneratorExp, ast.SetComp)):
            for generator in node.generators:
                for condition in generator.ifs:
                    place = self._places.span(condition)
                    start = self._text.rfind("if", 0, place.start)
                    yield Edit(Span(start, place.end), "", "filter dropped")

    def _clauses(self, node: ast.BoolOp) -> Iterator[Edit]:
        """A clause of and, or, left out or negated; every and of a chain an or, or the other way round."""
        values = node.values
        other = "or" if isinstance(node.op, ast.And) else "and"
        if len(values) > 2:
            pieces = [self._places.source(value) for value in values]
            yield Edit(self._places.span(node), f" {other} ".join(pieces), "boolean operator")
        for first, second in pairwise(values):
            one, two = self._places.span(first), self._places.span(second)
            gap = self._text[one.end : two.start]
            if "(" not in gap and ")" not in gap:
                yield Edit(Span(one.end, two.end), "", "clause dropped")
                yield Edit(Span(one.start, two.start), "", "clause dropped")
        for value in values:
            yield Edit(self._places.span(value), f"not ({self._places.source(value)})", "condition negated")

    def _rearrange(self, node: ast.expr) -> Iterator[Edit]:
        pairs: list[tuple[ast.expr, ast.expr]] = []
        if isinstance(node, ast.BinOp) and isinstance(node.op, _ORDERED_OPERATORS):
            pairs = [(node.left, node.right)]
        elif isinstance(node, ast.Compare) and len(node.ops) == 1:
            pairs = [(node.left, node.comparators[0])]
            yield from self._both_sides(node.left, node.comparators[0])
        elif isinstance(node, ast.IfExp):
            pairs = [(node.body, node.orelse)]
        elif isinstance(node, (ast.Tuple, ast.List)) and len(node.elts) <= 4:
            pairs = list(pairwise(node.elts))
        for first, second in pairs:
            one, two = self._places.span(first), self._places.span(second)
            if one.end <= two.start and self._text[one.start : one.end] != self._text[two.start : two.end]:
                swapped = self._bracket(second) + self._text[one.end : two.start] + self._bracket(first)
                yield Edit(Span(one.start, two.end), swapped, "operands swapped")

    def _both_sides(self, left: ast.expr, right: ast.expr) -> Iterator[Edit]:
        """The same call around both sides of a comparison."""
        one, two = self._places.span(left), self._places.span(right)
        if one.end <= two.start:
            between = self._text[one.end : two.start]
            for wrapper in ("set", "sorted", "len", "str", "int", "abs", "sum", "list"):
                both = f"{wrapper}({self._places.source(left)}){between}{wrapper}({self._places.source(right)})"
                yield Edit(Span(one.start, two.end), both, "call added on both sides")
            both = f"{self._bracket(left)}.lower(){between}{self._bracket(right)}.lower()"
            yield Edit(Span(one.start, two.end), both, "call added on both sides")

    def _operators(self, node: ast.expr) -> Iterator[Edit]:
        """An operator exchanged for any other of its kind."""
        if isinstance(node, ast.Compare):
            for (left, right), kind in zip(pairwise([node.left, *node.comparators]), node.ops, strict=True):
                sign, _ = COMPARISONS[type(kind)]
                if sign in _ORDERS:
                    others = [other for other in _ORDERS if other != sign]
                    yield from operator_edits(self._places, left, right, sign, others, "comparison operator")
        elif isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC:
            sign, _ = ARITHMETIC[type(node.op)]
            if sign in _ARITHMETIC_SIGNS:
                others = [other for other in _ARITHMETIC_SIGNS if other != sign]
                yield from operator_edits(self._places, node.left, node.right, sign, others, "arithmetic operator")

    def _names(self, parent: ast.AST, node: ast.expr) -> Iterator[Edit]:
        """A function or method exchanged for one of its family; keywords of a call; texts."""
        span = self._places.span(node)
        if isinstance(node, ast.Attribute) and node.attr in _FAMILY_OF:
            place = Span(span.end - len(node.attr), span.end)
            yield from (
                Edit(place, other, "function exchanged") for other in _FAMILY_OF[node.attr] if other != node.attr
            )
        elif isinstance(node, ast.Name) and node.id in _FAMILY_OF:
            yield from (Edit(span, other, "function exchanged") for other in _FAMILY_OF[node.id] if other != node.id)
        elif isinstance(node, ast.Call):
            yield from self._keywords(node)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from self._texts(node.value, span)

    def _keywords(self, node: ast.Call) -> Iterator[Edit]:
        span = self._places.span(node)
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        given = {keyword.arg for keyword in node.keywords}
        if name in ("sorted", "sort") and "reverse" not in given:
            comma = ", " if node.args or node.keywords else ""
            yield Edit(Span(span.end - 1, span.end - 1), f"{comma}reverse=True", "keyword added")
        if name in ("sorted", "sort", "min", "max") and "key" not in given and (node.args or name == "sort"):
            comma = ", " if node.args or node.keywords else ""
            for key in ("len", "str", "abs", "int"):
                yield Edit(Span(span.end - 1, span.end - 1), f"{comma}key={key}", "keyword added")
        if name in ("min", "max") and len(node.args) == 1 and "default" not in given:
            for default in ("0", "None", "-1"):
                yield Edit(Span(span.end - 1, span.end - 1), f", default={default}", "keyword added")
        for keyword in node.keywords:
            place = self._places.span(keyword.value)
            start = self._text.rfind(keyword.arg or "**", 0, place.start)
            before = self._text.rfind(",", span.start, start)
            if before >= 0 and not self._text[before + 1 : start].strip():
                start = before
            yield Edit(Span(start, place.end), "", "keyword dropped")

    def _texts(self, value: str, span: Span) -> Iterator[Edit]:
        source = self._text[span.start : span.end]
        if source[:1] not in "'\"" or source[:3] in ("'''", '"""') or "\\" in source:
            return
        quote, inner = source[0], source[1:-1]
        others = {value.lower(), value.upper(), value.swapcase(), value.strip(), f"{value} ", f" {value}"}
        if len(value) <= 1:
            others |= {"", " ", ",", ", ", "-", "_", ".", "0", "1", *_BRACKETS.get(value, "")}
        else:
            others |= {value[1:], value[:-1], value.capitalize(), value[::-1]}
        for other in sorted(others - {inner}):
            yield Edit(span, f"{quote}{other}{quote}", "text")

    def _grow(self, parent: ast.AST, node: ast.expr) -> Iterator[Edit]:
        """A call around an operand, a method or a subscript behind it, or one more or less."""
        span, source = self._places.span(node), self._bracket(node)
        bare = self._places.source(node)
        inside_call = isinstance(parent, ast.Call) and isinstance(parent.func, ast.Name) and parent.func.id
        for wrapper in (*_WRAPPERS, *self._functions):
            if inside_call != wrapper or wrapper in self._functions:
                yield Edit(span, f"{wrapper}({bare})", "call added")
        if isinstance(node, (ast.Name, ast.Call, ast.Subscript, ast.Attribute)):
            for suffix in _SUFFIXES:
                yield Edit(Span(span.end, span.end), suffix, "suffix added")
        if not isinstance(node, ast.Constant) or isinstance(node.value, (int, float)):
            for shift in _SHIFTS:
                changed = f"{source}{shift}"
                yield Edit(span, f"({changed})" if isinstance(parent, (ast.BinOp, ast.UnaryOp)) else changed, "shifted")
        if isinstance(node, (ast.Name, ast.Call, ast.Subscript)):
            yield Edit(span, f"-{source}", "negated")

    def _bracket(self, node: ast.expr) -> str:
        source = self._places.source(node)
        simple = (ast.Name, ast.Call, ast.Attribute, ast.Subscript, ast.Constant, ast.List, ast.Dict, ast.Set)
        return source if isinstance(node, (*simple, ast.ListComp)) else f"({source})"


_BRACKETS = {"(": ")[{", ")": "(]}", "[": "](", "]": "[)", "{": "}(", "}": "{)", "<": ">(", ">": "<)"}


def _is_operand(parent: ast.AST, node: ast.expr) -> bool:
    """Whether an expression stands where a value is read, and is not merely the name of what is called."""
    if isinstance(node, (ast.Starred, ast.Slice, ast.Lambda, ast.JoinedStr, ast.FormattedValue)):
        return False
    if isinstance(parent, (ast.Call, ast.Attribute)) and node is getattr(
        parent, "func", getattr(parent, "value", None)
    ):
        return False
    return not isinstance(parent, (ast.Expr, ast.JoinedStr, ast.FormattedValue))
