"""Pairs of a bug and its fix, and where the changed lines stand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from risk_lsp.errors import BadInput
from risk_lsp.lab.evaluation.as_met.columns import LENGTH, LengthColumn, passage_of
from risk_lsp.lab.evaluation.as_met.real_bugs import RANDOM, measure_real_bugs, read_real_bugs, scopes_of
from risk_lsp.lab.training.training_documents import is_measured_alone
from risk_lsp.text.document import Span
from tests.lab.evaluation.as_met.fakes import Rule
from tests.lab.training.makers import write_records

BUG = "def f(x):\n    y = x\n    y -= 1\n    return y\n\n\ndef g(z):\n    return z\n"
FIX = BUG.replace("-=", "+=")
KNOWS = Rule(lambda line: float("-=" in line))


def record(group: str, **changes: Any) -> dict[str, Any]:
    return {
        "group": group,
        "program": BUG,
        "repaired": FIX,
        "prompt_lines": 0,
        "err": "AssertionError",
        "api_change": None,
        "lines_changed": 1,
        "n_lines": 6,
        **changes,
    }


def folder_of(tmp_path: Path, source: str, *records: dict[str, Any]) -> Path:
    write_records(tmp_path / f"repairs_{source}.jsonl.xz", records)
    return tmp_path


def measured(folder: Path, *columns: Any) -> dict[str, dict[str, Any]]:
    return measure_real_bugs(read_real_bugs(folder, 10), columns, 5)


def test_a_column_that_knows_the_bug_is_perfect(tmp_path: Path) -> None:
    row = measured(folder_of(tmp_path, "pylib_history", record("a"), record("b")), KNOWS)["rule"]["all"]

    assert [row[name][0] for name in ("auc", "hits_at_1", "first_rank", "lines")] == [1.0, 1.0, 1.0, 4.0]


def test_a_random_order_finds_one_line_of_four_at_first_in_a_quarter_of_cases(tmp_path: Path) -> None:
    row = measured(folder_of(tmp_path, "pylib_history", record("a")), KNOWS)[RANDOM]["all"]

    assert [row[name][0] for name in ("auc", "hits_at_1", "hits_at_3", "hits_at_5")] == [0.5, 0.25, 0.75, 1.0]
    assert row["first_rank"][0] == 2.5


def test_line_length_prefers_the_longest_line_of_the_function(tmp_path: Path) -> None:
    row = measured(folder_of(tmp_path, "pylib_history", record("a")), LengthColumn())[LENGTH]["all"]

    assert row["first_rank"][0] == 3.0  # after the definition and the return


def test_bugs_that_people_put_in_stand_by_themselves(tmp_path: Path) -> None:
    folder_of(tmp_path, "humanevalfix", record("a"))
    rows = measured(folder_of(tmp_path, "pylib_history", record("b", program=FIX, repaired=BUG)), KNOWS)["rule"]

    assert rows["humanevalfix"]["hits_at_1"][0] == 1.0
    assert rows["all"]["hits_at_1"][0] == 0.0


def test_one_bug_of_a_problem_is_taken(tmp_path: Path) -> None:
    assert len(read_real_bugs(folder_of(tmp_path, "pylib_history", record("a"), record("a")), 10)) == 1


def test_of_pairs_that_may_be_learnt_from_a_third_measure(tmp_path: Path) -> None:
    groups = [f"g/{number}" for number in range(30)]
    folder = folder_of(tmp_path, "condefects", *map(record, groups))

    assert {bug.group for bug in read_real_bugs(folder, 30)} == set(filter(is_measured_alone, groups))


@pytest.mark.parametrize(
    "changes",
    [
        {"err": "TypeError"},
        {"api_change": "NameError"},
        {"syntax_ok": False},
        {"repaired": BUG + "# a comment\n"},
        {"lines_changed": 4, "n_lines": 11},
    ],
    ids=["new parameters", "another interface", "no program", "the same program", "a rewrite"],
)
def test_what_is_no_small_fix_of_behaviour_is_left_out(tmp_path: Path, changes: dict[str, Any]) -> None:
    folder = folder_of(tmp_path, "thealgorithms_history", record("a", **changes), record("b"))

    assert [bug.group for bug in read_real_bugs(folder, 10)] == ["b"]


def test_a_folder_without_pairs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds no pairs"):
        read_real_bugs(tmp_path, 10)


def test_a_fix_in_two_functions_has_two_scopes_and_one_outside_has_the_rest_of_the_text() -> None:
    text = "import a\nimport b\n\n\ndef f():\n    x = 1\n    return x\n\n\ndef g():\n    y = 2\n    return y\n"
    changed = [Span(text.index(part), text.index(part) + 1) for part in ("import b", "x = 1", "y = 2")]
    scopes = list(scopes_of(0, passage_of(text), changed))

    assert [int(scope.rows.sum()) for scope in scopes] == [3, 3, 2]
    assert all(np.count_nonzero(scope.changed) == 1 for scope in scopes)
