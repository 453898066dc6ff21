"""Which settings are in force: the command line's, the user's and the workspace's, in layers."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from risk_lsp.settings import Settings, Source, parse


@dataclass(frozen=True)
class ServerOptions:
    """Values from the command line; None leaves a setting to the client. They win over the client's settings."""

    bundle: str | None = None
    threads: int | None = None
    device: str | None = None
    dtype: str | None = None
    log_level: str = "warning"
    data_folder: str | None = None  # where remembered lines are kept, by default in the user's data folder

    def settings(self) -> dict[str, Any]:
        """The settings that were given, by the names that editors use."""
        names = [item.name for item in fields(self) if item.name not in ("log_level", "data_folder")]
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}


USER_SETTINGS = "riskLsp/userSettings"  # the notification by which a client says anew what the user's own settings are


class Configuration:
    """The settings in force.

    The user's own are the client's initialization options, or what a client that keeps the two apart later says they
    are, with the command line over them. What else the client sends later is merged with the workspace's settings and
    may not choose the model (see `risk_lsp.settings`).
    """

    def __init__(self, options: ServerOptions, initialization_options: object) -> None:
        self._command_line = options.settings()
        self._merged: object = None
        self._user, self._problems = self._of_user(initialization_options)
        self._reported = frozenset(self._problems)
        self.current: Settings = self._user
        self.initial_problems: tuple[str, ...] = self._problems

    def update(self, raw: object) -> tuple[str, ...]:
        """Put the client's newest settings in force; the result is what is wrong with them that was not said before."""
        self._merged = raw
        return self._put_in_force()

    def update_user(self, raw: object) -> tuple[str, ...]:
        """Take the user's own settings anew, below what else the client sent; the result is as that of `update`."""
        self._user, self._problems = self._of_user(raw)
        return self._put_in_force()

    def _of_user(self, raw: object) -> tuple[Settings, tuple[str, ...]]:
        user = parse(raw, Source.USER)
        command_line = parse(self._command_line, Source.USER, user.settings)
        return command_line.settings, (*command_line.problems, *user.problems)

    def _put_in_force(self) -> tuple[str, ...]:
        parsed = parse(self._merged, Source.WORKSPACE, self._user)
        self.current = parsed.settings
        problems = (*self._problems, *parsed.problems)
        news = tuple(problem for problem in problems if problem not in self._reported)
        self._reported = frozenset(problems)
        return news
