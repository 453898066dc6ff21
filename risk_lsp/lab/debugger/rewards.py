"""What an answer about a failing program is worth: the repair by tests and CodeBLEU, the explanation by its words.

CodeBLEU (arXiv 2009.10297) has n-grams, n-grams that weigh keywords, syntax trees, and data flow. The authors' Python
implementation, and the package made of it, need a version of tree-sitter that this project cannot use. Two things
differ from them on purpose: the weighted n-grams have the brevity penalty that the paper gives them, and a program none
of whose data flow matches gets 0 for that, not 1.
"""

from __future__ import annotations

import keyword
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import NamedTuple, TypeAlias

import tree_sitter_python
from tree_sitter import Language, Node, Parser

from risk_lsp.lab.debugger.debugging_data import Examiner, Mistake
from risk_lsp.repair.model_questions import program_in, without_blocks

_PARSER = Parser(Language(tree_sitter_python.language()))
_LONGEST_GRAM = 4
_EPSILON = 0.1  # stands for no match at all (smoothing method 1 of Chen and Cherry, 2014)
_OF_A_NAME = 0.2  # a token that is no keyword, where a keyword counts 1
_WEIGHTS = (0.25, 0.25, 0.25, 0.25)


class CodeBleu(NamedTuple):
    """The four parts, each from 0 to 1."""

    ngrams: float
    weighted_ngrams: float
    syntax: float
    data_flow: float

    @property
    def score(self) -> float:
        """Their mean."""
        return sum(weight * part for weight, part in zip(_WEIGHTS, self, strict=True))


def code_bleu(program: str, reference: str) -> CodeBleu:
    """How like a reference a program is; comments and docstrings count for the n-grams alone."""
    words, expected = program.split(), reference.split()
    ours, theirs = _tree(program), _tree(reference)
    wanted, there = _subtrees(theirs), set(_subtrees(ours))
    flow, flow_there = _number_variables(_data_flow(theirs)), _number_variables(_data_flow(ours))
    return CodeBleu(
        _bleu(words, expected, {}),
        _bleu(words, expected, {word: _OF_A_NAME for word in expected if not keyword.iskeyword(word)}, recall=True),
        sum(each in there for each in wanted) / len(wanted),
        (flow & flow_there).total() / flow.total() if flow else 1.0,
    )


def _bleu(
    words: Sequence[str], expected: Sequence[str], weights: Mapping[str, float], *, recall: bool = False
) -> float:
    """BLEU-4 by precision, or by recall, where single words count as `weights` says, 1 without an entry."""
    logarithms = []
    for size in range(1, _LONGEST_GRAM + 1):
        ours, theirs = _grams(words, size), _grams(expected, size)
        weight = weights if size == 1 else {}
        matched = _total(ours & theirs, weight)
        if size == 1 and not matched:
            return 0.0
        total = max(1.0, _total(theirs if recall else ours, weight))
        logarithms.append(math.log((matched or _EPSILON) / total))
    penalty = min(1.0, math.exp(1 - len(expected) / len(words)))
    return penalty * math.exp(sum(logarithms) / _LONGEST_GRAM)


def _grams(words: Sequence[str], size: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(words[first:] for first in range(size)), strict=False))


def _total(grams: Counter[tuple[str, ...]], weights: Mapping[str, float]) -> float:
    return sum(count * weights.get(gram[0], 1.0) for gram, count in grams.items())


@cache
def _tree(program: str) -> Node:
    """The syntax tree without comments and docstrings."""
    source = program.strip().encode("utf-8", "replace")
    places = sorted((node.start_byte, node.end_byte) for node in _words_in(_PARSER.parse(source).root_node))
    kept, end = [], 0
    for first, last in places:
        kept.append(source[end:first])
        end = last
    return _PARSER.parse(b"".join([*kept, source[end:]])).root_node


def _words_in(node: Node) -> Iterator[Node]:
    for child in node.children:
        is_text = child.type == "expression_statement" and [each.type for each in child.children] == ["string"]
        if child.type == "comment" or is_text:
            yield child
        else:
            yield from _words_in(child)


def _subtrees(root: Node) -> list[str]:
    """Every subtree but single leaves, without the names in it."""
    found, waiting = [], [root]
    while waiting:
        node = waiting.pop()
        found.append(str(node))
        waiting += [child for child in node.children if child.children]
    return found


class _Edge(NamedTuple):
    """A variable at a leaf, and where its value comes from, or what it is computed from."""

    name: str
    leaf: int
    relation: str
    sources: tuple[str, ...]
    source_leaves: tuple[int, ...]


_States: TypeAlias = "dict[str, list[int]]"
_ONE_LEAF = ("string",)


class _DataFlow:
    """Follows values through a tree; `states` says at which leaves a name got its value."""

    def __init__(self, root: Node) -> None:
        self._leaves = {(leaf.start_byte, leaf.end_byte): index for index, leaf in enumerate(_leaves(root))}

    def edges(self, node: Node, states: _States) -> tuple[list[_Edge], _States]:
        """The edges in a subtree, and the states behind it."""
        if _is_leaf(node):
            return self._of_leaf(node, dict(states))
        if node.type == "default_parameter":
            return self._of_default(node, states)
        if node.type in ("assignment", "augmented_assignment", "for_in_clause"):
            return self._of_assignment(node, states)
        if node.type == "if_statement":
            return self._of_branches(node, states)
        if node.type in ("for_statement", "while_statement"):
            return self._of_loop(node, states)
        # What a comprehension iterates over stands behind the place that uses it.
        first = [child for child in node.children if child.type == "for_in_clause"]
        return self._of_all([*first, *(child for child in node.children if child not in first)], states)

    def _of_all(self, nodes: Sequence[Node], states: _States) -> tuple[list[_Edge], _States]:
        found: list[_Edge] = []
        for node in nodes:
            edges, states = self.edges(node, states)
            found += edges
        return found, states

    def _of_leaf(self, node: Node, states: _States) -> tuple[list[_Edge], _States]:
        name = _text(node)
        if node.type in (name, "comment"):
            return [], states
        index = self._leaves[node.start_byte, node.end_byte]
        if name in states:
            return [_Edge(name, index, "comesFrom", (name,), tuple(states[name]))], states
        if node.type == "identifier":
            states[name] = [index]
        return [_Edge(name, index, "comesFrom", (), ())], states

    def _of_default(self, node: Node, states: _States) -> tuple[list[_Edge], _States]:
        name, value = node.child_by_field_name("name"), node.child_by_field_name("value")
        if name is None or value is None:
            return [], states
        found, states = self.edges(value, states)
        for leaf, text in self._variables(name):
            found += [_Edge(text, leaf, "comesFrom", (other,), (place,)) for place, other in self._variables(value)]
            states[text] = [leaf]
        return found, states

    def _of_assignment(self, node: Node, states: _States) -> tuple[list[_Edge], _States]:
        left = node.child_by_field_name("left")
        right = node.children[-1] if node.type == "for_in_clause" else node.child_by_field_name("right")
        if left is None or right is None:
            return [], dict(states)
        pairs = [(left, right)] if node.type == "for_in_clause" else _pairs(left, right)
        found, states = self._of_all([value for _, value in pairs], states)
        return found + self._computation_edges(pairs, states), states

    def _computation_edges(self, pairs: Sequence[tuple[Node, Node]], states: _States) -> list[_Edge]:
        found = []
        for target, value in pairs:
            sources = self._variables(value)
            for leaf, name in self._variables(target):
                names = tuple(text for _, text in sources)
                found.append(_Edge(name, leaf, "computedFrom", names, tuple(place for place, _ in sources)))
                states[name] = [leaf]
        return found

    def _of_branches(self, node: Node, states: _States) -> tuple[list[_Edge], _States]:
        found: list[_Edge] = []
        current, ends = dict(states), []
        for child in node.children:
            if child.type in ("elif_clause", "else_clause"):
                edges, end = self.edges(child, states)
                ends.append(end)
            else:
                edges, current = self.edges(child, current)
            found += edges
        has_else = any("else" in child.type for child in node.children)
        ends += [current] if has_else else [current, states]
        names = dict.fromkeys(name for each in ends for name in each)
        return found, {name: sorted({leaf for each in ends for leaf in each.get(name, [])}) for name in names}

    def _of_loop(self, node: Node, states: _States) -> tuple[list[_Edge], _States]:
        """Twice through the body: what the end of it computes reaches its beginning."""
        found: list[_Edge] = []
        for _ in range(2):
            if node.type == "while_statement":
                edges, states = self._of_all(node.children, states)
                found += edges
                continue
            left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
            if left is None or right is None:
                return found, states
            pairs = _pairs(left, right)
            edges, states = self._of_all([value for _, value in pairs], states)
            found += edges + self._computation_edges(pairs, states)
            if node.children[-1].type == "block":
                edges, states = self.edges(node.children[-1], states)
                found += edges
        return _merge_edges(found, by_relation=True), states

    def _variables(self, node: Node) -> list[tuple[int, str]]:
        return [
            (self._leaves[leaf.start_byte, leaf.end_byte], _text(leaf))
            for leaf in _leaves(node)
            if leaf.type != _text(leaf)
        ]


def _pairs(left: Node, right: Node) -> list[tuple[Node, Node]]:
    """Targets and values side by side, as far as they can be told apart; else all of them together."""
    targets, values = ([child for child in node.children if child.type != ","] for node in (left, right))
    if not targets or len(targets) != len(values):
        return [(left, right)]
    return list(zip(targets, values, strict=True))


def _is_leaf(node: Node) -> bool:
    return (not node.children or node.type in _ONE_LEAF) and node.type != "comment"


def _leaves(node: Node) -> Iterator[Node]:
    if _is_leaf(node):
        yield node
    else:
        for child in node.children:
            yield from _leaves(child)


def _text(node: Node) -> str:
    return (node.text or b"").decode("utf-8", "replace")


def _merge_edges(edges: Sequence[_Edge], *, by_relation: bool) -> list[_Edge]:
    """One edge for each variable at a leaf, of each relation or of all; the first relation stays."""
    known: dict[tuple[object, ...], _Edge] = {}
    for edge in sorted(edges, key=lambda each: each.leaf):
        key = (edge.name, edge.leaf, edge.relation) if by_relation else (edge.leaf,)
        before = known.get(key)
        if before is not None:
            sources = tuple(dict.fromkeys(before.sources + edge.sources))
            places = tuple(sorted({*before.source_leaves, *edge.source_leaves}))
            edge = before._replace(sources=sources, source_leaves=places)
        known[key] = edge
    return list(known.values())


def _data_flow(root: Node) -> list[_Edge]:
    """The edges between variables that have one; none for a tree that is too deep."""
    try:
        edges, _ = _DataFlow(root).edges(root, {})
    except RecursionError:
        return []
    joined = {leaf for edge in edges if edge.source_leaves for leaf in (edge.leaf, *edge.source_leaves)}
    return _merge_edges([edge for edge in edges if edge.leaf in joined], by_relation=False)


def _number_variables(edges: Sequence[_Edge]) -> Counter[tuple[str, str, tuple[str, ...]]]:
    """The edges with variables numbered in the order in which they come."""
    numbers: dict[str, str] = {}
    for edge in edges:
        for name in (*edge.sources, edge.name):
            numbers.setdefault(name, f"var_{len(numbers)}")
    return Counter((numbers[edge.name], edge.relation, tuple(map(numbers.__getitem__, edge.sources))) for edge in edges)


_WORD = re.compile(r"\w+")


class RepairReward:
    """Rewards of answers to questions about some failing programs, as trl's trainers ask for them.

    A call takes the answers, and for each the index of its mistake. trl names what it logs by `__name__`.
    """

    __name__ = "repair"

    def __init__(self, mistakes: Sequence[Mistake], examiner: Examiner) -> None:
        self._mistakes = mistakes
        self._examiner = examiner

    def __call__(self, *, completions: Sequence[str], mistake: Sequence[int], **_: object) -> list[float]:
        """From 0 to 2 each."""
        return [self.of(self._mistakes[index], text) for text, index in zip(completions, mistake, strict=True)]

    def of(self, mistake: Mistake, answer: str) -> float:
        """The share of tests that the answer's program passes, and its CodeBLEU with the likest right program.

        Both count the same, as in arXiv 2405.18649; where no right program is known, the tests count for both. 0 for an
        answer without a program.
        """
        program = program_in(answer, mistake.program)
        if program is None:
            return 0.0
        share = self._examiner.examine(mistake.problem, program).share
        right = [repair.program for repair in mistake.repairs]
        if mistake.problem.reference:
            right.append(mistake.problem.reference)
        return share + max((code_bleu(program, each).score for each in right), default=share)


class ExplanationReward:
    """Rewards of the words before the program, by the explanations of verified repairs; None where there are none."""

    __name__ = "explanation"

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        self._known = [[repair.explanation for repair in each.repairs if repair.explanation] for each in mistakes]

    def __call__(
        self, *, completions: Sequence[str], mistake: Sequence[int], explained: Sequence[bool], **_: object
    ) -> list[float | None]:
        """From 0 to 1 each; `explained`: whether the question asked for an explanation."""
        return [
            max(likeness(without_blocks(text), words) for words in self._known[index])
            if asked and self._known[index]
            else None
            for text, index, asked in zip(completions, mistake, explained, strict=True)
        ]


def likeness(text: str, other: str) -> float:
    """The cosine of the counts of two texts' words, from 0 to 1.

    The paper compares embeddings by a second model; counts need none, and see other wording as another meaning.
    """
    ours, theirs = (Counter(_WORD.findall(each.lower())) for each in (text, other))
    common = sum(count * theirs[word] for word, count in ours.items())
    lengths = [math.sqrt(sum(count**2 for count in counts.values())) for counts in (ours, theirs)]
    return common / (lengths[0] * lengths[1]) if common else 0.0
