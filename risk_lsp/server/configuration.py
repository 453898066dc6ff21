"""Which settings are in force, and what is done when they change."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lsprotocol import types

from risk_lsp.errors import log_failure
from risk_lsp.server.documents.model_host import worker_options
from risk_lsp.settings import SECTION, Settings, Source, parse

if TYPE_CHECKING:
    from risk_lsp.server.session import Session

USER_SETTINGS = "riskLsp/userSettings"  # the notification by which a client says anew what the user's own settings are


class Configuration:
    """The settings in force: the command line's, the user's and the workspace's, in layers.

    The user's own settings are the client's initialization options, or what a client that keeps the two apart says
    later. Those of the command line win over them. What else the client sends later is merged with the workspace's
    settings and may not choose the model (see `risk_lsp.settings`).
    """

    def __init__(self, command_line: Mapping[str, Any], initialization_options: object) -> None:
        self._command_line = command_line
        self._merged: object = None
        self._user, self._problems = self._read_user(initialization_options)
        self._reported = frozenset(self._problems)
        self.current: Settings = self._user
        self.initial_problems = self._problems

    def update(self, raw: object) -> tuple[str, ...]:
        """Put the client's newest settings in force; returns what is wrong with them and was not said before."""
        self._merged = raw
        return self._put_in_force()

    def update_user(self, raw: object) -> tuple[str, ...]:
        """Replace the user's own settings, which lie below what else the client sent; returns the same as `update`."""
        self._user, self._problems = self._read_user(raw)
        return self._put_in_force()

    def _read_user(self, raw: object) -> tuple[Settings, tuple[str, ...]]:
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


class SettingsChanges:
    """Receives changes of the settings, and does what follows from them."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Report what is wrong with the first settings, and ask for those that the client has by now."""
        session = self._session
        self._report(session.state.configuration.initial_problems)
        if session.client.registers_configuration_changes:
            method = types.WORKSPACE_DID_CHANGE_CONFIGURATION
            registration = types.Registration(method, method, {"section": SECTION})
            params = types.RegistrationParams([registration])
            session.messenger.request(types.CLIENT_REGISTER_CAPABILITY, params, lambda _: None)
        if session.client.configuration:
            self._pull()

    def stop(self) -> None:
        """Give up changes that are still being put in force."""
        for task in self._tasks:
            task.cancel()

    def changed(self, params: types.DidChangeConfigurationParams) -> None:
        """Handle the notification that settings changed, which may hold the settings or not."""
        if self._session.client.configuration:
            self._pull()
        else:
            self._follow(params.settings)

    def changed_by_user(self, params: object) -> None:
        """Handle the notification that holds the user's own settings."""
        before = self._session.state.settings
        self._report(self._session.state.configuration.update_user(params))
        self._start_putting_in_force(before)

    def _pull(self) -> None:
        params = types.ConfigurationParams([types.ConfigurationItem(section=SECTION)])
        self._session.messenger.request(
            types.WORKSPACE_CONFIGURATION, params, lambda answer: self._follow(answer[0] if answer else None)
        )

    def _follow(self, raw: object) -> None:
        before = self._session.state.settings
        self._report(self._session.state.configuration.update(raw))
        self._start_putting_in_force(before)

    def _report(self, problems: Sequence[str]) -> None:
        if problems:
            self._session.messenger.tell(types.MessageType.Warning, "risk-lsp settings: " + "; ".join(problems))

    def _start_putting_in_force(self, before: Settings) -> None:
        work = self._put_in_force(before, self._session.state.settings)
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _put_in_force(self, before: Settings, after: Settings) -> None:
        """Do what follows from a change; the worker is replaced only if it runs with other settings now."""
        session, state = self._session, self._session.state
        try:
            await state.host.apply(after)
        except Exception as error:
            log_failure("a change of settings", error)
        session.tell_status()
        if not (after.enabled and after.inline_completion):
            session.inline_completions.stop()
        turned = before.enabled != after.enabled
        in_line = {
            "inlayHint": turned or before.inlay_hints != after.inlay_hints,
            "codeLens": turned or before.code_lens != after.code_lens,
        }
        session.refresher.want(kind for kind, has_changed in in_line.items() if has_changed)
        if not after.enabled:
            if before.enabled:
                session.events.clear_all()
            return
        if worker_options(before) != worker_options(after):
            session.start_over()
        if before != after:
            for document in state.documents.all():
                if before.trusted != after.trusted:
                    session.events.look_up_place(document)
                session.events.consider(document, 0.0)
            session.publisher.show_all()
