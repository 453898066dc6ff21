"""How much of a program can never run: a patch may not work by cutting code off instead of replacing it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence


def superseded_statements(program: str) -> int:
    """Number of statements behind a return, raise, break or continue, and of definitions that a later one hides.

    0 for a program that does not parse.
    """
    try:
        tree = ast.parse(program)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return 0
    return sum(_cut_off(block) + _hidden(block) for block in _blocks(tree))


def _blocks(tree: ast.AST) -> Iterator[list[ast.stmt]]:
    for node in ast.walk(tree):
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if isinstance(block, list) and block:
                yield block


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
