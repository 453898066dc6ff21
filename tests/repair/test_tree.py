"""The record of a repair: what is written can be read, whatever ended the writer."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_lsp.errors import BadInput
from risk_lsp.repair.tree import (
    Cost,
    FeedbackNode,
    NodeVerdict,
    ProgramNode,
    RepairTree,
    Replacement,
    Task,
    TreeStore,
    replace_spans,
)
from risk_lsp.repair.workbench import RepairRequest, changed_lines, replacements_between, unified_diff
from tests.repair.models import FIXED_SUM, SUM

TASK = Task("sums.py", "python", SUM, "an empty list?", (0, 10), "python -m doctest sums.py")
LINES = st.lists(st.sampled_from(["a = 1\n", "b = 2\n", "\tc\r\n", "é𝄞 = 3\n", "\n", "d"]), max_size=8).map("".join)


def tree_of_all_kinds() -> RepairTree:
    tree = RepairTree(TASK, {"provider": "tests"})
    tree.add(ProgramNode(0, None, (), "given", Cost(executions=1), NodeVerdict(False, "AssertionError", "got 4"), 0.4))
    tree.add(FeedbackNode(1, 0, "it starts at 1", "person", Cost()))
    edits = replacements_between(SUM, FIXED_SUM)
    tree.add(ProgramNode(2, 1, edits, "tests", Cost(30, 20, 1, 0.5), NodeVerdict(True), 0.2))
    tree.add(ProgramNode(3, 0, (Replacement(0, 3, "async def"),), "tests", Cost(seconds=0.25)))
    return tree


def test_a_tree_of_all_kinds_of_nodes_is_read_back_as_it_was(tmp_path: Path) -> None:
    store = TreeStore(tmp_path / "tree.json")
    store.save(tree_of_all_kinds())

    assert store.load() == tree_of_all_kinds()


def test_a_node_says_the_whole_program() -> None:
    tree = tree_of_all_kinds()

    assert [tree.text_of(node) for node in tree.programs][:2] == [SUM, FIXED_SUM]


def test_costs_add_up_over_the_tree() -> None:
    cost = tree_of_all_kinds().cost

    assert (cost.tokens, cost.executions, cost.seconds) == (50, 2, 0.75)


def test_a_node_needs_a_parent_that_is_there() -> None:
    with pytest.raises(ValueError, match="has no place"):
        RepairTree(TASK).add(FeedbackNode(0, 7, "words", "person", Cost()))


def test_there_is_no_tree_before_the_first_save(tmp_path: Path) -> None:
    assert TreeStore(tmp_path / "none.json").load() is None


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{", '{"format_version": 2}', '{"format_version": 1, "task": {}}', "[" * 5000, '{"format_version": 1}'],
)
def test_a_file_that_holds_something_else_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "tree.json"
    path.write_text(content)

    with pytest.raises(BadInput):
        TreeStore(path).load()


def test_nodes_out_of_order_are_refused(tmp_path: Path) -> None:
    content = tree_of_all_kinds().to_json()
    content["nodes"].reverse()
    path = tmp_path / "tree.json"
    path.write_text(json.dumps(content))

    with pytest.raises(BadInput, match="no place"):
        TreeStore(path).load()


def test_a_writer_killed_at_any_moment_leaves_a_whole_tree(tmp_path: Path) -> None:
    path = tmp_path / "tree.json"
    program = f"""
from pathlib import Path
from risk_lsp.repair.tree import TreeStore
from tests.repair.test_tree import tree_of_all_kinds
store = TreeStore(Path({str(path)!r}))
store.save(tree_of_all_kinds())
print("saving", flush=True)
while True:
    store.save(tree_of_all_kinds())
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, env=environment) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            writer.send_signal(signal.SIGKILL)
        assert TreeStore(path).load() == tree_of_all_kinds()


def test_each_request_has_a_file_of_its_own(tmp_path: Path) -> None:
    requests = [RepairRequest(SUM), RepairRequest(SUM, hint="empty"), RepairRequest(FIXED_SUM)]

    paths = [TreeStore.in_folder(tmp_path, request).path for request in requests]

    assert len(set(paths)) == 3
    assert TreeStore.in_folder(tmp_path, RepairRequest(SUM)).path == paths[0]


@given(LINES, LINES)
def test_replacements_lead_from_one_text_to_the_other(before: str, after: str) -> None:
    assert replace_spans(before, replacements_between(before, after)) == after


def test_replacements_hold_what_differs_and_no_more() -> None:
    (edit,) = replacements_between(SUM, FIXED_SUM)

    assert (SUM[edit.start : edit.end], edit.text) == ("1", "0")


def test_a_diff_says_where_a_text_ends_without_a_line_break() -> None:
    assert "\\ No newline at end of file" in unified_diff("a = 1", "a = 2\n", "a.py")


def test_lines_that_change_are_counted_on_the_longer_side() -> None:
    assert changed_lines("a\nb\nc\n", "a\nx\ny\nc\n") == 2
