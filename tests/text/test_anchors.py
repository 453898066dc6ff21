"""Finding a line again after edits."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from risk_lsp.text.document import Document
from risk_lsp.text.tracking import LineAnchor, anchor_of, find_anchors, hashed_lines

TEXT = "import os\n\ndef f(a):\n    b = a\n    return b\n\ndef g(a):\n    return b\n"


def anchor(text: str, line: int) -> LineAnchor:
    found = anchor_of(hashed_lines(Document("file:///a", 1, text, "python")), line)
    assert found is not None
    return found


def found(one: LineAnchor, text: str) -> int | None:
    return find_anchors([one], hashed_lines(Document("file:///a", 2, text, "python"))).get(one)


def test_a_line_is_found_where_nothing_changed() -> None:
    assert found(anchor(TEXT, 4), TEXT) == 4
    assert found(anchor(TEXT, 7), TEXT) == 7


def test_lines_above_and_below_may_come_and_go_and_blank_ones_and_indentation_do_not_count() -> None:
    assert found(anchor(TEXT, 4), "# new\n" + TEXT.replace("    return b\n\n", "\n\n  return b\nprint()\n")) == 7


def test_a_line_is_gone_once_its_content_changes() -> None:
    assert found(anchor(TEXT, 4), TEXT.replace("return b", "return c")) is None


def test_the_same_content_among_other_lines_is_another_line() -> None:
    assert found(anchor(TEXT, 4), "class C:\n    x = 1\n    return b\n    y = 1\n    z = 1\n") is None


def test_of_two_lines_alike_the_one_with_more_of_its_neighbours_is_meant() -> None:
    assert found(anchor(TEXT, 7), TEXT.replace("import os\n", "")) == 6


def test_a_line_that_is_alone_needs_no_neighbours() -> None:
    assert found(anchor("a = 1\n", 0), "\n\na = 1\nb = 2\n") == 2


def test_two_anchors_never_mean_one_line() -> None:
    text = "a\nb\na\nb\na\n"
    anchors = [anchor(text, 0), anchor(text, 2), anchor(text, 4)]
    lines = find_anchors(anchors, hashed_lines(Document("file:///a", 1, "x\na\nb\na\nb\na\n", "python")))
    assert sorted(lines.values()) == [1, 3, 5]


def test_hashes_do_not_hold_the_text() -> None:
    assert "secret" not in repr(anchor("a\nsecret\nb", 1)._asdict())


@given(st.lists(st.sampled_from(["a", "b", "c", ""]), max_size=12), st.data())
def test_in_the_same_text_every_line_is_itself_or_looks_exactly_alike(lines: list[str], data: st.DataObject) -> None:
    text = "\n".join([*lines, "x"])
    line = data.draw(st.sampled_from([place for place, content in enumerate([*lines, "x"]) if content]))
    assert found(anchor(text, line), text) == line
