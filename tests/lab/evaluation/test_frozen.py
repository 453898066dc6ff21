"""Kept trees as what pass@t draws from, and published chains as curves."""

from __future__ import annotations

from pathlib import Path

import pytest

from risk_lsp.errors import BadInput
from risk_lsp.lab.evaluation.pass_rates import FrozenFeedback, FrozenRepair, frozen_tree, read_trees
from risk_lsp.repair.tree import Cost, FeedbackNode, NodeVerdict, ProgramNode, RepairTree, Replacement, Task, TreeStore

FAILED, PASSED = NodeVerdict(False, "AssertionError"), NodeVerdict(True)


def program(number: int, parent: int | None, verdict: NodeVerdict, tokens: int) -> ProgramNode:
    edits = () if parent is None else (Replacement(0, 1, str(number)),)
    return ProgramNode(number, parent, edits, "tests", Cost(completion_tokens=tokens), verdict)


def tree_with_feedback() -> RepairTree:
    tree = RepairTree(Task("a.py", "python", "x = 1\n"))
    tree.add(program(0, None, FAILED, 0))
    tree.add(FeedbackNode(1, 0, "words", "tests", Cost(10, 5)))
    tree.add(program(2, 1, FAILED, 20))
    tree.add(program(3, 1, PASSED, 30))
    tree.add(program(4, 0, FAILED, 40))
    return tree


def test_feedback_and_joint_repairs_become_what_can_be_drawn() -> None:
    frozen = frozen_tree(tree_with_feedback())

    assert frozen is not None
    assert frozen.programs[0].feedbacks == (
        FrozenFeedback(15.0, (FrozenRepair(False, 20.0), FrozenRepair(True, 30.0))),
        FrozenFeedback(0.0, (FrozenRepair(False, 40.0),)),
    )


def test_a_program_that_passed_needs_no_repairs() -> None:
    tree = RepairTree(Task("a.py", "python", "x = 1\n"))
    tree.add(program(0, None, PASSED, 0))
    frozen = frozen_tree(tree)

    assert frozen is not None
    assert frozen.programs[0].passed


def test_nothing_can_be_drawn_from_a_tree_without_repairs() -> None:
    tree = RepairTree(Task("a.py", "python", "x = 1\n"))
    tree.add(program(0, None, FAILED, 0))

    assert frozen_tree(tree) is None


def test_trees_of_a_folder_are_read(tmp_path: Path) -> None:
    TreeStore(tmp_path / "a.json").save(tree_with_feedback())

    assert read_trees(tmp_path) == [tree_with_feedback()]


def test_a_folder_without_trees_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no repair trees"):
        read_trees(tmp_path)
