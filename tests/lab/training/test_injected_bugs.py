"""Bugs made by machine: programs with one small edit each, and a label that says where it is."""

from __future__ import annotations

from collections import Counter

import pytest

from risk_lsp.lab.training.labelled_programs import LabelledProgram
from risk_lsp.lab.training.library_programs import with_injected_bugs
from risk_lsp.text.document import Span
from tests.lab.training.makers import program

HEAD = '"""Count."""\n'
BODY = """\
def count(values, limit):
    found = 0
    for value in values[1:]:
        if value < limit and value != 0:
            found += 1
    print(found, limit)
    return found
"""


def passing(problems: int) -> list[LabelledProgram]:
    texts = [HEAD + BODY.replace("count", f"count_{index}") for index in range(problems)]
    return [
        program(text, scored=(len(HEAD), len(text)), id=f"p{index}", group=f"g{index}")
        for index, text in enumerate(texts)
    ]


def test_the_label_covers_all_that_the_bug_changed() -> None:
    (original,) = passing(1)
    for seed in range(60):
        (injected,) = with_injected_bugs([original], 1, seed)
        ((start, end),) = injected.edited or ()

        assert injected.text != original.text and not injected.passed
        assert injected.text[start:end].strip()
        assert original.text.endswith(injected.text[end:])
        # Where something was only taken away, the next character is marked.
        assert original.text.startswith(injected.text[:start]) or original.text.endswith(injected.text[start:])


@pytest.mark.parametrize("seed", range(5))
def test_what_the_model_did_not_write_stays_as_it_is(seed: int) -> None:
    for injected in with_injected_bugs(passing(3), 3, seed):
        assert injected.text.startswith(HEAD)
        assert injected.scored == Span(len(HEAD), len(injected.text))


def test_problems_take_turns_and_kinds_of_edit_do_too() -> None:
    injected = with_injected_bugs(passing(40), 40, 1)

    assert len({each.group for each in injected}) == 40
    assert max(Counter(each.id.partition("+")[2] for each in injected).values()) < 20


def test_every_program_with_a_bug_compiles() -> None:
    for injected in with_injected_bugs(passing(40), 40, 2):
        compile(injected.text, "program.py", "exec")


def test_programs_that_fail_get_no_further_bug() -> None:
    failing = program("def f(a):\n    return a + 1\n", edited=[(11, 12)])

    assert with_injected_bugs([failing], 5, 1) == []


def test_a_seed_gives_the_same_bugs_and_another_one_others() -> None:
    first = with_injected_bugs(passing(10), 10, 1)

    assert with_injected_bugs(passing(10), 10, 1) == first
    assert with_injected_bugs(passing(10), 10, 2) != first


def test_no_more_bugs_are_made_than_there_are_programs() -> None:
    assert len(with_injected_bugs(passing(3), 9, 1)) == 3
