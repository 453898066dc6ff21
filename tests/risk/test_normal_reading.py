"""A bundle that reads the normal form: what does not matter moves no number, and numbers stand where the code does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from risk_lsp.model.window_memory import WindowMemory
from risk_lsp.probe.token_hazards import ARCHITECTURES
from risk_lsp.risk.engine import Engine
from risk_lsp.risk.presentation import code_line_risks, document_risk, function_risks, line_risks
from risk_lsp.risk.span_risk import PartialRisk, SpanRisk, within_any
from risk_lsp.text.document import Span, stripped_line_spans
from risk_lsp.text.structure import parse_structure
from tests.probe.tiny import CONTEXT, SAMPLE, save_tiny_bundle
from tests.text.programs import PLAIN, Line, Style, programs, styles, written

PLENTY = 1 << 24
COMMENT = "    # the largest so far\n"
COMMENTED = SAMPLE.replace("    best = None\n", "    best = None  # none yet\n" + COMMENT)


@pytest.fixture(scope="module", params=ARCHITECTURES)
def normal(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, model_folder: Path) -> Engine:
    """An engine of each architecture in turn that reads the normal form."""
    folder = tmp_path_factory.mktemp("normal") / request.param
    return Engine.load(save_tiny_bundle(folder, model_folder, request.param, reading="normal-1"))


def numbers(risk: SpanRisk, text: str) -> list[float]:
    """Of the document, of its functions, and of the lines that hold code."""
    functions = function_risks(risk, parse_structure(text, "python"))
    lines = code_line_risks(risk, text, "python")
    return [document_risk(risk), *(each.probability for each in functions), *lines[~np.isnan(lines)]]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=programs(), style=styles)
def test_the_style_of_a_program_moves_no_number(normal: Engine, lines: tuple[Line, ...], style: Style) -> None:
    lines = (Line(0, "import a"), *lines)  # or else the only line may be all of the document
    text, plain = written(lines, style), written(lines, PLAIN)

    assert numbers(normal.score(text), text) == numbers(normal.score(plain), plain)


def test_a_long_program_is_cut_at_the_same_places_whatever_its_style(normal: Engine) -> None:
    text = SAMPLE * 12
    styled = "# A licence\n" * 60 + text.replace("    ", "\t").replace("\n", "  # note\r\n\r\n")

    assert len(normal.score(text).starts) > 5 * CONTEXT
    assert numbers(normal.score(styled), styled) == numbers(normal.score(text), text)


def test_a_comment_has_no_number(normal: Engine) -> None:
    lines = line_risks(normal.score(COMMENTED), COMMENTED)

    assert np.flatnonzero(np.isnan(lines)).tolist() == [
        line for line, text in enumerate([*COMMENTED.splitlines(), ""]) if text.strip() == "" or text == COMMENT[:-1]
    ]


def test_every_token_stands_for_its_own_characters(normal: Engine) -> None:
    risk, text = normal.score(COMMENTED), COMMENTED
    words = [text[start:end] for start, end in zip(risk.starts, risk.ends, strict=True)]

    assert "".join("".join(words).split()) == "".join(SAMPLE.split())
    assert not any("#" in word for word in words)


def test_every_code_line_of_any_text_has_a_number(normal: Engine) -> None:
    text = "x\r\n# y\n\tz = '''\n#\n'''\n  \\\nf(\n)  # g"

    lines = code_line_risks(normal.score(text), text, "python")
    assert [line for line, value in enumerate(lines) if not np.isnan(value)] == [0, 2, 4, 5, 6, 7]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.sampled_from(" \t\f\r\nab:=#'\"\\()[]é"), max_size=60))
def test_any_text_gets_a_map_of_all_its_spans(normal: Engine, text: str) -> None:
    risk = normal.score(text)
    starts, ends = np.triu_indices(len(text) + 1)
    probabilities = risk.probabilities(starts, ends)

    assert risk.text_length == len(text)
    assert (probabilities <= document_risk(risk) + 1e-12).all()


@pytest.mark.parametrize(
    "edited",
    [
        COMMENTED.replace("so far", "until now"),
        COMMENTED.replace(COMMENT, ""),
        "# coding: utf-8\n" + COMMENTED,
        COMMENTED.replace("\n", "\r\n"),
        COMMENTED.replace("    ", "\t"),
        COMMENTED.replace("\n\n", "\n"),
        COMMENTED.rstrip("\n"),
    ],
    ids=["a comment edited", "removed", "added", "line ends", "tabs", "blank lines", "no line end"],
)
def test_an_edit_that_does_not_matter_runs_no_token_and_moves_no_number(normal: Engine, edited: str) -> None:
    memory = WindowMemory(PLENTY)
    before = normal.rescore(COMMENTED, "python", memory)
    ran = memory.tokens_run

    after = normal.rescore(edited, "python", memory)

    assert memory.tokens_run == ran > 0
    assert numbers(after, edited) == numbers(before, COMMENTED)


EDITS = st.tuples(
    st.integers(0, 400),
    st.integers(0, 30),
    st.sampled_from(["", "# a\n", "\n\n", "x = 1\n", "\t", "  ", "(", "'''", "é"]),
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=st.lists(EDITS, min_size=1, max_size=4))
def test_after_edits_tokens_stand_where_they_do_in_a_text_that_is_read_anew(
    normal: Engine, edits: list[tuple[int, int, str]]
) -> None:
    memory, text = WindowMemory(PLENTY), COMMENTED
    for place, removed, inserted in edits:
        text = text[:place] + inserted + text[place + removed :]
        after, anew = normal.rescore(text, "python", memory), normal.score(text)

        np.testing.assert_array_equal(after.starts, anew.starts)
        np.testing.assert_array_equal(after.ends, anew.ends)
        np.testing.assert_allclose(after.token_probabilities(), anew.token_probabilities(), atol=2e-2)


def test_what_is_known_first_is_around_the_place_in_the_document(normal: Engine) -> None:
    text, parts = "# A licence\n" * 400 + SAMPLE.replace("\n", "  # note\n") * 30, list[PartialRisk]()
    at = text.index("result", len(text) * 3 // 4)

    normal.rescore(text, "python", WindowMemory(PLENTY), at=at, on_part=parts.append)

    assert within_any([Span(at, at + 1)], parts[0].known).all()
    assert not within_any([Span(0, 1)], parts[0].known).any()


def test_what_is_known_early_of_lines_and_comments_is_what_it_is_in_the_end(normal: Engine) -> None:
    text, parts = COMMENTED * 30, list[PartialRisk]()
    whole = normal.rescore(text, "python", WindowMemory(PLENTY), at=len(text) // 2, on_part=parts.append)

    final, spans = line_risks(whole, text), stripped_line_spans(text)
    for part in parts:
        known = within_any(spans, part.known)
        early = line_risks(part.risks, text)
        tolerance = 0.05 if normal.manifest.architecture == "lines" else 1e-6
        np.testing.assert_allclose(early[known], final[known], atol=tolerance)
        comments = np.array([text[span.start : span.end].startswith("#") for span in spans])
        assert (known & comments).any()
