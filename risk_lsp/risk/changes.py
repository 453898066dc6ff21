"""Where lines of files are: changed since a commit, as a git says that runs nothing a repository names, or at rest."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from risk_lsp.errors import BadInput
from risk_lsp.probe.calibration import PLACES, LinePlaces, Place, all_lines
from risk_lsp.text.document import LineIndex, code_points
from risk_lsp.text.source_files import FoundFile

# What the configuration of a repository could make git run while it only looks: a monitor of the file system, hooks, a
# pager. External diffs and conversions to text are refused by the options of `git diff`, filters one by one, below.
# The index is not written either, and names in patches are in ASCII.
_SETTINGS = (
    "core.fsmonitor=false",
    f"core.hooksPath={os.devnull}",
    "core.pager=cat",
    "core.quotePath=true",
    "diff.autoRefreshIndex=false",
)

# No questions, and no fetching of objects that a partial clone lacks.
_ENVIRONMENT = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "",
    "LC_ALL": "C",
}


class GitFailure(BadInput):
    """Git refused; the message holds its reason."""


class Git:
    """Git commands in one folder, which have to end before `deadline`, a time of time.monotonic()."""

    def __init__(self, folder: Path, deadline: float | None = None) -> None:
        self._folder = folder
        self._deadline = deadline
        self._settings: tuple[str, ...] = _SETTINGS
        # The settings that make git run a program on files it reads; with an empty value they run nothing.
        names = self.run("config", "--list", "--name-only", "-z").decode("utf-8", "surrogateescape").split("\0")
        filters = sorted({name for name in names if name.startswith("filter.")})
        for name in filters:
            if "=" in name:  # it could not be told from its value
                raise BadInput(f"the git setting {name} has a name with =", "rename that filter, or leave out --diff")
        self._settings += tuple(f"{name}=" for name in filters)

    def run(self, *arguments: str) -> bytes:
        """What the command prints. Raises BadInput if git is missing, GitFailure if it refuses or takes too long."""
        settings = [part for setting in self._settings for part in ("-c", setting)]
        # The git that is installed. A relative folder of PATH would be one of the repository, and a git in it not ours.
        folders = [folder for folder in os.get_exec_path() if os.path.isabs(folder)]
        found = shutil.which("git", path=os.pathsep.join(folders)) if folders else None
        if found is None:
            raise BadInput("git is not installed", "install it, or leave out --diff")
        command = [found, "--no-pager", "--literal-pathspecs", *settings, *arguments]
        try:
            done = subprocess.run(
                command,
                cwd=self._folder,
                env={**os.environ, **_ENVIRONMENT},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                timeout=None if self._deadline is None else self._deadline - time.monotonic(),
            )
        except subprocess.TimeoutExpired as error:
            raise GitFailure(f"git {arguments[0]} takes too long", "see what git does there") from error
        if done.returncode != 0:
            reason = done.stderr.decode("utf-8", "replace").strip().removeprefix("fatal: ")
            raise GitFailure(f"git {arguments[0]} failed: {reason}", "see what git says")
        return done.stdout


# Whatever is configured: no programs of others, no colours, no look into submodules. Line ends are no change of code.
_DIFF = (
    *("diff", "-M", "--no-ext-diff", "--no-textconv", "--no-color", "--no-relative", "--ignore-submodules=all"),
    "--ignore-cr-at-eol",
)
_AS_PATCH = ("--unified=0", "--inter-hunk-context=0", "--src-prefix=a/", "--dst-prefix=b/")
_HUNK = re.compile(rb"@@ -\d+(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")

Ranges = tuple[range, ...]  # line numbers as git counts them, from 1, where only "\n" ends a line
_EVERY_LINE: Ranges = (range(1, sys.maxsize),)


@dataclass(frozen=True)
class Changes:
    """What the working tree has that a commit had not: `ranges` of lines by file, none for a deleted file."""

    root: Path
    ranges: dict[Path, Ranges]
    tracked: frozenset[Path]

    def require_inside(self, path: Path) -> None:
        """Raises BadInput for a path outside of the repository."""
        if not _real_path(path).is_relative_to(self.root):
            raise BadInput(f"{path} is not in the repository {self.root}", "run inside of its repository")

    def of(self, file: FoundFile) -> Ranges:
        """What changed in a file. One that was named, but that git knows nothing of, is new as a whole.

        A link is as good as unchanged: what it points to is not part of it.
        """
        path = _real_path(file.path)
        if path.is_symlink():
            return ()
        is_unknown = file.named and path not in self.tracked
        return self.ranges.get(path, _EVERY_LINE if is_unknown else ())


def changes_since(base: str, folder: Path, paths: Sequence[Path] = (), seconds: float | None = None) -> Changes:
    """Compare the working tree around a folder with a commit, branch or tag; only the files `paths`, if any are given.

    New files that git neither tracks nor ignores are changed as a whole. Raises BadInput without git, outside of a
    repository, for an unknown `base`, or where git needs more than `seconds`.
    """
    git, root = _repository(folder, None if seconds is None else time.monotonic() + seconds)
    commit = _commit(git, base)
    named = ("--", *(str(_real_path(path)) for path in paths))
    ranges: dict[Path, Ranges] = {}
    for name, is_binary in _changed_files(git.run(*_DIFF, "--numstat", "-z", commit, *named)):
        ranges[root / name] = _EVERY_LINE if is_binary else ()
    ranges.update((root / name, found) for name, found in _hunks(git.run(*_DIFF, *_AS_PATCH, commit, *named)))
    new = git.run("ls-files", "--others", "--exclude-standard", "-z", *named)
    ranges.update((root / os.fsdecode(name), _EVERY_LINE) for name in new.split(b"\0") if name)
    names = git.run("ls-files", "-z", *named).split(b"\0")
    return Changes(root, ranges, frozenset(root / os.fsdecode(name) for name in names if name))


def changed_mask(lines: LineIndex, ranges: Ranges) -> NDArray[np.bool_]:
    """Which lines changed, bool[lines]. A lone carriage return ends a line here, but not for git."""
    line_feeds = np.flatnonzero(code_points(lines.text) == ord("\n"))
    numbers = line_feeds.searchsorted(lines.starts) + 1
    changed = np.zeros(lines.count, dtype=np.bool_)
    for each in ranges:
        changed |= (numbers >= each.start) & (numbers < each.stop)
    return changed


def _repository(folder: Path, deadline: float | None) -> tuple[Git, Path]:
    try:
        top = Git(folder, deadline).run("rev-parse", "--show-toplevel")
    except GitFailure as error:
        if "not a git repository" not in error.message:
            raise
        raise BadInput(f"{folder.absolute()} is not in a git repository", "run in one, or leave out --diff") from error
    root = Path(os.path.realpath(os.fsdecode(top.removesuffix(b"\n"))))
    return Git(root, deadline), root


def _commit(git: Git, base: str) -> str:
    try:
        return git.run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{base}^{{commit}}").decode().strip()
    except GitFailure as error:
        raise BadInput(
            f"--diff {base}: git knows no such commit",
            "name a commit, branch or tag that this clone has; a shallow clone has to fetch it first",
        ) from error


def _changed_files(output: bytes) -> Iterator[tuple[str, bool]]:
    """From `--numstat -z`: each name, the old ones of renamed files too, and whether git calls the file binary.

    A record is "added deleted name", or for a renamed file "added deleted " and then both names.
    """
    parts = iter(output.split(b"\0"))
    for record in parts:
        if record:
            added, _, name = record.split(b"\t", 2)
            if not name:
                yield os.fsdecode(next(parts)), False
                name = next(parts)
            yield os.fsdecode(name), added == b"-"


def _hunks(patch: bytes) -> Iterator[tuple[str, Ranges]]:
    """From a patch without context: the new name of each file that has lines added or changed, and which."""
    rows = iter(patch.split(b"\n"))
    name: str | None = None
    ranges: list[range] = []
    for row in rows:
        hunk = _HUNK.match(row)
        if row.startswith(b"diff --git "):
            if name is not None:
                yield name, tuple(ranges)
            name, ranges = None, []
        elif row.startswith((b"+++ b/", b'+++ "b/')):
            # Git quotes unusual names like a bytes literal, in ASCII. A tab marks the end of a name with spaces.
            quoted = row.removeprefix(b"+++ ")
            plain = quoted.removesuffix(b"\t")
            if quoted.startswith(b'"'):
                plain = ast.literal_eval(f"b{quoted.decode('ascii')}")
            name = os.fsdecode(plain.removeprefix(b"b/"))
        elif hunk:
            removed, first, added = (1 if each is None else int(each) for each in hunk.groups())
            ranges.append(range(first, first + added))
            count = removed + added
            # Leave out the lines of a hunk: they may look like anything.
            while count:
                count -= not next(rows).startswith(b"\\")  # "\ No newline at end of file" is no line of the file
    if name is not None:
        yield name, tuple(ranges)


def _real_path(path: Path) -> Path:
    """Where a file is: links on the way to it are followed, but not the file if it is one itself."""
    if path.is_dir():
        return Path(os.path.realpath(path))
    return Path(os.path.realpath(path.parent), path.name)


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
            continue
        marked = (folder for folder in file.parents if (folder / ".git").exists())
        if ask_git and (root := next(marked, None)) is not None:
            by_root[root].append(file)
    for root, inside in by_root.items():
        try:
            changes = changes_since("HEAD", root, inside if len(inside) <= _PATHS_AT_MOST else (), seconds)
        except BadInput:  # no git, no commit yet, a repository of somebody else, ...
            continue
        tracked = [file for file in inside if file in changes.tracked]
        found |= {file: TextPlace(Place.AT_REST, changes.ranges.get(file, ())) for file in tracked}
    return [found.get(file, UNKNOWN) for file in files]
