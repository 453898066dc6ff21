"""Numbers and sets of lines that do not flicker while a person types."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from risk_lsp.probe.calibration import Calibration, Prior, Priors
from risk_lsp.risk.risk_map import RiskMap
from risk_lsp.server.documents.analysis import Analysis, DocumentLayout
from risk_lsp.server.documents.ignored_lines import IgnoreReason
from risk_lsp.server.documents.line_view import Circumstances, LineView, line_view
from risk_lsp.settings import Settings
from risk_lsp.text.document import Document

PROBABILITY = st.floats(0.0, 0.99)


def show(
    lines: dict[str, float], before: LineView | None = None, threshold: float = 0.3, **circumstances: Any
) -> LineView:
    """The view of a text whose lines have these probabilities."""
    text = "\n".join(lines)
    starts = np.cumsum([0, *(len(line) + 1 for line in lines)])[:-1]
    ends = starts + [len(line) for line in lines]
    hazards = -np.log1p(-np.array(list(lines.values())))
    risks = RiskMap(
        len(text),
        starts.astype(np.int32),
        ends.astype(np.int32),
        hazards.astype(np.float32),
        Calibration(theta=0.0, scale=1.0, power=1.0),
    )
    now = Circumstances(Settings(threshold=threshold, max_diagnostics=2), **circumstances)
    return line_view(Analysis(DocumentLayout(Document("file:///a", 1, text, "python")), risks), now, before)


def test_a_number_that_moves_by_less_than_two_points_stays() -> None:
    first = show({"a": 0.4, "b": 0.4, "c": 0.4})
    second = show({"x": 0.1, "b": 0.415, "c": 0.43}, first)
    assert second.numbers.round(3).tolist() == [0.1, 0.4, 0.43]


def test_small_moves_do_not_add_up_unseen() -> None:
    view = show({"a": 0.1, "b": 0.4})
    for step in range(1, 5):
        view = show({f"a{step}": 0.1, "b": 0.4 + 0.01 * step}, view)
    assert abs(view.numbers[1] - 0.44) < 0.02


def test_lines_above_the_edit_keep_their_numbers_exactly() -> None:
    first = show({"a": 0.4, "b": 0.2, "c": 0.1})
    second = show({"a": 0.45, "b": 0.9, "x": 0.3}, first)
    assert second.numbers[:2].tolist() == first.numbers[:2].tolist()


def test_a_line_that_is_shown_stays_until_it_falls_clearly_below_the_threshold() -> None:
    view = show({"x": 0.0, "a": 0.32})
    assert view.chosen == (1,)
    view = show({"y": 0.0, "a": 0.27}, view)
    assert view.chosen == (1,)
    view = show({"z": 0.0, "a": 0.24}, view)
    assert view.chosen == ()
    assert show({"x": 0.0, "a": 0.27}, view).chosen == (), "and then has to reach the threshold again"


def test_a_line_gives_way_only_to_one_that_is_clearly_likelier() -> None:
    view = show({"x": 0.0, "a": 0.5, "b": 0.6, "c": 0.48})
    assert view.chosen == (1, 2)
    assert show({"y": 0.0, "a": 0.5, "b": 0.6, "c": 0.53}, view).chosen == (1, 2)
    assert show({"y": 0.0, "a": 0.5, "b": 0.6, "c": 0.56}, view).chosen == (2, 3)


def test_what_is_shown_moves_with_its_line() -> None:
    view = show({"a": 0.1, "b": 0.31})
    assert show({"new": 0.0, "a": 0.1, "b": 0.28}, view).chosen == (2,)


def test_a_new_threshold_counts_at_once() -> None:
    view = show({"a": 0.32})
    assert show({"a": 0.32}, view, threshold=0.34).chosen == ()


def test_ignoring_a_line_and_stopping_that_leaves_its_number_as_it_was() -> None:
    first = show({"a": 0.4, "b": 0.5})
    ignored = show({"a": 0.4, "b": 0.5}, first, ignored={1: IgnoreReason.STORED})
    assert ignored.chosen == (0,)
    assert np.isnan(ignored.probabilities[1])
    assert show({"a": 0.4, "b": 0.51}, ignored).numbers.tolist() == first.numbers.tolist()


def test_a_pause_hides_what_was_shown_and_forgets_nothing() -> None:
    view = show({"x": 0.0, "a": 0.32})
    paused = show({"y": 0.0, "a": 0.28}, view, paused=True)
    assert (paused.shown, set(paused.steps)) == ((), {0})
    assert show({"z": 0.0, "a": 0.28}, paused).shown == (1,)


def in_places(*places: int) -> dict[str, Any]:
    """These places of the lines, of which code at rest (2) has a hundredth of the hazards."""
    return {"places": np.array(places, np.int8), "priors": Priors(at_rest=Prior(0.01))}


def test_a_line_that_comes_to_another_place_gets_its_number_at_once() -> None:
    first = show({"a": 0.4, "b": 0.4}, **in_places(0, 0))
    second = show({"a": 0.4, "b": 0.4}, first, **in_places(0, 2))
    assert second.numbers.round(4).tolist() == [0.4, 0.0051]


def test_where_a_place_has_a_factor_a_tenth_of_a_number_is_a_move() -> None:
    first = show({"a": 0.4, "b": 0.4, "c": 0.4}, **in_places(2, 2, 2))
    second = show({"x": 0.1, "b": 0.41, "c": 0.46}, first, **in_places(2, 2, 2))
    assert second.numbers.round(5).tolist() == [0.00105, 0.0051, 0.00614]
    assert second.ranks.tolist() == [3, 2, 1]


def test_code_at_rest_shows_one_line_for_fifty_and_leaves_room_for_others() -> None:
    places = {**in_places(2, 2, 0), "priors": Priors()}
    assert show({"a": 0.9, "b": 0.8, "c": 0.5}, **places).chosen == (0, 2)


@given(st.lists(st.lists(PROBABILITY, min_size=4, max_size=4), min_size=1, max_size=6))
def test_what_is_shown_is_never_far_from_the_truth(runs: list[list[float]]) -> None:
    view = None
    for place, run in enumerate(runs):
        lines = dict(zip((f"new {place}", "b", "c", "d"), run, strict=True))
        view = show(lines, view)
        assert np.abs(view.numbers - run).max() < 0.02 + 1e-6
        assert len(view.chosen) <= 2
        assert all(view.numbers[line] >= 0.25 for line in view.chosen)
