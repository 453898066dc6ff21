"""URIs as clients write them: one path, one name and one spelling, whoever wrote them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_lsp.server.wire.convert import name_of, normal_uri, path_of
from tests.conftest import FIXTURES
from tests.server.lsp_client import LspClient

RECORDED: dict[str, Any] = json.loads((FIXTURES / "client_uris.json").read_text("utf-8"))
EACH = [
    pytest.param(kind, entry["path"], uri, id=f"{kind}: {client}")
    for kind in ("posix", "windows")
    for entry in RECORDED[kind]
    for client, uri in entry["uris"].items()
]
names = st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1).filter(
    lambda name: name not in (".", "..")
)
paths = st.lists(names, min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))
unencoded = st.text(st.sampled_from("!$&'()*+,;=:@-._~"))


@pytest.mark.parametrize(("kind", "path", "uri"), EACH)
def test_the_uri_of_each_client_means_the_path(kind: str, path: str, uri: str) -> None:
    assert path_of(uri, windows=kind == "windows") == path.replace("SERVER", "server")


@pytest.mark.parametrize(("kind", "path", "uri"), EACH)
def test_the_uris_of_all_clients_have_one_spelling(kind: str, path: str, uri: str) -> None:
    entry = next(entry for entry in RECORDED[kind] if entry["path"] == path)
    assert {normal_uri(each) for each in entry["uris"].values()} == {normal_uri(uri)}


@pytest.mark.parametrize(("kind", "path", "uri"), EACH)
def test_people_are_told_the_name_of_the_file(kind: str, path: str, uri: str) -> None:
    assert name_of(uri) == path.replace("\\", "/").rpartition("/")[2]


@given(paths, unencoded)
def test_a_path_comes_back_whatever_its_client_leaves_unencoded(path: str, safe: str) -> None:
    assert path_of("file://" + quote(path, safe="/" + safe), windows=False) == path


@given(paths, unencoded, unencoded)
def test_what_a_client_leaves_unencoded_makes_no_other_spelling(path: str, safe: str, other: str) -> None:
    one, two = ("file://" + quote(path, safe="/" + each) for each in (safe, other))
    assert normal_uri(one) == normal_uri(two) == normal_uri(normal_uri(one))


@given(st.text())
def test_no_text_whatever_makes_trouble(uri: str) -> None:
    assert normal_uri(normal_uri(uri)) == normal_uri(uri)
    assert path_of(uri) is None or uri.lower().startswith("file:")
    assert name_of(uri).isprintable() or name_of(uri) == ""


@given(st.binary(min_size=1).filter(lambda name: not {0, 0x2F} & set(name)))
def test_a_name_that_is_not_utf_8_comes_back(name: bytes) -> None:
    path = os.fsdecode(b"/" + name)
    assert path_of(Path(path).as_uri() if name not in (b".", b"..") else f"file://{path}", windows=False) == path


@pytest.mark.parametrize(
    "uri", ["untitled:Untitled-1", "vscode-notebook-cell:/a.ipynb#W0s", "", "file:relative.py", "file:///a%00b"]
)
def test_what_names_no_file_has_no_path(uri: str) -> None:
    assert path_of(uri) is None


def test_case_counts_on_a_path_without_a_drive() -> None:
    assert normal_uri("file:///home/A.py") != normal_uri("file:///home/a.py")
    assert normal_uri("file:///C:/A.py") == normal_uri("file:///c%3A/a.py")


def test_fragments_tell_cells_apart() -> None:
    assert normal_uri("vscode-notebook-cell:/a.ipynb#W0s") != normal_uri("vscode-notebook-cell:/a.ipynb#W1s")


async def test_a_document_is_found_under_another_spelling_of_its_uri(client: LspClient) -> None:
    opened, asked = "file:///c%3A/Users/Ada/a%20b.py", "file:///C:/Users/Ada/a b.py"
    await client.initialize()
    client.open(opened, "a = BUG\n")
    assert len(await client.diagnostics(opened, 1)) == 1
    assert await client.hover(asked, 0) is not None
    client.replace(asked, 2, "a = 1\n")
    assert await client.diagnostics(opened, 2) == []
    client.close(asked)
    assert await client.diagnostics(opened, None) == []
    assert await client.hover(opened, 0) is None
