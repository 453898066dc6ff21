"""Which settings are in force: the command line's, the user's and the workspace's, in layers."""

from __future__ import annotations

from risk_lsp.server.options import ServerOptions
from risk_lsp.settings import Settings, Source, parse


class Configuration:
    """The settings in force.

    The user's own are the client's initialization options with the command line over them. What the client sends later
    is merged with the workspace's settings and may not choose the model (see `risk_lsp.settings`).
    """

    def __init__(self, options: ServerOptions, initialization_options: object) -> None:
        user = parse(initialization_options, Source.USER)
        command_line = parse(options.settings(), Source.USER, user.settings)
        self._user = command_line.settings
        self._reported: frozenset[str] = frozenset()
        self.current: Settings = self._user
        self.initial_problems: tuple[str, ...] = (*command_line.problems, *user.problems)

    def update(self, raw: object) -> tuple[str, ...]:
        """Put the client's newest settings in force; the result is what is wrong with them that was not said before."""
        parsed = parse(raw, Source.WORKSPACE, self._user)
        self.current = parsed.settings
        news = tuple(problem for problem in parsed.problems if problem not in self._reported)
        self._reported = frozenset(parsed.problems)
        return news
