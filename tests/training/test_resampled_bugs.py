"""Bugs that the code model makes: what it writes anew, where, and how that is labelled."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_lsp.model.code_model import CodeModel
from risk_lsp.probe.locate import default_bundle_path
from risk_lsp.text.spans import Span
from risk_lsp.training.labelled import LabelledProgram
from risk_lsp.training.resampled_bugs import with_resampled_bugs
from risk_lsp.training.resampled_spans import Hole, end_of, hole_in
from tests.model.conftest import save_family
from tests.training.makers import program

HEAD = '"""Add up what is asked."""\n'
TEXT = f"""\
{HEAD}def total(values, start=0):
    \"\"\"The sum.\"\"\"
    result = start  # of all
    for value in values:
        if value is not None:
            result += value
    return result
"""


def programs(count: int) -> list[LabelledProgram]:
    """Passing programs of several problems; one that failed among them."""
    texts = [TEXT.replace("total", f"total_{index}") for index in range(count)]
    passing = [
        program(text, scored=(len(HEAD), len(text)), group=f"toy/{index % 3}", id=str(index))
        for index, text in enumerate(texts)
    ]
    return [program("def f():\n    return 0\n", edited=[(20, 21)], id="failed"), *passing]


@pytest.fixture(scope="module")
def model() -> CodeModel:
    return CodeModel.load(default_bundle_path() / "model", threads=1)


@pytest.fixture(scope="module")
def bugs(model: CodeModel) -> list[LabelledProgram]:
    return with_resampled_bugs(model, programs(9), 9, seed=1)


def test_each_is_a_passing_program_with_one_part_written_anew(bugs: list[LabelledProgram]) -> None:
    known = {original.id: original for original in programs(9)}

    assert len(bugs) >= 6
    for bug in bugs:
        original = known[bug.id.split("+")[0]]
        assert original.passed and not bug.passed
        assert bug.text != original.text
        assert (bug.group, bug.benchmark) == (original.group, original.benchmark)
        compile(bug.text, "bug.py", "exec")


def test_labels_are_what_differs_and_lie_in_what_a_model_wrote(bugs: list[LabelledProgram]) -> None:
    for bug in bugs:
        assert bug.edited
        assert all(bug.scored.start <= span.start < span.end <= bug.scored.end for span in bug.edited)
        assert bug.text[: bug.scored.start] == HEAD
        touched = sum(span.end - span.start for span in bug.edited)
        assert touched < len(bug.text) - bug.scored.start


def test_problems_take_turns(bugs: list[LabelledProgram]) -> None:
    assert len({bug.group for bug in bugs}) == 3
    assert len({bug.id for bug in bugs}) == len(bugs)


def test_a_seed_gives_its_bugs_again_and_another_one_others(model: CodeModel, bugs: list[LabelledProgram]) -> None:
    some = with_resampled_bugs(model, programs(9), 3, seed=1)

    assert some == bugs[:3]
    assert with_resampled_bugs(model, programs(9), 3, seed=2) != some


def test_progress_is_told_and_no_more_than_asked_for_are_made(model: CodeModel) -> None:
    told: list[int] = []
    found = with_resampled_bugs(model, programs(4), 2, seed=3, on_progress=told.append)

    assert told[-1] == len(found) <= 2
    assert with_resampled_bugs(model, programs(0), 5, seed=3) == []


def test_programs_longer_than_the_context_get_bugs_as_well(tmp_path: Path) -> None:
    tiny = CodeModel.load(save_family(tmp_path / "model", "Qwen3"), threads=1)  # 64 tokens, random weights
    long = [program(TEXT * 20, id=str(index)) for index in range(3)]

    for bug in with_resampled_bugs(tiny, long, 3, seed=1):
        compile(bug.text, "bug.py", "exec")


class TestHoles:
    @given(st.integers())
    def test_hold_code_that_the_model_wrote_and_no_docstring(self, seed: int) -> None:
        hole = hole_in(TEXT, Span(len(HEAD), len(TEXT)), random.Random(seed))

        assert hole is not None
        held = TEXT[slice(*hole.span)]
        assert hole.span.start >= len(HEAD)
        assert held == held.strip() != ""
        assert held != '"""The sum."""'
        assert hole.lines == held.count("\n") + 1

    def test_are_of_every_kind(self) -> None:
        found = {hole.kind for seed in range(50) if (hole := hole_in(TEXT, Span(0, len(TEXT)), random.Random(seed)))}

        assert found == {"expression", "line", "lines"}

    def test_are_not_to_be_found_where_there_is_no_code(self) -> None:
        assert hole_in("# nothing\n", Span(0, 10), random.Random(1)) is None

    @pytest.mark.parametrize(
        ("behind", "lines", "written", "end"),
        [
            (")", 1, " f(x) + g(y)) + 3", 12),
            (")", 1, "] more)", 2),
            (":", 1, "x[1:2]: y", 6),
            (")", 1, "x\ny)", 1),
            (")", 1, "f(x", None),
            ("", 1, "\n    x = 1\n    y", 10),
            ("", 2, "x\ny\nz", 3),
            ("", 2, "x\ny", None),
        ],
        ids=["behind calls", "lost", "not in brackets", "at a line's end", "open", "a line", "lines", "too few"],
    )
    def test_are_filled_up_to_what_stands_behind_them(
        self, behind: str, lines: int, written: str, end: int | None
    ) -> None:
        hole = Hole("expression" if behind else "line", Span(0, 1), lines, behind)

        assert end_of(hole, written) == end
