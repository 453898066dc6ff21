"""Real git repositories, made on the spot."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

# Nothing of whoever runs the tests: no configuration, no repository around, no hook's environment.
_ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.org",
}


class Repository:
    """A repository in a folder, at first without commits, on the branch `main`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments: str) -> str:
        """What the command prints."""
        command = ["git", *arguments]
        done = subprocess.run(command, cwd=self.folder, env=_ENVIRONMENT, check=True, capture_output=True)
        return done.stdout.decode("utf-8", "surrogateescape")

    def write(self, name: str | bytes, content: str | bytes) -> Path:
        """Write a file of the working tree."""
        path = self.folder / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def commit(self, **files: str) -> None:
        """Write `name`.py for each name, and commit everything."""
        for name, content in files.items():
            self.write(f"{name}.py", content)
        self.git("add", "--all")
        self.git("commit", "-q", "--allow-empty", "-m", "a change")
