"""Labelled programs as flat arrays: each token with its features, on its line, in its program."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from risk_lsp.errors import BadInput
from risk_lsp.lab.training.feature_store import FeatureStore, WeightedPrograms, collect_features
from risk_lsp.lab.training.labelled_programs import LabelledProgram
from risk_lsp.model.code_model import Activations, CodeModel
from risk_lsp.model.tokenizer import Encoding
from risk_lsp.probe.layout import OFF_LINE
from risk_lsp.probe.token_hazards import feature_count, token_features
from tests.lab.training.makers import program, store_of
from tests.probe.tiny import CONTEXT

TEXT = '"""Why."""\n\ndef f(a):\n    # how\n    if a > 1:\n        return a\n\n    return 0\n'
EDITED = TEXT.index("> 1")
PROGRAM = program(TEXT, edited=[(EDITED, EDITED + 1)], scored=(TEXT.index("def"), len(TEXT)))
CODE = ["def f(a):", "if a > 1:", "return a", "return 0"]
LINES = ['"""Why."""', "def f(a):", "# how", "if a > 1:", "return a", "return 0"]


def collect(model: CodeModel, *programs: LabelledProgram) -> FeatureStore:
    return collect_features(model, programs, (1, 2), statistics=True)


def lines_of_tokens(model: CodeModel) -> list[int | None]:
    """For each token of the text, the first line whose characters, white space around them aside, it touches."""
    encoding = model.encode(TEXT)
    places = [(TEXT.index(line), TEXT.index(line) + len(line)) for line in LINES]
    return [
        next((index for index, (first, last) in enumerate(places) if first < end and last > start), None)
        for start, end in zip(encoding.starts, encoding.ends, strict=True)
    ]


def test_every_token_is_on_its_own_line(model: CodeModel) -> None:
    lines = collect(model, PROGRAM).token_line.tolist()

    assert lines == [OFF_LINE if line is None else line for line in lines_of_tokens(model)]


def test_line_breaks_and_indentation_are_on_no_line(model: CodeModel) -> None:
    store = collect(model, PROGRAM)
    breaks = ["\n" in TEXT[start:end] for start, end in zip(store.token_start, store.token_end, strict=True)]

    assert any(breaks)
    assert (store.token_line[breaks] == OFF_LINE).all()


def test_the_features_are_those_the_engine_will_see(model: CodeModel) -> None:
    store = collect(model, PROGRAM)
    encoding = model.encode(TEXT)
    features = token_features(model.read(encoding, (1, 2), statistics=True), statistics=True)

    np.testing.assert_allclose(store.features, features, rtol=2e-3, atol=2e-3)


def test_what_the_model_gives_is_kept_and_not_computed_again(
    model: CodeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = collect_features(model, [PROGRAM], (1, 2), statistics=True, cache=tmp_path)
    monkeypatch.setattr(model, "read_many", None)
    again = collect_features(model, [PROGRAM], (1, 2), statistics=True, cache=tmp_path)

    np.testing.assert_array_equal(again.features, first.features)


def test_of_more_texts_only_the_new_ones_are_read(
    model: CodeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collect_features(model, [PROGRAM], (1, 2), statistics=True, cache=tmp_path)
    read, read_many = [], model.read_many

    def counted(texts: Sequence[Encoding], *arguments: Any, **options: Any) -> list[Activations]:
        read.append(len(texts))
        return read_many(texts, *arguments, **options)

    monkeypatch.setattr(model, "read_many", counted)
    store = collect_features(model, [program("x = 1\n"), PROGRAM], (1, 2), statistics=True, cache=tmp_path)

    assert read == [1]
    np.testing.assert_array_equal(store.features, collect(model, program("x = 1\n"), PROGRAM).features)


def test_a_file_that_does_not_hold_what_its_index_says_is_refused(model: CodeModel, tmp_path: Path) -> None:
    collect_features(model, [PROGRAM], (1, 2), statistics=True, cache=tmp_path)
    file = next(tmp_path.rglob("*.npy"))
    np.save(file, np.load(file)[:-1])

    with pytest.raises(BadInput, match="is damaged"):
        collect_features(model, [PROGRAM], (1, 2), statistics=True, cache=tmp_path)


@pytest.mark.parametrize(
    ("programs", "layers", "statistics"),
    [([program("x = 2\n")], (1, 2), True), ([PROGRAM], (2,), True), ([PROGRAM], (1, 2), False)],
    ids=["other texts", "other layers", "without statistics"],
)
def test_what_the_model_gives_for_something_else_is_kept_apart(
    model: CodeModel, tmp_path: Path, programs: list[LabelledProgram], layers: tuple[int, ...], statistics: bool
) -> None:
    collect_features(model, [PROGRAM], (1, 2), statistics=True, cache=tmp_path)
    store = collect_features(model, programs, layers, statistics=statistics, cache=tmp_path)

    expected = collect_features(model, programs, layers, statistics=statistics)
    np.testing.assert_array_equal(store.features, expected.features)


def test_other_labels_of_the_same_texts_need_no_run_of_the_model(
    model: CodeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collect_features(model, [PROGRAM], (1, 2), statistics=True, cache=tmp_path)
    monkeypatch.setattr(model, "read_many", None)
    store = collect_features(model, [program(TEXT)], (1, 2), statistics=True, cache=tmp_path)

    assert not store.token_edited.any()


def test_a_run_that_was_cut_short_is_made_again(
    model: CodeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model, "read_many", interrupted)
    with pytest.raises(KeyboardInterrupt):
        collect_features(model, [PROGRAM], (1, 2), statistics=True, cache=tmp_path)
    monkeypatch.undo()
    store = collect_features(model, [PROGRAM], (1, 2), statistics=True, cache=tmp_path)

    np.testing.assert_array_equal(store.features, collect(model, PROGRAM).features)


def interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_only_code_that_a_model_wrote_is_scored(model: CodeModel) -> None:
    scored = collect(model, PROGRAM).line_scored.tolist()

    assert [line for line, each in zip(LINES, scored, strict=True) if each] == CODE


def test_the_edited_token_and_its_line_and_program_are_edited(model: CodeModel) -> None:
    store = collect(model, program("x = 1\n"), PROGRAM)

    assert np.flatnonzero(store.line_edited).tolist() == [1 + LINES.index("if a > 1:")]
    assert set(store.token_line[store.token_edited].tolist()) == {1 + LINES.index("if a > 1:")}
    assert store.program_edited.tolist() == [False, True]


def test_lines_and_tokens_are_numbered_through_all_programs(model: CodeModel) -> None:
    store = collect(model, PROGRAM, program("x = 1\n"), PROGRAM)

    assert store.line_program.tolist() == [0] * len(LINES) + [1] + [2] * len(LINES)
    on_line = store.token_line[store.token_line != OFF_LINE]
    assert (np.diff(on_line) >= 0).all() and on_line[-1] == len(store.line_edited) - 1


def test_an_empty_program_has_its_place_but_no_tokens(model: CodeModel) -> None:
    store = collect(model, program("x = 1\n"), program(""), program("y = 2\n"))

    assert store.has_tokens.tolist() == [True, False, True]
    assert set(store.token_program) == {0, 2}


def test_a_program_longer_than_the_context_is_read_to_its_end(model: CodeModel) -> None:
    text = "value = value + 1\n" * CONTEXT

    assert len(collect(model, program(text)).line_edited) == CONTEXT


def test_numbers_beyond_half_precision_are_clipped(model: CodeModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def enormous(read: Activations, *, statistics: bool) -> NDArray[np.float32]:
        return np.full((len(read.values), feature_count(2, model.width, statistics=statistics)), 1e9, dtype=np.float32)

    monkeypatch.setattr("risk_lsp.lab.training.feature_store.token_features", enormous)

    assert set(collect(model, program("x = 1\n")).features.ravel().tolist()) == {60_000.0}


def numbered_store(programs: int) -> FeatureStore:
    """Two tokens a line, two lines a program; the feature of a token is its number."""
    tokens = 4 * programs
    return store_of(np.arange(tokens)[:, None], np.arange(tokens) % 3 == 0, tokens_per_line=2, lines_per_program=2)


@given(st.lists(st.integers(0, 4), max_size=8))
def test_a_selection_holds_the_programs_in_the_order_asked_repeats_included(chosen: list[int]) -> None:
    store = numbered_store(5)
    selected = store.select(np.array(chosen, dtype=np.int64))

    expected = [token for each in chosen for token in range(4 * each, 4 * each + 4)]
    assert selected.features[:, 0].tolist() == expected
    assert selected.token_edited.tolist() == store.token_edited[expected].tolist()
    assert selected.token_line.tolist() == [place // 2 for place in range(len(expected))]
    assert selected.line_program.tolist() == [place // 2 for place in range(2 * len(chosen))]
    assert selected.program_edited.tolist() == store.program_edited[chosen].tolist()


@given(st.lists(st.integers(0, 4), min_size=1, max_size=8))
def test_the_lines_of_a_selection_are_those_of_their_tokens(chosen: list[int]) -> None:
    selected = numbered_store(5).select(np.array(chosen, dtype=np.int64))

    touched = np.bincount(selected.token_line, selected.token_edited, len(selected.line_edited)) > 0
    assert selected.line_edited.tolist() == touched.tolist()
    assert len(selected.line_scored) == len(selected.line_edited)


def test_a_selection_can_be_of_some_columns(model: CodeModel) -> None:
    store = collect(model, PROGRAM, PROGRAM)
    columns = np.array([5, 0])

    np.testing.assert_array_equal(
        store.select(np.array([1]), columns).features, store.select(np.array([1])).features[:, columns]
    )


def test_programs_without_tokens_can_be_selected(model: CodeModel) -> None:
    store = collect(model, program(""), program("x = 1\n"))

    assert store.select(np.array([0, 1, 0])).has_tokens.tolist() == [False, True, False]


def test_the_scored_lines_and_tokens_of_a_program_share_its_weight(model: CodeModel) -> None:
    store = collect(model, PROGRAM, program("x = 1\n"))
    data = WeightedPrograms(store, np.array([1.0, 1.0]), np.array([0.5, 2.0]))

    assert data.line_weights.tolist() == [0.0, 0.125, 0.0, 0.125, 0.125, 0.125, 2.0]
    assert np.bincount(store.token_program, data.token_weights).tolist() == pytest.approx([0.5, 2.0])
    assert not data.token_weights[store.token_line == OFF_LINE].any()


STYLED = "# coding: utf-8\r\n" + TEXT.replace("    ", "\t").replace("\n", "\r\n").replace("a > 1:", "a > 1:  # many")


def read_in_the_normal_form(model: CodeModel, text: str) -> FeatureStore:
    edited = text.index("> 1")
    labelled = program(text, edited=[(edited, edited + 1)], scored=(text.index("def"), len(text)))
    return collect_features(model, [labelled], (1, 2), statistics=True, layout=True, reading="normal-1")


def test_in_the_normal_form_a_program_and_its_labels_are_the_same_in_another_style(model: CodeModel) -> None:
    plain, styled = (read_in_the_normal_form(model, text) for text in (TEXT, STYLED))

    for name in ("features", "token_edited", "token_line", "line_edited", "line_scored", "token_part", "line_part"):
        np.testing.assert_array_equal(getattr(styled, name), getattr(plain, name))


def test_in_the_normal_form_tokens_stand_where_the_program_has_them(model: CodeModel) -> None:
    text = STYLED
    store = read_in_the_normal_form(model, text)
    words = [text[start:end] for start, end in zip(store.token_start, store.token_end, strict=True)]

    assert [word for word, edited in zip(words, store.token_edited, strict=True) if edited] == [">"]
    assert "".join("".join(words).split()) == "".join(TEXT.replace("# how", "").split())


def test_in_the_normal_form_comments_are_no_lines(model: CodeModel) -> None:
    store = read_in_the_normal_form(model, TEXT)

    lines = [line for line in LINES if line != "# how"]
    assert [line for line, each in zip(lines, store.line_scored, strict=True) if each] == CODE
    assert [line for line, each in zip(lines, store.line_edited, strict=True) if each] == ["if a > 1:"]
