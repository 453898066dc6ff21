"""Which characters of a failing program its nearest passing program says have to change."""

from __future__ import annotations

from hashlib import md5
from pathlib import Path
from typing import Any

from risk_lsp.training.proxy_labels import PROXY_FILE, edited_spans, read_proxy_labelled
from tests.training.makers import write_records

PROGRAM = "def f(a, b):\n    if a > b:\n        return a\n    return b\n"


def edited(program: str, nearest: str, changed: tuple[int, ...] = (), before: tuple[int, ...] = ()) -> list[str]:
    return [program[start:end] for start, end in edited_spans(program, nearest, list(changed), list(before))]


def test_only_the_changed_word_of_a_changed_line_is_marked() -> None:
    assert edited(PROGRAM, PROGRAM.replace(">", ">="), changed=(1,)) == [">"]


def test_a_word_that_changed_on_a_line_that_was_not_named_is_not_marked() -> None:
    nearest = PROGRAM.replace(">", ">=").replace("return b", "return a + b")

    assert edited(PROGRAM, nearest, changed=(1,)) == [">"]


def test_a_changed_line_whose_words_all_occur_in_the_other_program_counts_as_a_whole() -> None:
    program, nearest = "x = a\n", "x = a + b\n"

    assert edited(program, nearest, changed=(0,)) == ["x = a"]


def test_an_insertion_marks_the_line_that_would_follow_it() -> None:
    assert list(edited_spans(PROGRAM, PROGRAM, [], [3])) == [(48, 49)]
    assert edited(PROGRAM, PROGRAM, before=(3,)) == ["r"]


def test_an_insertion_at_the_end_marks_the_last_line() -> None:
    assert list(edited_spans(PROGRAM, PROGRAM, [], [4])) == [(48, 49)]


def test_an_insertion_beyond_the_last_line_marks_it_too() -> None:
    assert list(edited_spans(PROGRAM, PROGRAM, [], [9])) == [(48, 49)]


def test_an_insertion_before_blank_lines_marks_the_code_behind_them() -> None:
    assert list(edited_spans("a = 1\n\n  \nb = 2\n", "", [], [1])) == [(10, 11)]


def test_an_insertion_before_a_docstring_or_comment_marks_the_code_behind_it() -> None:
    program = 'def f():\n    """What it does."""\n    # how\n    return 1\n'

    (span,) = edited_spans(program, "", [], [1])
    assert program[span.start :] == "return 1\n"


def test_an_insertion_before_a_comment_at_the_end_marks_the_last_code() -> None:
    program = "a = 1\n# the end\n"

    assert list(edited_spans(program, "", [], [1])) == [(0, 1)]


def test_an_insertion_into_a_program_of_comments_marks_what_there_is() -> None:
    assert list(edited_spans("# todo\n", "", [], [0])) == [(0, 1)]


def test_an_empty_program_has_nothing_but_an_empty_span_to_mark() -> None:
    assert list(edited_spans("", "", [], [0])) == [(0, 0)]


def digest(program: str) -> str:
    return md5(program.encode(), usedforsecurity=False).hexdigest()


def save_data(folder: Path, samples: list[dict[str, Any]], patches: list[dict[str, Any]]) -> None:
    common = {"task_id": "Toy/1", "group": "toy/1", "benchmark": "mbpp", "model": "m", "prompt_lines": 0}
    write_records(folder / "samples_toy.jsonl.xz", [{**common, "verified": None, **sample} for sample in samples])
    write_records(folder / PROXY_FILE, patches)
    write_records(folder / "problems_toy.jsonl.xz", [{"task_id": "Toy/1", "text": "The greater one.", "prompt": ""}])


def patch(program: str, nearest: str, changed: list[int]) -> dict[str, Any]:
    return {"program_md5": digest(program), "nearest": nearest, "changed_lines": changed, "insert_before": []}


WRONG = PROGRAM.replace(">", "<")


def test_the_labels_of_a_failing_program_stand_where_its_text_has_them(tmp_path: Path) -> None:
    save_data(tmp_path, [{"program": WRONG, "passed": False, "prompt_lines": 1}], [patch(WRONG, PROGRAM, [1])])

    ((found,), _) = read_proxy_labelled(tmp_path, per_group=9)
    assert found.edited is not None
    assert [found.text[start:end] for start, end in found.edited] == ["<"]
    assert found.text[found.scored.start : found.scored.end] == WRONG.partition("\n")[2]
    assert found.text.startswith('"""The greater one.\n"""\n')


def test_passing_programs_have_no_edits_and_failing_ones_without_a_patch_are_left_out(tmp_path: Path) -> None:
    save_data(tmp_path, [{"program": PROGRAM, "passed": True}, {"program": WRONG, "passed": False}], [])

    programs, _ = read_proxy_labelled(tmp_path, per_group=9)
    assert [(found.passed, found.edited) for found in programs] == [(True, ())]


def test_the_share_of_failing_programs_counts_those_without_a_patch(tmp_path: Path) -> None:
    samples = [{"program": f"x = {index}\n", "passed": index == 0} for index in range(4)]
    save_data(tmp_path, [*samples, {"program": "y", "passed": None}], [])

    assert read_proxy_labelled(tmp_path, per_group=1)[1] == {"toy/1": 0.75}


def test_no_more_programs_of_a_problem_and_outcome_are_kept_than_asked(tmp_path: Path) -> None:
    save_data(tmp_path, [{"program": f"x = {index}\n", "passed": True} for index in range(5)], [])

    assert len(read_proxy_labelled(tmp_path, per_group=2)[0]) == 2


def test_a_benchmark_without_patches_is_left_out(tmp_path: Path) -> None:
    save_data(tmp_path, [{"program": PROGRAM, "passed": True, "benchmark": "leetcode"}], [])

    assert read_proxy_labelled(tmp_path, per_group=2) == ([], {})
