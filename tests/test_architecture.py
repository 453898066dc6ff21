"""The rooms of the house: data flows one way, heavy libraries stay in their rooms, and one name is one thing."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "risk_lsp"

# A room may import from itself, from the rooms named here, and from the modules in COMMON.
MAY_IMPORT: dict[str, set[str]] = {
    "text": set(),
    "sandbox": set(),
    "model": {"text"},
    "worker": set(),
    "probe": {"text", "model"},
    "edits": {"text"},
    "risk": {"text", "model", "worker", "probe"},
    "report": {"text", "probe", "risk"},
    "personal": {"text", "edits", "probe", "risk"},
    "repair": {"text", "worker", "risk", "edits", "sandbox"},
    "team": {"text", "model", "worker", "risk"},
    "server": {"text", "model", "worker", "probe", "risk", "report", "personal", "repair", "sandbox", "team"},
    "cli": {"text", "model", "worker", "probe", "risk", "report", "personal", "repair", "sandbox", "server", "team"},
    "__main__": {"cli"},
}
# The laboratory is above the product, which does not know of it; each of its rooms may import from those before it.
LABORATORY = (
    *("lab", "lab.json_lines", "lab.span_tables", "lab.task_pool"),
    *("lab.patches", "lab.training", "lab.deriving", "lab.evaluation", "lab.debugger", "lab.commands"),
)
COMMON = {"errors", "files", "settings", "__init__"}
MOST_MODULES = 20
PARTICIPLE = r"[a-z]+ed|shown|written|known|made|told|given|found|taken|kept|drawn|done|grown|held|lost|said|seen|sent"
VERBS = {"feed"}

HOMES: dict[str, set[str]] = {
    "torch": {"model"},
    "transformers": {"model"},
    "gguf": {"model"},
    "safetensors": {"model", "probe"},
    "tokenizers": {"model"},
    "lsprotocol": {"server"},
    "pygls": {"server"},
    "rich": {"report"},
    "jinja2": {"report"},
    "openai": {"repair"},
    "starlette": {"team"},
    "uvicorn": {"team"},
    "h11": {"team"},
    "prometheus_client": {"team"},
    "httpx2": {"team"},
    "tree_sitter": {"text"},
    "tree_sitter_python": {"text"},
    "scipy": set(),
    "sklearn": set(),
    "matplotlib": set(),
}
HEAVY = {"torch", "transformers", "gguf", "safetensors", "tokenizers"}

MODULES = sorted(PACKAGE.rglob("*.py"))
PRODUCT = [path for path in MODULES if path.relative_to(PACKAGE).parts[0] != "lab"]
every_module = pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))


def room_of(path: Path) -> str:
    """The folder below the package, or below the laboratory; of a module beside the rooms its own name."""
    *folders, name = path.relative_to(PACKAGE).with_suffix("").parts
    if folders == ["lab"] and name != "__init__":
        return f"lab.{name}"
    return ".".join(folders[: 2 if folders[0] == "lab" else 1]) if folders else name


def rooms_for(room: str) -> set[str]:
    """The rooms that a module of this one may import from."""
    if room in LABORATORY:
        return {*COMMON, *MAY_IMPORT, *LABORATORY[: LABORATORY.index(room) + 1]}
    return COMMON | {room} | MAY_IMPORT.get(room, set())


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


def modules_in_strings_of(path: Path) -> Iterator[str]:
    """The dotted names of our modules that stand in a module's strings: what is imported or started by its name."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from re.findall(r"\brisk_lsp(?:\.\w+)+", node.value)


def module_file(name: str) -> Path | None:
    """The file of one of the package's modules; None for other names."""
    place = PACKAGE.joinpath(*name.split(".")[1:])
    files = (place.with_suffix(".py"), place / "__init__.py")
    return next((file for file in files if name.startswith("risk_lsp") and file.is_file()), None)


@every_module
def test_a_room_imports_from_the_rooms_below_it_only(path: Path) -> None:
    names = [*imports_of(path), *modules_in_strings_of(path)]
    rooms = {room_of(file) for name in names if (file := module_file(name))}
    assert rooms <= rooms_for(room_of(path))


@pytest.mark.parametrize("path", PRODUCT, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_the_product_does_not_name_the_laboratory(path: Path) -> None:
    assert re.search(r"risk_lsp[./]lab\b", path.read_text("utf-8")) is None


@every_module
def test_heavy_libraries_stay_in_their_rooms(path: Path) -> None:
    imported = {name.split(".")[0] for name in imports_of(path)}
    room = room_of(path)
    assert {library for library in imported & set(HOMES) if room not in HOMES[library] | set(LABORATORY)} == set()


def test_starting_the_server_or_the_command_reaches_no_heavy_library() -> None:
    reached = [path for path in PRODUCT if room_of(path) in ("server", "cli")]
    for path in reached:  # grows while it is walked
        names = list(imports_at_start_of(path))
        assert HEAVY.isdisjoint(name.split(".")[0] for name in names), path
        reached += [file for name in names if (file := module_file(name)) and file not in reached]


def test_every_room_has_its_rule() -> None:
    rooms = {room_of(path) for path in MODULES} - COMMON
    assert rooms <= {*MAY_IMPORT, *LABORATORY}


def test_no_two_modules_of_the_product_share_a_name() -> None:
    places = defaultdict(list)
    for path in PRODUCT:
        if path.stem not in ("__init__", "__main__"):
            places[path.stem].append(path.relative_to(PACKAGE))
    assert {name: paths for name, paths in places.items() if len(paths) > 1} == {}


def test_no_two_public_classes_of_the_product_share_a_name() -> None:
    places = defaultdict(list)
    for path in PRODUCT:
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(path.relative_to(PACKAGE))
    assert {name: paths for name, paths in places.items() if len(paths) > 1} == {}


def test_no_folder_is_too_large_to_be_seen_at_once() -> None:
    sizes = {folder: len(list(folder.glob("*.py"))) for folder in {path.parent for path in MODULES}}
    assert {folder.name: size for folder, size in sizes.items() if size > MOST_MODULES} == {}


@every_module
def test_functions_are_named_by_verbs_or_nouns_and_not_by_a_bare_participle(path: Path) -> None:
    functions = (
        node
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and not any(isinstance(each, ast.Name) and each.id.endswith("property") for each in node.decorator_list)
    )
    names = {function.name.strip("_") for function in functions}
    assert {name for name in names if re.fullmatch(PARTICIPLE, name)} - VERBS == set()
