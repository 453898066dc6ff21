"""Gives a program's own names the names that another program uses in the same roles (alpha-renaming)."""

from __future__ import annotations

import ast
import builtins
import keyword
import re
from collections import Counter
from collections.abc import Iterable, Mapping

from risk_lsp.edits.lexemes import Code, CodeLine, LineAligner, matching_words, read_code
from risk_lsp.text.structure import parses, syntax_tree

_RESERVED = frozenset(dir(builtins)) | frozenset(keyword.kwlist) | {"self", "cls", "_"}
_ANY_NAME = "$"
# Parameters are often given to the model, and callers may use their names.
_PARAMETER_VOTES = 20
_IN_BRACES = re.compile(r"\{[^{}]*\}")
_WORD = re.compile(r"(?<![\w.])[^\W\d]\w*")


def renamed_like(program: str, model: str, aligner: LineAligner, keep: Iterable[str] = ()) -> list[str]:
    """Versions of `program` with its own names changed to those of `model` that play the same roles, likeliest first.

    Roles come from an alignment of both programs in which own names are all alike: a name becomes the one that stands
    most often where it stands. In the first version no two names become one; in the second they may, for a model often
    uses a name again, and then only tests can tell whether the program still works. Only names that the program binds
    change, and those in `keep` never do. What does not parse is left out; the program itself comes last.
    """
    bound = bound_names(program) - set(keep)
    code, other = read_code(program), read_code(model)
    others = (bound_names(model) or _plain_names(other) - _RESERVED) - set(keep)
    votes = _votes(code, other, bound, others, aligner)
    most_voted: dict[str, str] = {}
    for (own, its), _ in sorted(votes.items(), key=lambda item: (-item[1], item[0][0] != item[0][1], item[0])):
        most_voted.setdefault(own, its)
    most_voted = {own: its for own, its in most_voted.items() if own != its}
    mappings = (_assignment(votes, bound, _plain_names(code)), most_voted)
    versions = [_rename(code, mapping) for mapping in mappings if mapping]
    return [*dict.fromkeys(version for version in versions if parses(version)), program]


def rename(program: str, mapping: Mapping[str, str]) -> str:
    """The program with names changed wherever they stand by themselves: not behind a dot, in a string or a comment."""
    return _rename(read_code(program), mapping)


def bound_names(program: str) -> set[str]:
    """Names that a program assigns, takes as parameters, or gives to functions; nothing if it does not parse."""
    tree = syntax_tree(program)
    if tree is None:
        return set()
    names: set[str] = set()
    imported: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            names.add(node.id)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ExceptHandler)):
            names.add(node.name or "_")
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            imported |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ClassDef):
            # Methods are reached as attributes, which are not renamed.
            imported |= {child.name for child in node.body if isinstance(child, ast.FunctionDef)} | {node.name}
    return {name for name in names - imported - {"self", "cls", "_"} if not name.startswith("__")}


def local_names(scope: ast.AST) -> set[str]:
    """Names that are assigned in a scope, or taken as parameters."""
    names = {node.arg for node in ast.walk(scope) if isinstance(node, ast.arg)}
    return names | {
        node.id for node in ast.walk(scope) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }


def _plain_names(code: Code) -> set[str]:
    """Every name and keyword that stands by itself, not behind a dot."""
    names = set()
    for line in code.lines:
        for position, lexeme in enumerate(line.lexemes):
            if lexeme.kind == "name" and not _is_attribute(line, position):
                names.add(lexeme.text)
    return names


def _votes(
    code: Code, other: Code, bound: set[str], others: set[str], aligner: LineAligner
) -> Counter[tuple[str, str]]:
    """How often each own name and each name of the other program stand at corresponding places."""
    own_lines = [_abstract(line, bound) for line in code.lines]
    other_lines = [_abstract(line, others) for line in other.lines]
    pairs, _ = aligner.align(
        [(line.level, words) for line, words in zip(code.lines, own_lines, strict=True)],
        [(line.level, words) for line, words in zip(other.lines, other_lines, strict=True)],
    )
    votes: Counter[tuple[str, str]] = Counter()
    for own, partner in pairs:
        if own is None or partner is None:
            continue
        weight = _PARAMETER_VOTES if own_lines[own][0] == "def" else 1
        for a, b in matching_words(own_lines[own], other_lines[partner]):
            if own_lines[own][a] == _ANY_NAME:
                votes[code.lines[own].lexemes[a].text, other.lines[partner].lexemes[b].text] += weight
    return votes


def _abstract(line: CodeLine, names: set[str]) -> tuple[str, ...]:
    return tuple(
        _ANY_NAME if lexeme.text in names and not _is_attribute(line, position) else lexeme.text
        for position, lexeme in enumerate(line.lexemes)
    )


def _assignment(votes: Counter[tuple[str, str]], bound: set[str], used: set[str]) -> dict[str, str]:
    """One new name per own name, most votes first; names that would clash with a new one get out of its way."""
    mapping: dict[str, str] = {}
    taken: set[str] = set()
    free = used - bound  # what the program uses but does not bind: a new name must not hide it
    for (own, other), _ in sorted(votes.items(), key=lambda item: (-item[1], item[0][0] != item[0][1], item[0])):
        if own not in mapping and other not in taken and other not in free:
            mapping[own] = other
            taken.add(other)
    for own in sorted(bound - set(mapping)):
        if own in taken:
            clashing, fresh = taken | used | set(mapping.values()), own
            while fresh in clashing:
                fresh += "_"
            mapping[own] = fresh
            taken.add(fresh)
    return {own: other for own, other in mapping.items() if own != other}


def _rename(code: Code, mapping: Mapping[str, str]) -> str:
    pieces: list[str] = []
    end = 0
    for line in code.lines:
        for position, lexeme in enumerate(line.lexemes):
            text = lexeme.text
            if lexeme.kind == "name" and text in mapping and not _is_attribute(line, position):
                text = mapping[text]
            elif lexeme.kind == "string" and "f" in text[: len(text) - len(text.lstrip("rRbBuUfF"))].lower():
                text = _IN_BRACES.sub(
                    lambda braces: _WORD.sub(lambda word: mapping.get(word[0], word[0]), braces[0]), text
                )
            pieces += [code.text[end : lexeme.span.start], text]
            end = lexeme.span.end
    return "".join([*pieces, code.text[end:]])


def _is_attribute(line: CodeLine, position: int) -> bool:
    return position > 0 and line.lexemes[position - 1].text == "."
