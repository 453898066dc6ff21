from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_lsp.errors import BadInput
from risk_lsp.evaluation.records import balanced_weights

NAMES = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz")), min_size=1, max_size=30)


def test_problems_count_equally() -> None:
    weights = balanced_weights(["big", "big", "big", "small"])

    assert weights.tolist() == pytest.approx([2 / 3, 2 / 3, 2 / 3, 2.0])


def test_programs_of_a_problem_count_equally_however_long() -> None:
    problems = ["one", "one", "one", "two"]
    programs = [0, 0, 1, 2]

    assert balanced_weights(problems, programs).tolist() == pytest.approx([0.5, 0.5, 1.0, 2.0])


@given(NAMES)
def test_each_level_shares_its_part_equally(names: list[tuple[str, str]]) -> None:
    weights = balanced_weights([outer for outer, _ in names], [inner for _, inner in names])

    outer_mass: dict[str, float] = defaultdict(float)
    inner_mass: dict[tuple[str, str], float] = defaultdict(float)
    for (outer, inner), weight in zip(names, weights, strict=True):
        outer_mass[outer] += weight
        inner_mass[outer, inner] += weight
    assert list(outer_mass.values()) == pytest.approx([len(names) / len(outer_mass)] * len(outer_mass))
    for outer in outer_mass:
        shares = [mass for (name, _), mass in inner_mass.items() if name == outer]
        assert shares == pytest.approx([outer_mass[outer] / len(shares)] * len(shares))


def test_weights_need_a_level() -> None:
    with pytest.raises(BadInput, match="at least one level"):
        balanced_weights()


def test_levels_of_different_lengths_are_refused() -> None:
    with pytest.raises(BadInput, match="do not match 2 records"):
        balanced_weights(["a", "b"], [1])
