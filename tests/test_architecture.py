"""The rooms of the house: data flows one way, and heavy libraries stay in their rooms."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "risk_lsp"

# From left to right; a room may import from itself, from the rooms named here, and from the modules in COMMON.
MAY_IMPORT: dict[str, set[str]] = {
    "text": set(),
    "model": {"text"},
    "probe": {"text", "model"},
    "risk": {"text", "model", "probe"},
    "repair": {"text", "model", "probe", "risk", "patches", "evaluation"},
    "server": {"text", "model", "probe", "risk", "patches", "repair"},
    "evaluation": {"text"},
    "patches": {"text", "model", "probe"},
    "training": {"text", "model", "probe", "evaluation", "patches", "risk"},
    "cli": {"text", "model", "probe", "risk", "server", "evaluation", "patches", "repair", "training"},
    "cli_commands": {"text", "model", "probe", "risk", "server", "cli"},
    "__main__": {"cli"},
}
COMMON = {"errors", "settings", "__init__"}

HOMES: dict[str, set[str]] = {
    "torch": {"model", "training"},
    "transformers": {"model", "training"},
    "safetensors": {"model", "probe", "training"},
    "tokenizers": {"model", "probe", "training"},
    "lsprotocol": {"server"},
    "pygls": {"server"},
    "rich": {"risk"},
    "jinja2": {"risk"},
    "tree_sitter": {"text"},
    "tree_sitter_python": {"text"},
}

HEAVY = {"torch", "transformers", "safetensors", "tokenizers"}

MODULES = sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    """The folder below the package, or the module's own name for a module beside the rooms."""
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else path.stem


def imports_of(path: Path) -> Iterator[str]:
    """The dotted names that a module imports, anywhere in it."""
    return _imported(ast.walk(ast.parse(path.read_text("utf-8"))), path)


def imports_at_start_of(path: Path) -> Iterator[str]:
    """The dotted names that are imported as soon as the module is: not those inside of functions or for types alone."""
    return _imported(ast.parse(path.read_text("utf-8")).body, path)


def _imported(nodes: Iterable[ast.AST], path: Path) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level == 1:  # from the same folder: the room itself
                continue
            assert node.level == 0, f"{path} imports from a folder above its own without naming it"
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def module_file(name: str) -> Path | None:
    """The file of one of the package's modules; None for other names."""
    place = PACKAGE.joinpath(*name.split(".")[1:])
    files = (place.with_suffix(".py"), place / "__init__.py")
    return next((file for file in files if name.startswith("risk_lsp") and file.is_file()), None)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_imports_from_the_rooms_to_its_left_only(path: Path) -> None:
    room = room_of(path)
    allowed = COMMON | {room} | MAY_IMPORT.get(room, set())
    rooms = {room_of(file) for name in imports_of(path) if (file := module_file(name))}
    assert rooms <= allowed


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_heavy_libraries_stay_in_their_rooms(path: Path) -> None:
    imported = {name.split(".")[0] for name in imports_of(path)}
    astray = {library for library in imported & set(HOMES) if room_of(path) not in HOMES[library]}
    assert astray == set()


def test_starting_the_server_or_the_command_reaches_no_heavy_library() -> None:
    reached = [path for path in MODULES if room_of(path) in ("server", "cli")]
    for path in reached:  # grows while it is walked
        names = list(imports_at_start_of(path))
        assert HEAVY.isdisjoint(name.split(".")[0] for name in names), path
        reached += [file for name in names if (file := module_file(name)) and file not in reached]


def test_every_room_has_its_rule() -> None:
    rooms = {room_of(path) for path in MODULES} - COMMON
    assert rooms <= set(MAY_IMPORT)
