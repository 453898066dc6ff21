"""What was asked: found in a problem, and put in front of a program as the labelled programs show it to a model."""

from __future__ import annotations

import ast
import warnings

from risk_lsp.patches.problems import Problem

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


def statement_of(problem: Problem) -> str:
    """What was asked, in words: the problem's text, or what the code of its prompt says of its last definition."""
    if problem.text:
        return problem.text.strip()
    tree = _parsed(problem.prompt)
    definitions = [node for node in tree.body if isinstance(node, _DEFINITIONS)] if tree else []
    if not definitions:
        return problem.prompt.strip()
    last = definitions[-1]
    return ast.get_docstring(last) or _comment_above(problem.prompt, last)


def _parsed(prompt: str) -> ast.Module | None:
    """The tree of a prompt that is code, whole or up to the body of its last definition."""
    for text in (prompt, f"{prompt.rstrip()}\n    pass\n"):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
    return None


def _comment_above(prompt: str, definition: ast.stmt) -> str:
    """The lines of comment that end right above a definition, without their marks."""
    found: list[str] = []
    for line in reversed(prompt.splitlines()[: definition.lineno - 1]):
        if not line.startswith("#"):
            break
        found.insert(0, line.lstrip("#").strip())
    return "\n".join(found)
