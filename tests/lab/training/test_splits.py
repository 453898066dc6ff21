from __future__ import annotations

import hashlib
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_lsp.errors import BadInput
from risk_lsp.lab.training.training_documents import SPLITS, k_folds, leave_one_benchmark_out, split_of

GROUP_NAMES = [f"LeetCode/problem-{number}" for number in range(4000)]


@given(st.text())
def test_a_groups_split_is_fixed_by_the_published_rule(group: str) -> None:
    place = int(hashlib.sha256(b"risk-lsp-1:" + group.encode()).hexdigest()[:8], 16) / 2**32
    expected = "test" if place < 0.20 else "calibration" if place < 0.35 else "train"

    assert split_of(group) == expected


def test_known_groups_never_move() -> None:
    places = [split_of(group) for group in ("HumanEval/0", "HumanEval/6", "Mbpp/13", "LeetCode/two-sum")]

    assert places == ["train", "calibration", "test", "train"]


def test_shares_are_those_stated() -> None:
    counts = Counter(split_of(group) for group in GROUP_NAMES)
    shares = {split: counts[split] / len(GROUP_NAMES) for split in SPLITS}

    assert shares == pytest.approx({"train": 0.65, "calibration": 0.15, "test": 0.20}, abs=0.02)


@given(st.lists(st.sampled_from(GROUP_NAMES[:30]), min_size=1), st.integers(2, 6))
def test_folds_keep_groups_whole_and_balanced(records: list[str], k: int) -> None:
    groups = records + GROUP_NAMES[:10]
    folds = k_folds(groups, k)

    fold_of = dict(zip(groups, folds.tolist(), strict=True))
    assert [fold_of[group] for group in groups] == folds.tolist()
    sizes = Counter(fold_of.values())
    assert set(sizes) == set(range(k))
    assert max(sizes.values()) - min(sizes.values()) <= 1


def test_folds_do_not_depend_on_the_order_of_records() -> None:
    groups = GROUP_NAMES[:50]

    assert k_folds(groups, 5).tolist() == k_folds(groups[::-1], 5).tolist()[::-1]


@pytest.mark.parametrize("k", [1, 3])
def test_folds_that_cannot_be_made_are_refused(k: int) -> None:
    with pytest.raises(BadInput, match=f"cannot make {k} folds of 2 groups"):
        k_folds(["a", "b", "a"], k)


def test_each_benchmark_is_held_out_once() -> None:
    held_out = {name: mask.tolist() for name, mask in leave_one_benchmark_out(["mbpp", "humaneval", "mbpp"])}

    assert held_out == {"humaneval": [False, True, False], "mbpp": [True, False, True]}


def test_a_single_benchmark_cannot_be_left_out() -> None:
    with pytest.raises(BadInput, match="at least two benchmarks"):
        list(leave_one_benchmark_out(["mbpp", "mbpp"]))
