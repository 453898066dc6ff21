"""Well-kept code: how much a bundle says about libraries that many people have read, where it should say little."""

from __future__ import annotations

import ast
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib import metadata
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from risk_lsp.errors import BadInput
from risk_lsp.lab.evaluation.as_met.columns import Column, passage_of
from risk_lsp.lab.evaluation.as_met.conditions import LONGEST_FUNCTION
from risk_lsp.lab.evaluation.problem_bootstrap import with_interval
from risk_lsp.lab.training.training_documents import LIBRARIES_TO_MEASURE
from risk_lsp.risk.presentation import LINES_PER_HINT
from risk_lsp.settings import Settings

STANDARD_LIBRARY = "python"
# Of the standard library: tables of characters, games, and what is on its way out.
_SET_ASIDE = frozenset({"encodings", "pydoc_data", "turtledemo", "idlelib", "lib2to3", "distutils", "ensurepip"})
FEWEST_LINES = 20  # of code, in a file


@dataclass(frozen=True)
class LibraryFile:
    """A file of a library: where it stands in it, and what it holds."""

    library: str
    path: str
    text: str


@dataclass(frozen=True)
class Shelf:
    """Files of the libraries that are installed, and the names of those that are not."""

    files: tuple[LibraryFile, ...]
    missing: tuple[str, ...]

    def functions(self) -> list[str]:
        """The functions at the margin of all files, as they stand there; short ones and very long ones are left out."""
        found = []
        for file in self.files:
            lines = file.text.splitlines(keepends=True)
            for node in ast.parse(file.text).body:
                if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.end_lineno is not None:
                    first = min((decorator.lineno for decorator in node.decorator_list), default=node.lineno)
                    if 5 <= node.end_lineno - first + 1 <= LONGEST_FUNCTION:
                        found.append("".join(lines[first - 1 : node.end_lineno]))
        return found


def read_shelf(most: int, libraries: Sequence[str] = LIBRARIES_TO_MEASURE) -> Shelf:
    """`most` files, chosen by a hash of their names: a third from the standard library, the rest from installed ones.

    Libraries take turns. Tests, files of few lines, and files that are too long for the product are left out. BadInput
    if there is no file at all.
    """
    root = Path(sysconfig.get_paths()["stdlib"])
    modules = sorted(name for name in sys.stdlib_module_names - _SET_ASIDE if not name.startswith("_"))
    paths = [path for name in modules for path in (root / f"{name}.py", *sorted((root / name).rglob("*.py")))]
    standard = {path.relative_to(root).as_posix(): path for path in paths}
    found = list(islice(_usable(STANDARD_LIBRARY, standard), most // 3))
    found += islice(library_files(libraries), most - len(found))
    if not found:
        raise BadInput("no library file was found to measure", "install some of them: " + ", ".join(libraries))
    missing = tuple(name for name in libraries if _files_of(name) is None)
    return Shelf(tuple(sorted(found, key=lambda file: (file.library, file.path))), missing)


def library_files(libraries: Iterable[str]) -> Iterator[LibraryFile]:
    """The files of those libraries that are installed, which take turns; each one's are in the order of a hash."""
    shelves = [_usable(name, files) for name in libraries if (files := _files_of(name)) is not None]
    return filter(None, chain.from_iterable(zip_longest(*shelves)))


def _files_of(library: str) -> dict[str, Path] | None:
    """The files of an installed library by their names; None if it is not installed."""
    try:
        return {str(file): Path(str(file.locate())) for file in metadata.distribution(library).files or []}
    except metadata.PackageNotFoundError:
        return None


def measure_well_kept(shelf: Shelf, columns: Sequence[Column], resamples: int) -> dict[str, dict[str, Any]]:
    """[estimate, low, high] over files of each measure, by column, for all files and by library. The files are at rest.

    "lines_above": the share of code lines at or above the product's threshold; "hints": hints a file, at most as many
    as the product shows; "hints_per_50": hints per 50 lines of code; "at_cap": the share of files that show as many as
    the product allows of any; "document": the median probability of a file. Columns that give no level are left out.
    """
    passages = [passage_of(file.text) for file in shelf.files]
    kinds = np.array(
        ["standard library" if file.library == STANDARD_LIBRARY else "other libraries" for file in shelf.files]
    )
    rows = {"all": np.ones(len(kinds), dtype=np.bool_), **{str(kind): kinds == kind for kind in np.unique(kinds)}}
    threshold = Settings().threshold
    found: dict[str, dict[str, Any]] = {}
    for column in columns:
        if not column.is_level:
            continue
        answers = column.at_rest().answers(passages)
        counts = np.array([[len(answer.lines), np.count_nonzero(answer.lines >= threshold)] for answer in answers])
        documents = np.array([answer.whole for answer in answers])
        found[column.name] = {name: _measures(counts[kept], documents[kept], resamples) for name, kept in rows.items()}
    return found


def _measures(counts: NDArray[np.int64], documents: NDArray[np.float64], resamples: int) -> dict[str, Any]:
    cap = Settings().max_diagnostics
    lines, above = counts.T
    hints = np.minimum(np.minimum(above, cap), np.ceil(lines / LINES_PER_HINT))
    statistics = {
        "lines_above": lambda drawn: above[drawn].sum() / lines[drawn].sum(),
        "hints": lambda drawn: hints[drawn].mean(),
        "hints_per_50": lambda drawn: hints[drawn].sum() / (lines[drawn].sum() / LINES_PER_HINT),
        "at_cap": lambda drawn: (hints[drawn] >= cap).mean(),
        "document": lambda drawn: np.median(documents[drawn]),
    }
    return {name: with_interval(len(lines), statistic, resamples) for name, statistic in statistics.items()}


def _usable(library: str, paths: Mapping[str, Path]) -> Iterator[LibraryFile]:
    """The files worth measuring, in the order of a hash of their names."""
    for name in sorted(paths, key=lambda name: sha256(f"{library}:{name}".encode()).digest()):
        parts = Path(name).parts
        if not name.endswith(".py") or any(part.startswith("test") or part == "_vendor" for part in parts):
            continue
        try:
            text = paths[name].read_text("utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        if len(text) <= Settings().max_characters and len(passage_of(text).lines) >= FEWEST_LINES:
            yield LibraryFile(library, name, text)
