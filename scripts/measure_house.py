"""The size and shape of the code, as figures: python scripts/measure_house.py

Modules are all but `__init__.py`. A private function is called once if its module names it once besides its head.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "risk_lsp"
FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


def functions(tree: ast.AST) -> Iterator[FunctionNode]:
    """Every function and method of a module."""
    for node in ast.walk(tree):
        if isinstance(node, FunctionNode):
            yield node


def private_functions_called_once(sources: dict[Path, str]) -> tuple[int, int]:
    """How many private functions and methods there are, and how many of them are named once outside of their head."""
    found = once = 0
    for source in sources.values():
        names = Counter(re.findall(r"\w+", source))
        for function in functions(ast.parse(source)):
            if function.name.startswith("_") and not function.name.startswith("__"):
                found += 1
                once += names[function.name] == 2
    return found, once


def main() -> None:
    """Print the figures."""
    sources = {path: path.read_text("utf-8") for path in sorted(PACKAGE.rglob("*.py"))}
    modules = {path: len(source.splitlines()) for path, source in sources.items() if path.name != "__init__.py"}
    lengths = [
        int(node.end_lineno or node.lineno) - node.lineno + 1
        for source in sources.values()
        for node in functions(ast.parse(source))
    ]
    folders = Counter(path.parent for path in modules)
    largest, size = folders.most_common(1)[0]
    private, once = private_functions_called_once(sources)
    product = sum(path.relative_to(PACKAGE).parts[0] != "lab" for path in modules)
    print(f"modules: {len(modules)} ({product} of the product, {len(modules) - product} of the laboratory)")
    print(f"lines: {sum(modules.values()):,}")
    print(f"median module: {median(modules.values()):g} lines")
    print(f"median function: {median(lengths):g} lines")
    print(f"largest folder: {largest.relative_to(ROOT)}, {size} modules")
    print(f"private functions: {private}, called once: {once}")
    for folder in sorted(folders):
        print(f"  {folder.relative_to(ROOT)}: {folders[folder]}")


if __name__ == "__main__":
    main()
