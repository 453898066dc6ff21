"""Edits of whole statements: guards, moves in and out of blocks, swaps, other results, and changes made everywhere."""

from __future__ import annotations

import ast
import builtins
import difflib
from collections.abc import Iterator
from itertools import combinations, pairwise

from risk_lsp.edits.renaming import local_names
from risk_lsp.edits.slips import Edit
from risk_lsp.text.document import Span
from risk_lsp.text.structure import NodeSpans

_MOST_NAMES = 8
_EMPTY_RESULTS = ("[]", "0", "None", "False", "True", '""', "-1", "1")


def statement_edits(text: str, tree: ast.Module) -> Iterator[Edit]:
    """Edits of the statements of a program that parses."""
    walker = _Statements(text)
    for node in ast.walk(tree):
        for block in blocks_of(node):
            yield from walker.block(node, block)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield from walker.guards(node)
            yield from walker.results(node)
            yield from walker.exchange_unbound(node)
            yield from walker.everywhere(node)
    yield from walker.tail(tree)


class _Statements:
    def __init__(self, text: str) -> None:
        self._text = text
        self._places = NodeSpans(text)

    def block(self, owner: ast.AST, block: list[ast.stmt]) -> Iterator[Edit]:
        """Neighbours swapped; the last statement moved out of the block, the next one moved in."""
        for first, second in pairwise(block):
            one, two = self._lines(first), self._lines(second)
            if _is_plain(first) and _is_plain(second) and one is not None and two is not None:
                between = self._text[one.end : two.start]
                swapped = self._text[two.start : two.end] + between + self._text[one.start : one.end]
                yield Edit(Span(one.start, two.end), swapped, "statements swapped")
            if isinstance(first, (ast.For, ast.While, ast.If, ast.With)) and _is_plain(second) and two is not None:
                moved_in = "".join("    " + line for line in self._text[two.start : two.end].splitlines(keepends=True))
                yield Edit(two, moved_in, "indentation")
        last = block[-1]
        place = self._lines(last)
        if len(block) > 1 and isinstance(owner, (ast.For, ast.While, ast.If, ast.With)) and place is not None:
            own = (
                " " * owner.col_offset if self._text[place.start : place.start + 1] == " " else "\t" * owner.col_offset
            )
            body = self._text[place.start : place.end].lstrip()
            if _is_plain(last):
                yield Edit(place, own + body, "indentation")
        if isinstance(owner, ast.If) and block is owner.body and owner.orelse:
            yield from self._branches(owner)

    def guards(self, function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Edit]:
        """A result given at once for an empty or small argument."""
        first = next((node for node in function.body if not _is_text(node)), None)
        place = None if first is None else self._lines(first)
        if place is None:
            return
        start = place.start
        indentation = self._text[start : start + len(self._text[start:]) - len(self._text[start:].lstrip())]
        names = [argument.arg for argument in function.args.args if argument.arg not in ("self", "cls")][:3]
        results = [*_EMPTY_RESULTS, *names]
        for name in names:
            for test in (f"not {name}", f"{name} < 2", f"{name} < 0", f"len({name}) < 2"):
                for result in results:
                    yield Edit(
                        Span(start, start), f"{indentation}if {test}:\n{indentation}    return {result}\n", "guard"
                    )
            for change in (f"{name} = abs({name})", f"{name} = str({name})", f"{name} = list({name})"):
                yield Edit(Span(start, start), f"{indentation}{change}\n", "argument converted")
            for change in (f"{name} = sorted({name})", f"{name} = {name}.lower()", f"{name} = {name}.split()"):
                yield Edit(Span(start, start), f"{indentation}{change}\n", "argument converted")

    def results(self, function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Edit]:
        """Another result, or a result at the end of a function."""
        bound = sorted({node.id for node in ast.walk(function) if isinstance(node, ast.Name)} - {function.name})
        names = [name for name in bound if not hasattr(builtins, name)]
        for node in ast.walk(function):
            if isinstance(node, ast.Return) and node.value is not None:
                span = self._places.span(node.value)
                source = self._text[span.start : span.end]
                for other in (*names[:12], "True", "False", "None", "[]", "0", "-1", '""', "1"):
                    if other != source:
                        yield Edit(span, other, "other result")
                for pattern in (
                    "len({})",
                    "{}[0]",
                    "{}[-1]",
                    "{}[::-1]",
                    "({}) + 1",
                    "({}) - 1",
                    "-({})",
                    "({}) % 2 == 0",
                ):
                    yield Edit(span, pattern.format(source), "result changed")

    def exchange_unbound(self, function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Edit]:
        """Names that nothing binds, exchanged for the nearest that something does."""
        bound = local_names(function)
        for node in ast.walk(function):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id not in bound:
                for other in difflib.get_close_matches(node.id, sorted(bound), n=3, cutoff=0.5):
                    yield Edit(self._places.span(node), other, "unbound name")

    def everywhere(self, function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Edit]:
        """One constant changed in all its places; True and False, or two names, exchanged for each other."""
        places: dict[str, list[Span]] = {}
        for node in ast.walk(function):
            value = node.value if isinstance(node, ast.Constant) else None
            is_long = isinstance(value, (str, bytes)) and len(value) > 3
            if isinstance(node, (ast.Constant, ast.Name)) and not is_long:
                span = self._places.span(node)
                places.setdefault(self._text[span.start : span.end], []).append(span)
        for source, spans in places.items():
            if len(spans) > 1:
                for other in _others_for(source):
                    yield self._replace(dict.fromkeys(spans, other), "constant everywhere")
        exchanged = [("True", "False")] if {"True", "False"} <= set(places) else []
        names = sorted({node.id for node in ast.walk(function) if isinstance(node, ast.Name)} & local_names(function))
        exchanged += combinations(names[:_MOST_NAMES], 2)
        for one, other in exchanged:
            if one in places and other in places:
                changes = dict.fromkeys(places[one], other) | dict.fromkeys(places[other], one)
                yield self._replace(changes, "names exchanged")

    def _replace(self, changes: dict[Span, str], operator: str) -> Edit:
        start, end = min(span.start for span in changes), max(span.end for span in changes)
        pieces, at = [], start
        for span in sorted(changes):
            pieces += [self._text[at : span.start], changes[span]]
            at = span.end
        return Edit(Span(start, end), "".join([*pieces, self._text[at:end]]), operator)

    def tail(self, tree: ast.Module) -> Iterator[Edit]:
        """Everything behind the last definition cut off: prints and calls that were no part of the task."""
        defined = [
            node for node in tree.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
        ]
        if defined and tree.body[-1] is not defined[-1]:
            end = self._places.span(defined[-1]).end
            yield Edit(Span(end, len(self._text)), "\n", "end cut off")

    def _branches(self, owner: ast.If) -> Iterator[Edit]:
        """The two branches of an if, swapped."""
        one, two = self._block_span(owner.body), self._block_span(owner.orelse)
        is_elif = len(owner.orelse) == 1 and isinstance(owner.orelse[0], ast.If)
        if one is not None and two is not None and not is_elif:
            between = self._text[one.end : two.start]
            swapped = self._text[two.start : two.end] + between + self._text[one.start : one.end]
            yield Edit(Span(one.start, two.end), swapped, "branches swapped")

    def _block_span(self, block: list[ast.stmt]) -> Span | None:
        first, last = self._lines(block[0]), self._lines(block[-1])
        return None if first is None or last is None else Span(first.start, last.end)

    def _lines(self, node: ast.stmt) -> Span | None:
        """The whole lines of a statement; None if it shares them with others."""
        span, lines = self._places.span(node), self._places.lines
        start = lines.start(lines.line_of(span.start))
        end = lines.content_end(lines.line_of(max(span.start, span.end - 1)))
        alone = not self._text[start : span.start].strip() and not self._text[span.end : end].strip()
        return Span(start, end) if alone else None


def blocks_of(node: ast.AST) -> Iterator[list[ast.stmt]]:
    """The lists of statements that a node holds: its body, its else and its finally."""
    for name in ("body", "orelse", "finalbody"):
        block = getattr(node, name, None)
        if isinstance(block, list) and block and isinstance(block[0], ast.stmt):
            yield block


def _is_plain(node: ast.stmt) -> bool:
    plain = (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Expr, ast.Return, ast.If, ast.Break, ast.Continue)
    return isinstance(node, plain) and not _is_text(node)


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _others_for(source: str) -> tuple[str, ...]:
    if source.isdecimal():
        return (str(int(source) + 1), str(int(source) - 1), "0", "1")
    if source[:1] in "'\"":
        return ("''", "' '") if len(source) <= 3 else ()
    return {"True": ("False",), "False": ("True",), "None": ("[]", "0", "-1")}.get(source, ())
