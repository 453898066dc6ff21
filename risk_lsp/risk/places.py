"""Which place each line of a text is in, when nobody says: by git, and by what is installed."""

from __future__ import annotations

import os
import re
import sysconfig
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from risk_lsp.errors import BadInput
from risk_lsp.probe.priors import Place
from risk_lsp.risk.changes import Ranges, changed_mask, changes_since
from risk_lsp.text.lines import LineIndex

PLACES = tuple(Place)  # the number of a place, in arrays, is its index here
LinePlaces = NDArray[np.int8]


@dataclass(frozen=True)
class TextPlace:
    """The place of a text's lines; those in `changed` have changed since the last commit."""

    place: Place
    changed: Ranges = ()

    def of_lines(self, lines: LineIndex) -> LinePlaces:
        """The number of each line's place, int8[lines]."""
        found = all_lines(self.place, lines.count)
        if self.changed:
            found[changed_mask(lines, self.changed)] = PLACES.index(Place.CHANGED)
        return found


def all_lines(place: Place, count: int) -> LinePlaces:
    """One place for so many lines, int8[count]."""
    return np.full(count, PLACES.index(place), dtype=np.int8)


UNKNOWN = TextPlace(Place.GENERATED)  # of a text of which nothing is known: as far as that goes, nobody reviewed it

_INSTALLED = frozenset({"site-packages", "dist-packages"})
_LIBRARY = re.compile(r"/lib(?:64|32)?/python\d(?:\.\d+)?/")  # of an interpreter other than the one that runs this


def is_installed(path: Path) -> bool:
    """Whether a file belongs to an installed library or to an interpreter's standard library."""
    return (
        not _INSTALLED.isdisjoint(path.parts)
        or _LIBRARY.search(path.as_posix()) is not None
        or path.is_relative_to(sysconfig.get_paths()["stdlib"])
    )


_PATHS_AT_MOST = 200  # that git is told by name; for more, it looks at the whole repository


def places_of(paths: Sequence[Path], seconds: float = 10.0, *, ask_git: bool = True) -> list[TextPlace]:
    """The place of each file, in order.

    Installed libraries are at rest. In a git work tree, tracked lines that are as in the last commit are at rest,
    tracked lines that differ are changed, and an untracked file is generated. Any other file is generated. Git is
    asked once for each repository, for at most `seconds`; where it fails, or may not be asked, the file counts as
    outside of a repository.
    """
    found: dict[Path, TextPlace] = {}
    by_root: dict[Path, list[Path]] = defaultdict(list)
    files = [Path(os.path.realpath(path)) for path in paths]
    for file in dict.fromkeys(files):
        if is_installed(file):
            found[file] = TextPlace(Place.AT_REST)
        elif ask_git and (root := _work_tree(file)) is not None:
            by_root[root].append(file)
    for root, inside in by_root.items():
        found.update(_places_in_work_tree(root, inside, seconds))
    return [found.get(file, UNKNOWN) for file in files]


def _work_tree(path: Path) -> Path | None:
    """The nearest folder above a file that git has marked as its own, without asking git."""
    return next((folder for folder in path.parents if (folder / ".git").exists()), None)


def _places_in_work_tree(root: Path, files: Sequence[Path], seconds: float) -> dict[Path, TextPlace]:
    """The places of the files that git tracks there."""
    try:
        changes = changes_since("HEAD", root, files if len(files) <= _PATHS_AT_MOST else (), seconds)
    except BadInput:  # no git, no commit yet, a repository of somebody else, ...
        return {}
    return {file: TextPlace(Place.AT_REST, changes.ranges.get(file, ())) for file in files if file in changes.tracked}
