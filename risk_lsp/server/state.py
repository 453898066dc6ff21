"""What the parts of one session share: the settings in force, and what the client hears of pause and status."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from lsprotocol import types

from risk_lsp.errors import log_failure
from risk_lsp.server.documents.analysis import Analyzer
from risk_lsp.server.documents.document_places import DocumentPlaces, GeneratedRegions
from risk_lsp.server.documents.ignored_lines import IgnoreStore
from risk_lsp.server.documents.line_view import ViewMaker
from risk_lsp.server.documents.model_host import ModelHost, worker_options
from risk_lsp.server.documents.open_documents import OpenDocuments, Whereabouts
from risk_lsp.server.documents.personal_level import AcceptedRegions, PersonalLevel
from risk_lsp.server.wire.convert import normal_uri
from risk_lsp.server.wire.handshake import Client
from risk_lsp.server.wire.messenger import Messenger
from risk_lsp.settings import SECTION, SETTINGS, Scope, Settings, Source, parse
from risk_lsp.text.document import Document, PositionEncoding
from risk_lsp.worker.supervisor import WorkerState

if TYPE_CHECKING:
    from risk_lsp.server.session import Session


USER_SETTINGS = "riskLsp/userSettings"  # the notification by which a client says anew what the user's own settings are


@dataclass(frozen=True)
class SettingsInForce:
    """The settings of the workspace as a whole, and those of its folders by their URI, which ends in a slash.

    Folders differ in how much is shown, and when. Of what one process runs with, such as the model, there is one value.
    """

    whole: Settings
    folders: Mapping[str, Settings] = field(default_factory=dict)

    @cached_property
    def of_process(self) -> Settings:
        """What the process runs with: it is turned off only where nothing needs it."""
        return replace(self.whole, enabled=any(each.enabled for each in (self.whole, *self.folders.values())))

    def of(self, uri: str) -> Settings:
        """Those of the innermost folder that a document, or folder, is in; outside of all, those of the whole."""
        inside = f"{normal_uri(uri)}/"
        around = [folder for folder in self.folders if inside.startswith(folder)]
        return self.folders[max(around, key=len)] if around else self.whole

    def values(self, name: str) -> list[object]:
        """What an attribute of `Settings` is everywhere."""
        return [getattr(each, name) for each in (self.whole, *self.folders.values())]


class Configuration:
    """The settings in force: the command line's, the user's and the workspace's, in layers.

    The user's own settings are the client's initialization options, or what a client that keeps the two apart says
    later. Those of the command line win over them. What else the client sends later is merged with the workspace's
    settings and may not choose the model (see `risk_lsp.settings`).
    """

    def __init__(self, command_line: Mapping[str, Any], initialization_options: object) -> None:
        self._command_line = command_line
        self._merged: object = None
        self._of_folders: Mapping[str, object] = {}
        self._user, self._problems = self._read_user(initialization_options)
        self._reported = frozenset(self._problems)
        self.current = SettingsInForce(self._user)
        self.initial_problems = self._problems

    def update(self, raw: object, of_folders: Mapping[str, object]) -> tuple[str, ...]:
        """Put the client's newest settings in force, and those it has for folders by their URI.

        Returns what is wrong with them and was not said before.
        """
        self._merged, self._of_folders = raw, of_folders
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
        whole = parse(self._merged, Source.WORKSPACE, self._user)
        problems = [*self._problems, *whole.problems]
        folders = {}
        for uri, raw in self._of_folders.items():
            parsed = parse(raw, Source.WORKSPACE, self._user)
            problems += parsed.problems
            of_process = {name: getattr(whole.settings, name) for name in _OF_PROCESS}
            folders[f"{normal_uri(uri).rstrip('/')}/"] = replace(parsed.settings, **of_process)
        self.current = SettingsInForce(whole.settings, folders)
        news = tuple(problem for problem in dict.fromkeys(problems) if problem not in self._reported)
        self._reported = frozenset(problems)
        return news


_PYTHON_FILES = "**/*.{py,pyi,pyw}"

# Of these there is one value, whatever a folder says.
_OF_PROCESS = tuple(setting.attribute for setting in SETTINGS if setting.scope is not Scope.RESOURCE)


class SettingsChanges:
    """Receives changes of the settings, and does what follows from them."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Report what is wrong with the first settings, subscribe to changes, and ask for the settings of now."""
        session = self._session
        self._report(session.state.configuration.initial_problems)
        wanted: dict[str, Any] = {}
        if session.client.registers_configuration_changes:
            wanted[types.WORKSPACE_DID_CHANGE_CONFIGURATION] = {"section": SECTION}
        if session.client.registers_file_changes:
            wanted[types.WORKSPACE_DID_CHANGE_WATCHED_FILES] = {"watchers": [{"globPattern": _PYTHON_FILES}]}
        if wanted:
            registrations = [types.Registration(method, method, options) for method, options in wanted.items()]
            params = types.RegistrationParams(registrations)
            session.messenger.request(types.CLIENT_REGISTER_CAPABILITY, params, lambda _: None)
        if session.client.configuration:
            self._pull()

    def stop(self) -> None:
        """Give up changes that are still being put in force."""
        for task in self._tasks:
            task.cancel()

    def take(self, params: types.DidChangeConfigurationParams) -> None:
        """Handle the notification that settings changed, which may hold the settings or not."""
        if self._session.client.configuration:
            self._pull()
        else:
            self._follow(params.settings, {})

    def take_folders(self, _: types.DidChangeWorkspaceFoldersParams) -> None:
        """Handle the notification that there are other folders, which have settings of their own."""
        if self._session.client.configuration:
            self._pull()

    def take_user_settings(self, params: object) -> None:
        """Handle the notification that holds the user's own settings."""
        before = self._session.state.configuration.current
        self._report(self._session.state.configuration.update_user(params))
        self._start_putting_in_force(before)

    def _pull(self) -> None:
        """Ask for the settings of the workspace as a whole, and for those of each of its folders."""
        folders = [folder.uri for folder in self._session.messenger.workspace.folders.values()]
        items = [types.ConfigurationItem(scope_uri=uri, section=SECTION) for uri in (None, *folders)]

        def take(answer: Sequence[object] | None) -> None:
            whole, *of_folders = answer or [None]
            self._follow(whole, dict(zip(folders, of_folders, strict=False)))

        self._session.messenger.request(types.WORKSPACE_CONFIGURATION, types.ConfigurationParams(items), take)

    def _follow(self, raw: object, of_folders: Mapping[str, object]) -> None:
        before = self._session.state.configuration.current
        self._report(self._session.state.configuration.update(raw, of_folders))
        self._start_putting_in_force(before)

    def _report(self, problems: Sequence[str]) -> None:
        if problems:
            self._session.messenger.tell(types.MessageType.Warning, "risk-lsp settings: " + "; ".join(problems))

    def _start_putting_in_force(self, before: SettingsInForce) -> None:
        work = self._put_in_force(before, self._session.state.configuration.current)
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _put_in_force(self, before: SettingsInForce, after: SettingsInForce) -> None:
        """Do what follows from a change; the worker is replaced only if it runs with other settings now."""
        session, state = self._session, self._session.state
        was, now = before.of_process, after.of_process
        try:
            await state.host.apply(now)
        except Exception as error:
            log_failure("a change of settings", error)
        session.tell_status()
        if not (now.enabled and now.inline_completion):
            session.inline_completions.stop()
        in_line = {"inlayHint": ("enabled", "inlay_hints"), "codeLens": ("enabled", "code_lens")}
        session.refresher.want(
            kind for kind, names in in_line.items() if any(before.values(name) != after.values(name) for name in names)
        )
        if not now.enabled:
            if was.enabled:
                session.events.clear_all()
            return
        if worker_options(was) != worker_options(now):
            session.start_over()
        if before != after:
            for document in state.documents.all():
                if was.trusted != now.trusted:
                    session.events.look_up_place(document)
                session.events.consider(document, 0.0)
            session.publisher.show_all()


class Snooze:
    """A pause, in which nothing is shown. `changed` is called when one begins, moves or ends."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._timer: asyncio.TimerHandle | None = None
        self.until: float | None = None  # seconds since the epoch

    @property
    def is_on(self) -> bool:
        """Whether nothing is to be shown now."""
        return self.until is not None

    def set(self, minutes: float) -> None:
        """Pause for so long from now on; 0 ends the pause."""
        self.cancel()
        if minutes > 0:
            self.until = time.time() + 60 * minutes
            self._timer = asyncio.get_running_loop().call_later(60 * minutes, self.set, 0.0)
        else:
            self.until = None
        self._changed()

    def cancel(self) -> None:
        """Stop the clock of a pause, which then does not end by itself."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


@dataclass(frozen=True)
class State:
    """One session's client, documents, model and what came of them."""

    client: Client
    encoding: PositionEncoding
    configuration: Configuration
    documents: OpenDocuments
    host: ModelHost
    analyzer: Analyzer
    views: ViewMaker
    snooze: Snooze
    store: IgnoreStore
    regions: GeneratedRegions
    accepted: AcceptedRegions
    personal: PersonalLevel
    places: DocumentPlaces
    attention: Whereabouts

    @property
    def settings(self) -> Settings:
        """The settings that the process runs with."""
        return self.configuration.current.of_process

    def settings_of(self, document: Document) -> Settings:
        """The settings in force for a document: those of its folder."""
        return self.configuration.current.of(document.uri)


STATUS = "riskLsp/status"


@dataclass(frozen=True)
class Status:
    """`state` is one of starting, ready, analysing, paused, failed, off; `until` is in seconds since the epoch."""

    state: str
    message: str
    bundle: str | None = None
    until: int | None = None


def status_of(enabled: bool, until: float | None, host: ModelHost, remark: str | None) -> Status:
    """The status as it is now. `until` is when a pause ends; `remark` is a sentence about the numbers shown last."""
    bundle = host.bundle_name
    if not enabled:
        return Status("off", "Turned off by the setting enabled.", bundle)
    explanation = host.explanation()
    if host.state is WorkerState.FAILED:
        return Status("failed", _sentence(explanation or "the model failed"), bundle)
    if until is not None:
        clock = time.strftime("%H:%M", time.localtime(until))
        return Status("paused", f"Paused until {clock}: nothing is shown.", bundle, round(until))
    if explanation is not None:
        return Status("starting", _sentence(explanation), bundle)
    state = "analysing" if host.state is WorkerState.BUSY else "ready"
    first = "Scoring a document." if state == "analysing" else "Ready."
    return Status(state, " ".join(filter(None, [first, host.remark, remark])), bundle)


class StatusReporter:
    """Sends the status to a client that wants it, whenever it differs from what was sent last."""

    def __init__(self, messenger: Messenger) -> None:
        self._messenger = messenger
        self._sent: Status | None = None

    def report(self, status: Status) -> None:
        """Send the status if it is news."""
        if status != self._sent:
            self._sent = status
            self._messenger.protocol.notify(STATUS, asdict(status))


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
