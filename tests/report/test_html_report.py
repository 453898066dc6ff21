"""The page: it needs nothing else, says everything in words too, and nothing in a file can become part of it."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_lsp.errors import BadInput
from risk_lsp.report.check import CheckOptions, CheckResult, check_text
from risk_lsp.report.html_report import html_report, write_page
from risk_lsp.report.wording import Tool
from tests.risk.scorers import REFERENCE, WordScorer, check

TOOL = Tool("tiny", "sha256:aa", "sha256:bb", version="1.2.3")
PROGRAM = "def f(x):\n\treturn BUG BUG\n\nx = MAYBE\n# BUG\ny = BUG\n"


class Page(HTMLParser):
    """What a browser would find: elements with their attributes, ids, and the text outside of the style sheet."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._open.append(tag)

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] != "style":
            self.texts.append(data)

    @property
    def tags(self) -> set[str]:
        return {tag for tag, _ in self.elements}

    @property
    def text(self) -> str:
        return "".join(self.texts)

    def attributes(self, name: str) -> list[str]:
        return [str(attributes[name]) for _, attributes in self.elements if name in attributes]


def page_of(result: CheckResult) -> str:
    return html_report(result.reports, TOOL, REFERENCE, result.failures)


def page_of_text(text: str, name: str = "a.py") -> str:
    report = check_text(WordScorer(), text, Path(name), CheckOptions(), REFERENCE)
    return html_report([report], TOOL, REFERENCE)


def row(html: str, line: int) -> str:
    """The row of a line in the heat map, its cells apart."""
    (found,) = re.findall(rf'<tr id="f1-{line}".*</tr>', html)
    return " ".join(re.sub(r"<[^>]+>", " ", found).split())


def step(html: str, line: int) -> str:
    return "".join(re.findall(rf'<tr id="f1-{line}" class="(\w+)"', html))


# --- what it says


def test_each_line_has_its_number_and_its_percentage_in_text() -> None:
    html = page_of_text(PROGRAM)
    assert row(html, 2) == "87% 2 return BUG BUG"
    assert row(html, 4) == "20% 4 x = MAYBE"


def test_the_shading_has_four_steps_drawn_as_bars_too() -> None:
    html = page_of_text(PROGRAM + "z = MAYBE MAYBE\n")
    assert [step(html, line) for line in (1, 2, 4, 6, 7)] == ["", "s4", "s1", "s3", "s2"]
    assert '<span class="bar s4" aria-hidden="true">' in html


def test_lines_without_code_have_no_percentage() -> None:
    html = page_of_text(PROGRAM)
    assert (row(html, 3), row(html, 5)) == ("3", "5 # BUG")


def test_the_top_lines_say_why_and_what_such_a_number_has_meant() -> None:
    text = Page(page_of_text(PROGRAM)).text
    assert "line 2" in text and "Most of it from return BUG BUG" in text
    assert "of lines scored 50-90%, 58% were edited, n = 612" in text


def test_functions_and_the_file_have_their_probabilities() -> None:
    text = " ".join(Page(page_of_text(PROGRAM)).text.split())
    assert "99% that something in this file has to be edited" in text
    assert "ffunction87%" in text.replace(" ", "")


@pytest.mark.parametrize(
    ("text", "name", "reason"), [("let x = 1\n", "a.js", "javascript"), ("x = 1\n" * 1001, "a.py", "1,002 lines")]
)
def test_a_file_outside_of_the_calibrated_range_says_so(text: str, name: str, reason: str) -> None:
    page = Page(page_of_text(text, name)).text
    assert "Outside the calibrated range:" in page and reason in page


def test_a_file_like_those_measured_says_nothing_of_a_range() -> None:
    assert "calibrated range" not in Page(page_of_text(PROGRAM)).text


def test_several_files_are_listed_with_the_likeliest_lines_of_all(tmp_path: Path) -> None:
    for name, text in [("a.py", "x = MAYBE\n"), ("b.py", "x = BUG\n")]:
        (tmp_path / name).write_text(text)
    html = page_of(check(tmp_path / "a.py", tmp_path / "b.py", options=CheckOptions(top=1)))
    first_list = html[html.index('<ol class="top">') : html.index("</ol>")]
    assert "b.py, line 1" in first_list and "a.py" not in first_list
    assert "2 files" in html


def test_what_could_not_be_checked_is_on_the_page(tmp_path: Path) -> None:
    assert "missing.py does not exist" in Page(page_of(check(tmp_path / "missing.py"))).text


def test_every_link_leads_to_a_place_on_the_page(tmp_path: Path) -> None:
    for name in ("a.py", "b.py"):
        (tmp_path / name).write_text(PROGRAM)
    page = Page(page_of(check(tmp_path)))
    ids = page.attributes("id")
    assert len(ids) == len(set(ids))
    assert {link.removeprefix("#") for link in page.attributes("href")} <= set(ids)
    assert set(page.attributes("aria-labelledby")) <= set(ids)


# --- what it needs


def test_the_page_has_no_scripts_and_loads_nothing() -> None:
    html = page_of_text(PROGRAM)
    page = Page(html)
    assert page.tags.isdisjoint({"script", "link", "img", "iframe", "object", "embed", "base", "form"})
    assert page.attributes("src") == [] and page.attributes("style") == []
    assert "url(" not in html and "@import" not in html and "http:" not in html and "https:" not in html


def test_the_security_policy_allows_the_page_s_own_style_sheet_and_nothing_else() -> None:
    html = page_of_text(PROGRAM)
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', html)
    style = html[html.index("<style>") + len("<style>") : html.index("</style>")]
    allowed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'sha256-{allowed}'; base-uri 'none'; form-action 'none'"


def test_the_style_sheet_is_ready_for_dark_screens_forced_colours_and_paper() -> None:
    html = page_of_text(PROGRAM)
    for condition in ("(prefers-color-scheme: dark)", "(forced-colors: active)", "print"):
        assert f"@media {condition} {{" in html


# --- what cannot get into it

HOSTILE = "</code></td><script>alert(1)</script><img src=x onerror=alert(1)>\"'&lt; {{ 7 * 7 }} {% raw %}"


def test_hostile_source_is_shown_as_text() -> None:
    page = Page(page_of_text(f"BUG = 1 # {HOSTILE}\n"))
    assert page.tags.isdisjoint({"script", "img"})
    assert f"BUG = 1 # {HOSTILE}" in page.text


def test_a_hostile_file_name_is_shown_as_text() -> None:
    page = Page(page_of_text(PROGRAM, f'"{HOSTILE}".py'))
    assert page.tags.isdisjoint({"script", "img"}) and f'"{HOSTILE}".py' in page.text


def test_a_hostile_message_is_shown_as_text(tmp_path: Path) -> None:
    assert "script" not in Page(page_of(check(tmp_path / "<script>alert(1)<"))).tags


def test_code_cannot_hide_itself_or_turn_its_direction() -> None:
    assert "x = '<1B>[2J<202E>'" in Page(page_of_text("x = '\x1b[2J\u202e'\n")).text


@given(st.text(max_size=40).filter(str.strip), st.text(st.characters(codec="utf-8"), min_size=1, max_size=20))
def test_no_text_and_no_name_add_an_element(text: str, name: str) -> None:
    ordinary = Page(page_of_text("x\n")).tags | {"ol", "li", "p", "h3", "tbody"}
    assert Page(page_of_text(text, f"{name}.py")).tags <= ordinary


# --- where it goes


def test_a_page_is_written_as_utf_8(tmp_path: Path) -> None:
    write_page(page_of_text("x = 'é例🙂'\n"), tmp_path / "a.html")
    assert "é例🙂" in (tmp_path / "a.html").read_bytes().decode("utf-8")


def test_a_stream_of_another_encoding_gets_the_same_page(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="cp1252", write_through=True))
    write_page(page_of_text("x = 'é例🙂'\n"), None)
    assert "x = 'é例🙂'" in Page(raw.getvalue().decode("ascii")).text


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"none/a\.html cannot be written"):
        write_page("", tmp_path / "none" / "a.html")
