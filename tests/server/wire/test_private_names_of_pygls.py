"""What the server uses of pygls without pygls's promise: it is listed, it is there, and no other module uses any."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest
from pygls.lsp.server import LanguageServer
from pygls.protocol import LanguageServerProtocol

from risk_lsp import server as room
from risk_lsp.server.wire.messenger import Messenger
from risk_lsp.server.wire.protocol import PRIVATE_NAMES, RiskProtocol

ROOM = Path(room.__file__).parent
OF_NAMED_TUPLES = ("_asdict", "_replace")  # which Python documents
OVERRIDDEN = [name for name in PRIVATE_NAMES if name in vars(RiskProtocol)]


def private_attributes(path: Path) -> Iterator[ast.Attribute]:
    """Where a module writes `something._name`."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
            yield node


def is_own(node: ast.Attribute) -> bool:
    """Whether the object is `self` or `cls`."""
    return isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")


@pytest.mark.parametrize("name", PRIVATE_NAMES)
def test_pygls_has_the_name(name: str) -> None:
    assert hasattr(LanguageServer("plain", "1").protocol, name)


@pytest.mark.parametrize("name", OVERRIDDEN)
def test_pygls_calls_it_with_the_arguments_that_we_take(name: str) -> None:
    ours, theirs = (inspect.signature(getattr(cls, name)) for cls in (RiskProtocol, LanguageServerProtocol))
    assert list(ours.parameters) == list(theirs.parameters)


def test_all_names_that_are_relied_on_are_listed() -> None:
    plain = LanguageServer("plain", "1")
    of_pygls = {*dir(plain), *dir(plain.protocol)}
    used = {node.attr for path in (ROOM / "wire").glob("*.py") for node in private_attributes(path)}
    overridden = {name for cls in (RiskProtocol, Messenger) for name in vars(cls) if not name.startswith("__")}
    private = {name for name in (used | overridden) & of_pygls if name.startswith("_")}
    assert private == set(PRIVATE_NAMES)


def test_no_module_looks_into_what_is_not_its_own() -> None:
    found = [
        f"{path.relative_to(ROOM)}:{node.lineno} {node.attr}"
        for path in sorted(ROOM.rglob("*.py"))
        for node in private_attributes(path)
        if not is_own(node) and node.attr not in OF_NAMED_TUPLES
        if not (path.name == "protocol.py" and node.attr in PRIVATE_NAMES)
    ]
    assert found == []
