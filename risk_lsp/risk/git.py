"""Git, asked about a repository that need not be trusted: nothing that its configuration names is run."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from risk_lsp.errors import BadInput

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
    """Git commands in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._settings: tuple[str, ...] = _SETTINGS
        self._settings += tuple(f"{name}=" for name in self._filters())

    def run(self, *arguments: str) -> bytes:
        """What the command prints. Raises BadInput if git is missing, GitFailure if it refuses."""
        settings = [part for setting in self._settings for part in ("-c", setting)]
        command = ["git", "--no-pager", "--literal-pathspecs", *settings, *arguments]
        try:
            done = subprocess.run(
                command,
                cwd=self._folder,
                env={**os.environ, **_ENVIRONMENT},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
            )
        except FileNotFoundError as error:
            raise BadInput("git is not installed", "install it, or leave out --diff") from error
        if done.returncode != 0:
            reason = done.stderr.decode("utf-8", "replace").strip().removeprefix("fatal: ")
            raise GitFailure(f"git {arguments[0]} failed: {reason}", "see what git says")
        return done.stdout

    def _filters(self) -> list[str]:
        """The settings that make git run a program on files it reads; with an empty value they run nothing."""
        names = self.run("config", "--list", "--name-only", "-z").decode("utf-8", "surrogateescape").split("\0")
        filters = sorted({name for name in names if name.startswith("filter.")})
        for name in filters:
            if "=" in name:  # it could not be told from its value
                raise BadInput(f"the git setting {name} has a name with =", "rename that filter, or leave out --diff")
        return filters
