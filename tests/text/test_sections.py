"""Parts of long texts: whole at their margins, long enough, and the same wherever nothing before them changed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from risk_lsp.text.lines import LineIndex
from risk_lsp.text.sections import LEAST, WHOLE, sections

FUNCTION = """\
@cached
def work(items):
    if items:
        return 1
    else:
        return [
            2,
        ]

"""
LINES = st.sampled_from(
    ["", "x = 1", "    y = 2", "@d", "def f():", "else:", ")", "# note", "\tz", "\x0c", "漢字 = 1", "class C:"]
)
TEXTS = st.lists(LINES, max_size=3 * WHOLE).flatmap(
    lambda lines: st.sampled_from(["\n", "\r\n", "\r"]).map(lambda end: end.join(lines))
)


def parts(text: str) -> list[str]:
    return [text[part.start : part.end] for part in sections(text)]


@given(TEXTS)
def test_parts_are_the_text_without_gaps(text: str) -> None:
    assert "".join(parts(text)) == text


@given(TEXTS)
def test_every_part_has_its_least_length_and_begins_a_line(text: str) -> None:
    starts = LineIndex(text).starts.tolist()
    cuts = [starts.index(part.start) for part in sections(text)]
    assert all(
        later - earlier >= LEAST for earlier, later in zip(cuts, [*cuts[1:], max(LEAST, len(starts))], strict=True)
    )


def test_a_text_of_moderate_length_is_one_part() -> None:
    assert parts("x = 1\n" * (WHOLE - 1)) == ["x = 1\n" * (WHOLE - 1)]


def test_a_longer_text_falls_between_functions_and_not_within_them() -> None:
    found = parts(FUNCTION * 40)
    assert len(found) > 5
    assert all(part.startswith("@cached\ndef work") for part in found)


def test_a_class_is_not_cut_however_long_it_is() -> None:
    body = "class Long:\n" + "    def method(self):\n        return 1\n\n" * 100
    assert any(body in part for part in parts("x = 1\n" * 30 + body + FUNCTION * 10))


def test_an_edit_below_changes_no_part_above_it() -> None:
    text = FUNCTION * 60
    edited = text + "x = 1\n" * 30
    assert parts(edited)[:20] == parts(text)[:20]
