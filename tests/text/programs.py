"""Python programs as Hypothesis draws them, and the same program written in many ways that no test can tell apart."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st


@dataclass(frozen=True)
class Style:
    """How a program is written: what does not matter to what it does."""

    indent: str = "    "
    line_end: str = "\n"
    header: tuple[str, ...] = ()
    between: str | None = None  # a comment, or white space, on a line of its own in front of each line
    behind: str = ""  # each line
    ends: bool = True  # whether the last line has a line end


PLAIN = Style()
_HEADERS = (
    ("#!/usr/bin/env python3",),
    ("# -*- coding: utf-8 -*-",),
    ("# Copyright 2020 Somebody", "#", "# Licensed under the Apache License (the 'License');", "", ""),
)
styles = st.builds(
    Style,
    indent=st.sampled_from(["    ", "  ", "\t", " ", "        "]),
    line_end=st.sampled_from(["\n", "\r\n", "\r"]),
    header=st.sampled_from([(), *_HEADERS]),
    between=st.sampled_from([None, "", "   \t", '# why, "oddly", it\'s (so', "\f"]),
    behind=st.sampled_from(["", "  ", "\t", "  # isn't it [odd"]),
    ends=st.booleans(),
)

_NAMES = ("a", "value", "total", "rest")
_EXPRESSIONS = ("1", "a + value", "f(a, total)[0]", "'# no comment'", '{"a": 1}', "f'{a}#{total!r}'", "not rest", "'('")
_HEADS = ("if {}:", "while {}:", "for a in [{}]:", "with f({}):", "def f(a={}):", "class C(f({})):")


@dataclass(frozen=True)
class Line:
    """A line of code, so many levels deep; `open` ones go on inside of brackets."""

    level: int
    code: str
    inside: bool = False

    def text(self, style: Style) -> str:
        """The line without its end; where it goes on in brackets, white space in front of it means nothing."""
        margin = style.indent * self.level
        return f"{margin}{style.indent if self.inside else ''}{self.code}{style.behind}"


def written(lines: tuple[Line, ...], style: Style) -> str:
    """The program in a style."""
    found = list(style.header)
    for line in lines:
        found += [] if style.between is None else [style.between]
        found.append(line.text(style))
    return style.line_end.join(found) + (style.line_end if style.ends else "")


@st.composite
def programs(draw: st.DrawFn, level: int = 0) -> tuple[Line, ...]:
    """Some statements: simple ones, calls over several lines, and blocks."""
    found: list[Line] = []
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(["simple", "simple", "call", "block"] if level < 3 else ["simple"]))
        expression = draw(st.sampled_from(_EXPRESSIONS))
        if kind == "simple":
            found.append(Line(level, f"{draw(st.sampled_from(_NAMES))} = {expression}"))
        elif kind == "call":
            found += [Line(level, "f("), Line(level, f"{expression},", inside=True), Line(level, ")")]
        else:
            found.append(Line(level, draw(st.sampled_from(_HEADS)).format(expression)))
            found += draw(programs(level + 1))
    return tuple(found)
