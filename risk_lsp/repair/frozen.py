"""Repair trees on disk as the frozen trees that pass@t subsamples."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from risk_lsp.errors import BadInput
from risk_lsp.evaluation.pass_at_t import FrozenFeedback, FrozenProgram, FrozenRepair, FrozenTree
from risk_lsp.repair.tree import FeedbackNode, ProgramNode, RepairTree
from risk_lsp.repair.tree_store import TreeStore


def read_trees(folder: Path) -> list[RepairTree]:
    """The trees of a folder. BadInput if there are none, or for one that cannot be read."""
    trees = [TreeStore(path).load() for path in sorted(folder.glob("*.json"))]
    found = [tree for tree in trees if tree is not None and tree.nodes]
    if not found:
        raise BadInput(f"{folder} holds no repair trees", "make some with `risk-lsp repair --tree FILE`")
    return found


def frozen_tree(tree: RepairTree) -> FrozenTree | None:
    """A tree as what can be drawn from it, costs in tokens; None if nothing was made of its first program.

    Repairs of a program without feedback in between are joint: each is feedback that costs nothing, with one repair.
    A repair of a repair counts where its parent was given: chains are cut into their links.
    """
    root = tree.nodes[0]
    if not isinstance(root, ProgramNode) or root.verdict is None:
        return None
    if root.verdict.passed:
        return FrozenTree((FrozenProgram(True, 0.0),))
    feedbacks = []
    for node in tree.nodes[1:]:
        if node.parent != root.id:
            continue
        if isinstance(node, FeedbackNode):
            repairs = tuple(_repair(child) for child in tree.programs if child.parent == node.id)
            if repairs:
                feedbacks.append(FrozenFeedback(float(node.cost.tokens), repairs))
        else:
            feedbacks.append(FrozenFeedback(0.0, (_repair(node),)))
    return FrozenTree((FrozenProgram(False, 0.0, tuple(feedbacks)),)) if feedbacks else None


def frozen_trees(trees: Iterable[RepairTree]) -> list[FrozenTree]:
    """Those of the trees from which something can be drawn."""
    return [found for tree in trees if (found := frozen_tree(tree)) is not None]


def _repair(node: ProgramNode) -> FrozenRepair:
    return FrozenRepair(node.verdict is not None and node.verdict.passed, float(node.cost.tokens))
