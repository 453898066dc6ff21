"""Where in a document the parts of the text stand that a model reads for it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from risk_lsp.text.document import Span
from risk_lsp.text.normal_form import ModelText
from tests.text.test_normal_form import any_code

DOCUMENT = "#!/bin/x\nif a :  # why\n\t# how\n\tb = '''c\r\n  d'''\r\n\n\ndef f(): pass"
TEXT = "if a :\n    b = '''c\n  d'''\n\ndef f(): pass\n"


def spans(read: ModelText, *words: str) -> list[str]:
    """What stands in the document for pieces of the text."""
    starts = np.array([read.text.index(word) for word in words])
    ends = starts + [len(word) for word in words]
    return [DOCUMENT[a:b] for a, b in zip(*read.spans_in_document(starts, ends), strict=True)]


@pytest.fixture
def normal() -> ModelText:
    return ModelText(DOCUMENT, "normal-1")


def test_what_is_read_is_the_normal_form(normal: ModelText) -> None:
    assert normal.text == TEXT


def test_what_is_read_verbatim_is_the_document() -> None:
    assert ModelText(DOCUMENT, "verbatim").text == DOCUMENT


def test_another_language_keeps_its_number_signs() -> None:
    assert ModelText("a # b\r\n", "normal-1", "c").text == "a # b\n"


def test_words_stand_for_themselves(normal: ModelText) -> None:
    assert spans(normal, "if", "a", "'''c\n  d'''") == ["if", "a", "'''c\r\n  d'''"]


def test_white_space_around_a_word_is_not_part_of_its_span(normal: ModelText) -> None:
    assert spans(normal, " a ", " :\n    ", "\n    b", "()") == ["a", ":", "b", "()"]


def test_white_space_alone_stands_for_nothing_in_front_of_what_follows_it(normal: ModelText) -> None:
    starts = np.array([TEXT.index(" :"), TEXT.index("    b"), TEXT.index("\n\ndef"), len(TEXT) - 1])
    found, ends = normal.spans_in_document(starts, starts + 1)

    following = [DOCUMENT.index(word) for word in (":", "b = ", "def")]
    assert found.tolist() == ends.tolist() == [*following, len(DOCUMENT)]


@given(document=any_code, cuts=st.lists(st.integers(0, 60)))
def test_spans_in_order_stay_in_order_and_within_the_document(document: str, cuts: list[int]) -> None:
    text = ModelText(document, "normal-1")
    bounds = np.array(sorted({0, len(text.text), *(min(cut, len(text.text)) for cut in cuts)}))
    starts, ends = text.spans_in_document(bounds[:-1], bounds[1:])

    assert is_rising(starts) and is_rising(ends) and (starts <= ends).all()
    assert not len(starts) or (starts[0] >= 0 and ends[-1] <= len(document))


def is_rising(offsets: NDArray[np.int32]) -> bool:
    return bool((np.diff(offsets) >= 0).all())


def test_a_span_of_the_document_is_found_in_the_text(normal: ModelText) -> None:
    start = DOCUMENT.index("b = ")
    found = normal.span_in_text(Span(start, start + 3))

    assert TEXT[found.start : found.end] == "b ="


def test_a_comment_is_nowhere_in_the_text(normal: ModelText) -> None:
    start = DOCUMENT.index("# how")
    found = normal.span_in_text(Span(start, start + len("# how")))

    assert found.start == found.end == TEXT.index("    b")


def test_neighbouring_stretches_leave_out_nothing_of_the_document(normal: ModelText) -> None:
    middle = TEXT.index("    b")
    first, second = normal.stretches_in_document([Span(0, middle), Span(middle, len(TEXT))])

    assert (first.start, second.end) == (0, len(DOCUMENT))
    assert DOCUMENT[first.start : first.end].endswith("# how\n\t")
    assert DOCUMENT[second.start : second.end].startswith("\t# how\n\tb")


def test_verbatim_offsets_stay_as_they_are() -> None:
    read = ModelText(DOCUMENT, "verbatim")

    assert read.span_in_text(Span(3, 9)) == (3, 9)
    assert read.stretches_in_document([Span(3, 9)]) == (Span(3, 9),)
    assert spans(read, "# how\n") == ["# how\n"]
