"""The file behind remembered lines."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from risk_lsp.server.documents import ignored_lines as ignore_store
from risk_lsp.server.documents.ignored_lines import IgnoreStore
from risk_lsp.text.document import Document

LINES = 40


def document(uri: str = "file:///a.py") -> Document:
    return Document(uri, 1, "".join(f"line {number}\n" for number in range(LINES)), "python")


def test_what_one_server_remembers_another_sees(tmp_path: Path) -> None:
    one, other = IgnoreStore(tmp_path), IgnoreStore(tmp_path)
    assert other.lines(document()) == frozenset()
    one.add(document(), 3)
    assert other.lines(document()) == {3}
    assert other.remove(document(), 3)
    assert one.lines(document()) == frozenset()


def test_servers_that_write_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda line: IgnoreStore(tmp_path).add(document(), line), range(LINES)))
    assert IgnoreStore(tmp_path).lines(document()) == set(range(LINES))


def test_a_line_is_remembered_once(tmp_path: Path) -> None:
    store = IgnoreStore(tmp_path)
    for _ in range(3):
        store.add(document(), 3)
    assert store.remove(document(), 3)
    assert store.lines(document()) == frozenset()


def test_documents_are_kept_apart(tmp_path: Path) -> None:
    store = IgnoreStore(tmp_path)
    store.add(document(), 3)
    assert store.lines(document("file:///b.py")) == frozenset()


def test_the_oldest_lines_and_files_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ignore_store, "_LINES_AT_MOST", 2)
    monkeypatch.setattr(ignore_store, "_FILES_AT_MOST", 2)
    store = IgnoreStore(tmp_path)
    for line in (1, 2, 3):
        store.add(document(), line)
    assert store.lines(document()) == {2, 3}
    for age, uri in ((100, "file:///a.py"), (50, "file:///b.py"), (0, "file:///c.py")):
        store.add(document(uri), 5)
        newest = max(tmp_path.glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
        os.utime(newest, (1e9 - age, 1e9 - age))
    assert [bool(store.lines(document(f"file:///{name}.py"))) for name in "abc"] == [False, True, True]


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"format": 2, "lines": []}', '{"format": 1, "lines": [{}]}', "\xff"]
)
def test_a_file_that_cannot_be_read_counts_as_empty_and_is_replaced(tmp_path: Path, content: str) -> None:
    store = IgnoreStore(tmp_path)
    store.add(document(), 3)
    (file,) = tmp_path.glob("*.json")
    file.write_text(content, encoding="latin-1")
    assert IgnoreStore(tmp_path).lines(document()) == frozenset()
    IgnoreStore(tmp_path).add(document(), 4)
    assert IgnoreStore(tmp_path).lines(document()) == {4}


def test_nothing_is_written_until_a_line_is_remembered(tmp_path: Path) -> None:
    store = IgnoreStore(tmp_path / "data")
    assert not store.remove(document(), 3)
    assert store.lines(document()) == frozenset()
    assert not (tmp_path / "data").exists()
