"""How far numbers move when a text changes in a way that no test could see: line ends, comments, style, names."""

from __future__ import annotations

import ast
import builtins
import io
import re
import shutil
import subprocess
import sys
import tokenize
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from risk_lsp.edits.renaming import bound_names, rename
from risk_lsp.lab.evaluation.as_met.columns import Column, Passage, passage_of
from risk_lsp.lab.evaluation.problem_bootstrap import with_interval
from risk_lsp.text.structure import syntax_tree

_COOKIE = "# -*- coding: utf-8 -*-\n"
_SHEBANG = "#!/usr/bin/env python3\n"
_HEAD = re.compile(r"(?:#!.*\n)?(?:#.*coding[:=].*\n)?")
_LICENCE = """\
# Copyright 2024 The Authors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at https://www.apache.org/licenses/LICENSE-2.0
#
# SPDX-License-Identifier: Apache-2.0

"""
_COMMENT = "# This is the next step."
_NAMES = ("value", "entry", "part", "current", "found", "number", "other", "text", "amount", "piece", "state", "step")
_STYLES = {"ruff format": (), "ruff format, 'single', 120": ("format.quote-style='single'", "line-length=120")}
_BLOCKS = (ast.For, ast.While, ast.If, ast.Return, ast.With, ast.Try)
_CLAUSE = re.compile(r"\s*(?:elif|else|except|finally)\b")  # of a statement above
_SEES_NAMES = re.compile(r"\b(?:locals|vars|eval|exec|dir)\(")


@dataclass(frozen=True)
class HarmlessChange:
    """A change by its name. `apply` gives the text after it, None where there is nothing to change.

    `keeps_lines`: line n of code is line n of code after it, whatever it says then.
    """

    name: str
    apply: Callable[[str], str | None]
    keeps_lines: bool = False


def harmless_changes() -> list[HarmlessChange]:
    """Every change; those by a formatter where one is installed. They take a text that parses and has line feeds."""
    return [
        HarmlessChange("CRLF line ends", lambda text: text.replace("\n", "\r\n")),
        HarmlessChange("tabs", lambda text: _reindent(text, "\t")),
        HarmlessChange("two spaces", lambda text: _reindent(text, "  ")),
        HarmlessChange("comment added", _with_comment),
        HarmlessChange("comments removed", _without_comments),
        HarmlessChange("blank lines", _with_blank_lines),
        HarmlessChange("licence header", lambda text: _with_header(text, _LICENCE)),
        HarmlessChange("coding cookie", lambda text: None if "coding" in text[:200] else _with_header(text, _COOKIE)),
        HarmlessChange("shebang", lambda text: None if text.startswith("#!") else _SHEBANG + text),
        HarmlessChange("logger line", _with_logger),
        HarmlessChange("local names", _with_other_names, keeps_lines=True),
        *(HarmlessChange(name, partial(_format_text, options)) for name, options in _STYLES.items() if _ruff()),
    ]


def _reindent(text: str, unit: str) -> str | None:
    """The text with another indentation; lines that begin inside of a string stay as they are."""
    if any(line.startswith("\t") for line in text.split("\n")):
        return None
    own = next((len(token.string) for token in _tokens(text) if token.type == tokenize.INDENT), 0)
    if own == 0 or unit == " " * own:
        return None
    inside = {
        line
        for token in _tokens(text)
        if token.type == tokenize.STRING or tokenize.tok_name[token.type] == "FSTRING_MIDDLE"
        for line in range(token.start[0] + 1, token.end[0] + 1)
    }
    lines = []
    for number, line in enumerate(text.split("\n"), 1):
        width = len(line) - len(line.lstrip(" "))
        lines.append(line if number in inside else unit * (width // own) + " " * (width % own) + line[width:])
    return "\n".join(lines)


def _with_comment(text: str) -> str | None:
    """The text with a line of comment before the statement in the middle."""
    places = _statement_lines(text, ast.stmt)
    return _insert_lines(text, [places[len(places) // 2]], _COMMENT) if places else None


def _with_blank_lines(text: str) -> str | None:
    """The text with a blank line before each statement that branches, repeats or returns."""
    places = _statement_lines(text, *_BLOCKS)
    return _insert_lines(text, places, "") if places else None


def _without_comments(text: str) -> str | None:
    comments = [token for token in _tokens(text) if token.type == tokenize.COMMENT]
    lines: list[str | None] = list(text.split("\n"))
    for token in comments:
        number, column = token.start
        before = token.line[:column]
        lines[number - 1] = before.rstrip() if before.strip() else None
    return "\n".join(line for line in lines if line is not None) if comments else None


def _with_header(text: str, header: str) -> str:
    """The text with lines behind the shebang and the cookie."""
    head = _HEAD.match(text)
    place = head.end() if head else 0
    return text[:place] + header + text[place:]


def _with_logger(text: str) -> str | None:
    """The text with a logger, and a line in the first function that tells it of the call."""
    tree = syntax_tree(text)
    if tree is None or "logger" in text or "logging" in text:
        return None
    function = next((node for node in tree.body if isinstance(node, ast.FunctionDef)), None)
    if function is None:
        return None
    first = next((each for each in function.body if not _is_string(each)), None)
    top = next(
        (
            each
            for each in tree.body
            if not _is_string(each) and not (isinstance(each, ast.ImportFrom) and each.module == "__future__")
        ),
        function,
    )
    lines = text.split("\n")
    if first is None or lines[first.lineno - 1][: first.col_offset].strip():
        return None
    lines.insert(first.lineno - 1, " " * first.col_offset + f'logger.debug("{function.name}")')
    above = min([top.lineno, *(each.lineno for each in getattr(top, "decorator_list", ()))])
    lines[above - 1 : above - 1] = ["import logging", "", "logger = logging.getLogger(__name__)", ""]
    return "\n".join(lines)


def _with_other_names(text: str) -> str | None:
    """The text with other names for variables that only one function's inside knows."""
    tree = syntax_tree(text)
    if tree is None or _SEES_NAMES.search(text):
        return None
    names = sorted(bound_names(text) & _local_names(tree))
    fresh = [name for name in (*_NAMES, *(f"{name}_{n}" for n in range(2, 20) for name in _NAMES)) if name not in text]
    mapping = dict(zip(names, fresh, strict=False))
    if not mapping:
        return None
    renamed = syntax_tree(changed := rename(text, mapping))
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            node.id = mapping.get(node.id, node.id)
    # A name may stand where only the grammar tells that it is none, such as behind a dot on the line above.
    return changed if renamed is not None and ast.dump(renamed) == ast.dump(tree) else None


def _local_names(tree: ast.Module) -> set[str]:
    """Names that are assigned inside of functions alone, and that stand nowhere else."""
    functions = [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    inside = {id(node) for function in functions for part in function.body for node in ast.walk(part)}
    local: set[str] = set()
    elsewhere: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and id(node) in inside:
            local.add(node.id)
        elif isinstance(node, ast.Name) and id(node) not in inside:
            elsewhere.add(node.id)
        elif isinstance(node, (ast.arg, ast.keyword)):
            elsewhere.add(node.arg or "")
        elif isinstance(node, (ast.Global, ast.Nonlocal)):
            elsewhere.update(node.names)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            elsewhere.add(node.name)
            if isinstance(node, ast.ClassDef):  # what its body assigns is an attribute
                elsewhere.update(each.id for part in node.body for each in ast.walk(part) if isinstance(each, ast.Name))
    return local - elsewhere - set(dir(builtins))


def _format_text(options: tuple[str, ...], text: str) -> str | None:
    command = [str(_ruff()), "format", "--isolated", *(f"--config={option}" for option in options), "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, encoding="utf-8", check=False)
    return done.stdout if done.returncode == 0 and done.stdout != text else None


def _ruff() -> Path | None:
    beside = shutil.which("ruff", path=str(Path(sys.executable).parent)) or shutil.which("ruff")
    return Path(beside) if beside else None


def _statement_lines(text: str, *kinds: type[ast.stmt]) -> list[int]:
    """Line indices, from 0, where a statement of a kind begins inside of a block and nothing stands before it."""
    tree = syntax_tree(text)
    lines = text.split("\n")
    found = {
        node.lineno - 1
        for node in (ast.walk(tree) if tree else ())
        if isinstance(node, kinds)
        and node.col_offset > 0
        and not _is_string(node)
        and not hasattr(node, "decorator_list")
    }
    inside = [line for line in found if lines[line].startswith((" ", "\t"))]
    return sorted(line for line in inside if not _CLAUSE.match(lines[line]))


def _insert_lines(text: str, places: list[int], inserted: str) -> str:
    """The text with a line before each of these lines, indented as they are; an empty line is not indented."""
    lines = text.split("\n")
    for place in sorted(places, reverse=True):
        indentation = lines[place][: len(lines[place]) - len(lines[place].lstrip())]
        lines.insert(place, indentation + inserted if inserted else "")
    return "\n".join(lines)


def _is_string(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _tokens(text: str) -> Iterator[tokenize.TokenInfo]:
    return tokenize.generate_tokens(io.StringIO(text).readline)


_LEAST = 1e-6  # probabilities are kept this far from 0 and 1 before their log-odds are taken
Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class ChangedPair:
    """A text before and after a change; `lines` int64[n, 2] are lines that both hold, by their places in each."""

    text: int
    change: str
    before: Passage
    after: Passage
    lines: Indices


def changed_pairs(texts: Sequence[str]) -> list[ChangedPair]:
    """Each text with each harmless change that it admits; texts that do not parse have none."""
    changes = harmless_changes()
    found = []
    for number, text in enumerate(texts):
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        if syntax_tree(text) is None:
            continue
        before = passage_of(text)
        for change in changes:
            changed = change.apply(text)
            if changed is not None and changed != text:
                after = passage_of(changed)
                lines = _same_lines(before, after, keeps_lines=change.keeps_lines)
                found.append(ChangedPair(number, change.name, before, after, lines))
    return found


def measure_invariance(
    pairs: Sequence[ChangedPair], kinds: Sequence[str], columns: Sequence[Column], resamples: int
) -> dict[str, dict[str, Any]]:
    """How far log-odds move, by column, and there for all pairs, by kind of text, and by change.

    kinds: the kind of each text. "document_mean" and "document_p95" are the mean and 95th percentile of |change| of
    whole texts, "line_mean" and "line_p95" of their lines, each [estimate, low, high] over texts. Columns that give no
    level are left out.
    """
    rows = {"all": np.ones(len(pairs), dtype=np.bool_)}
    rows |= {kind: np.array([kinds[pair.text] == kind for pair in pairs]) for kind in sorted(set(kinds))}
    rows |= {
        name: np.array([pair.change == name for pair in pairs]) for name in dict.fromkeys(pair.change for pair in pairs)
    }
    found: dict[str, dict[str, Any]] = {}
    for column in columns:
        if column.is_level:
            documents, lines = _moves(pairs, column)
            found[column.name] = {
                row: _measures(
                    [pairs[n].text for n in chosen], documents[chosen], [lines[n] for n in chosen], resamples
                )
                for row, kept in rows.items()
                if (chosen := np.flatnonzero(kept).tolist())
            }
    return found


def _moves(pairs: Sequence[ChangedPair], column: Column) -> tuple[Floats, list[Floats]]:
    """|change of log-odds| of each pair's text float64[pairs], and of each of its lines."""
    passages = {pair.text: pair.before for pair in pairs}
    before = dict(zip(passages, column.answers(list(passages.values())), strict=True))
    after = column.answers([pair.after for pair in pairs])
    documents = np.array(
        [abs(_logit(own.whole) - _logit(before[pair.text].whole)) for pair, own in zip(pairs, after, strict=True)]
    )
    lines = [
        np.abs(_logit(own.lines[pair.lines[:, 1]]) - _logit(before[pair.text].lines[pair.lines[:, 0]]))
        for pair, own in zip(pairs, after, strict=True)
    ]
    return documents, lines


def _measures(
    texts: Sequence[int], documents: Floats, lines: Sequence[Floats], resamples: int
) -> dict[str, list[float | None]]:
    """The measures of some pairs; a resample draws texts, each with all pairs that were made of it."""
    _, owners = np.unique(texts, return_inverse=True)
    by_text = [np.flatnonzero(owners == text).tolist() for text in range(owners.max() + 1)]
    whole = [documents[each] for each in by_text]
    parts = [np.concatenate([lines[pair] for pair in each]) for each in by_text]
    found = {}
    for name, values in (("document", whole), ("line", parts)):
        for kind, statistic in (("mean", np.mean), ("p95", partial(np.quantile, q=0.95))):
            found[f"{name}_{kind}"] = with_interval(len(by_text), partial(_pool, values, statistic), resamples)
    return found


def _pool(values: Sequence[Floats], statistic: Callable[[Floats], Any], drawn: Indices) -> float:
    """The statistic of the drawn texts' values together; NaN where they have none."""
    pooled = np.concatenate([values[text] for text in drawn])
    return float(statistic(pooled)) if len(pooled) else float("nan")


def _same_lines(before: Passage, after: Passage, *, keeps_lines: bool) -> Indices:
    """Places int64[n, 2] of the lines that both texts hold: all lines where the change keeps them and their number."""
    if keeps_lines and len(before.lines) == len(after.lines):
        return np.stack([np.arange(len(before.lines))] * 2, axis=1)
    first, second = ([passage.text[start:end] for start, end in passage.lines.tolist()] for passage in (before, after))
    same = SequenceMatcher(None, first, second, autojunk=False).get_matching_blocks()
    pairs = [(block.a + offset, block.b + offset) for block in same for offset in range(block.size)]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def _logit(probabilities: Any) -> Any:
    clipped = np.clip(probabilities, _LEAST, 1.0 - _LEAST)
    return np.log(clipped) - np.log1p(-clipped)
