"""One client's session: which message leads to what."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lsprotocol import types

from risk_lsp.errors import WorkerError
from risk_lsp.files import user_data_folder
from risk_lsp.personal.ledger import Ledger
from risk_lsp.probe.calibration import PLACES, Place
from risk_lsp.risk.span_risk import PartialRisk, SpanRisk
from risk_lsp.server.documents.analysis import Analyzer
from risk_lsp.server.documents.document_places import DocumentPlaces, GeneratedRegions
from risk_lsp.server.documents.ignored_lines import IgnoreStore
from risk_lsp.server.documents.line_view import ViewMaker
from risk_lsp.server.documents.model_host import ChoiceWatch, ModelHost
from risk_lsp.server.documents.open_documents import DocumentEvents, OpenDocuments, Whereabouts
from risk_lsp.server.documents.personal_level import AcceptedRegions, PersonalLevel
from risk_lsp.server.documents.publisher import Publisher, Refresher
from risk_lsp.server.features.commands import CommandRunner
from risk_lsp.server.features.model_choice import ModelFetches
from risk_lsp.server.features.questions import Questions
from risk_lsp.server.features.review import Reviews
from risk_lsp.server.repair.queue import Repairs
from risk_lsp.server.state import (
    USER_SETTINGS,
    Configuration,
    SettingsChanges,
    Snooze,
    State,
    StatusReporter,
    status_of,
)
from risk_lsp.server.wire.handshake import Client, Handshake
from risk_lsp.server.wire.messenger import Messenger, WorkDoneProgress
from risk_lsp.server.writing.inline_completion import InlineCompletions
from risk_lsp.settings import Settings
from risk_lsp.team.team_supervisor import HostLost
from risk_lsp.text.document import Document, PositionEncoding
from risk_lsp.text.tracking import Splice
from risk_lsp.worker.supervisor import WorkerState


class Session:
    """Owns everything that belongs to one client, from the handshake to the end.

    `command_line` are settings that win over the client's. `data_folder` is where lines and answers are remembered, by
    default the user's data folder. `command` starts the worker, by default the one that loads the bundle. Call `start`,
    pass message bodies to `receive`, await `closed`, and call `stop`.
    """

    def __init__(
        self,
        agreed: Handshake,
        command_line: Mapping[str, Any],
        data_folder: str | None,
        command: Sequence[str] | None,
    ) -> None:
        self.client = Client.of(agreed.params)
        self.messenger = Messenger(self.client.offers)
        self.messenger.protocol.adopt(agreed)
        self.closed = asyncio.Event()
        self.was_shut_down = False
        self.data_folder = Path(data_folder) if data_folder else user_data_folder()
        self.state = self._new_state(agreed, command_line, command)
        self.questions = Questions(self.state)
        self.refresher = Refresher(self.client.refreshes, self.messenger.request)
        pull = "diagnosticProvider" in agreed.capabilities
        self.publisher = Publisher(
            self.state, self.questions, self.messenger, self.refresher, self.tell_status, pull=pull
        )
        self.repairs = Repairs(self.state, self.questions, self.messenger, self.data_folder)
        self.events = DocumentEvents(self.state, self.publisher, self.repairs)
        self.inline_completions = InlineCompletions(self.state, self.messenger)
        self._loading: WorkDoneProgress | None = None
        self.reviews = Reviews(self.state, self.messenger)
        self.fetches = ModelFetches(self.messenger, shows_progress=self.client.work_done_progress)
        self._choice = ChoiceWatch()
        self._following: asyncio.Task[None] | None = None
        self._status = StatusReporter(self.messenger) if self.client.wants_status else None
        self._settings_changes = SettingsChanges(self)
        self._initialized = asyncio.Event()  # until then a server may send next to nothing
        self._register()

    @property
    def settings(self) -> Settings:
        """The settings that the process runs with."""
        return self.state.settings

    async def start(self) -> None:
        """Begin to load the model, without waiting for it."""
        await self.state.host.apply(self.settings)

    def receive(self, bodies: Sequence[bytes]) -> None:
        """Handle messages that arrived together; if another bundle was chosen meanwhile, its model is loaded."""
        if self._choice.has_changed():
            self._following = asyncio.get_running_loop().create_task(self.follow_choice())
        self.messenger.protocol.receive(bodies)

    async def stop(self) -> None:
        """End all work and the worker."""
        if self._following is not None:
            self._following.cancel()
        self.inline_completions.stop()
        await self.fetches.stop()
        self.state.analyzer.forget_all()
        self.state.snooze.cancel()
        self._settings_changes.stop()
        await self.repairs.stop()
        await self.state.host.stop()
        self.events.settle_all()
        await self.state.personal.stop()

    def _new_state(self, agreed: Handshake, command_line: Mapping[str, Any], command: Sequence[str] | None) -> State:
        encoding = PositionEncoding(agreed.encoding)
        regions, attention = GeneratedRegions(), Whereabouts()
        configuration = Configuration(command_line, self.client.initialization_options)

        def learns() -> bool:
            return configuration.current.whole.learn_from_edits and configuration.current.whole.trusted

        personal = PersonalLevel(
            Ledger(self.data_folder / "personal"),
            learns,
            lambda: host.bundle_identity,
            lambda: self.publisher.show_all(),
        )
        accepted = AcceptedRegions(regions, personal.remember_accepted, personal.remember_settled)
        places = DocumentPlaces(self._place_changed)

        def follow_edit(document: Document, edit: Splice) -> None:
            if self.inline_completions.writing is not None:
                self.inline_completions.give_up()
            attention.is_at(document.uri, edit.start + len(edit.inserted))
            regions.follow(document, edit, documents.all(), self.state.settings_of(document).generated_lines)
            accepted.follow(document, edit)
            places.follow(document, edit)

        async def score(document: Document, on_part: Callable[[PartialRisk], None]) -> SpanRisk:
            """Nothing is shown before the place is known: numbers would jump."""

            def take(part: PartialRisk) -> None:
                if places.is_settled(document.uri):
                    on_part(part)

            risks = await host.score(document, lambda: attention.place(document), take)
            await places.wait_until_settled(document.uri)
            return risks

        documents = OpenDocuments(encoding, follow_edit)
        host = ModelHost(command, self._model_changed, self._remote_key)
        store = IgnoreStore(self.data_folder / "ignored")
        return State(
            client=self.client,
            encoding=encoding,
            configuration=configuration,
            documents=documents,
            host=host,
            analyzer=Analyzer(documents, score, lambda analysis: self.publisher.show(analysis)),
            views=ViewMaker(store, regions, places, lambda: host.priors, personal.shift_for),
            snooze=Snooze(self._snooze_changed),
            store=store,
            regions=regions,
            accepted=accepted,
            personal=personal,
            places=places,
            attention=attention,
        )

    def _register(self) -> None:
        handlers: dict[str, Callable[..., Any]] = {
            types.INITIALIZED: self._handle_initialized,
            types.SHUTDOWN: self._shut_down,
            types.EXIT: lambda _: self.closed.set(),
            types.WORKSPACE_DID_CHANGE_CONFIGURATION: self._settings_changes.take,
            types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS: self._settings_changes.take_folders,
            USER_SETTINGS: self._settings_changes.take_user_settings,
            types.WORKSPACE_EXECUTE_COMMAND: CommandRunner(self).execute,
            types.WINDOW_WORK_DONE_PROGRESS_CANCEL: self._cancel_shown,
            types.TEXT_DOCUMENT_INLINE_COMPLETION: self.inline_completions.complete,
            **self.events.handlers(),
            **self.questions.handlers(),
        }
        for method, handler in handlers.items():
            self.messenger.handle(method, handler)

    # The session

    def _handle_initialized(self, _: types.InitializedParams) -> None:
        self._initialized.set()
        self._show_loading()
        self.tell_status()
        self._settings_changes.start()

    async def _shut_down(self, _: object) -> None:
        self.events.clear_all()
        self._status = None  # what follows is not news
        self.refresher.stop()
        await self.stop()
        self.was_shut_down = True

    def _cancel_shown(self, params: types.WorkDoneProgressCancelParams) -> None:
        self.repairs.cancel_shown(params)
        self.fetches.cancel_shown(params.token)
        self.reviews.cancel_shown(params.token)
        self.inline_completions.cancel_shown(params.token)

    # What changes what is shown

    def _place_changed(self, uri: str) -> None:
        document = self.state.documents.get(uri)
        if document is not None:
            places = self.state.places.lines(document, "auto", frozenset())
            has_changed = places == PLACES.index(Place.CHANGED)
            least = self.state.settings_of(document).generated_lines
            self.state.regions.find_on_disk(document, has_changed, self.state.documents.all(), least)
            self.state.accepted.settle_committed(document, places)
            self.publisher.show_again(document)

    def _snooze_changed(self) -> None:
        """Show nothing from now on, or everything again; texts that were edited in the pause are scored now."""
        if self.state.snooze.is_on:
            for document in self.state.documents.all():
                self.publisher.show_nothing(document)
        self.publisher.show_all()
        for document in self.state.documents.all():
            self.events.consider(document, 0.0)
        self.tell_status()

    # The model

    async def follow_choice(self) -> None:
        """Have the model in use that the person has chosen; nothing that another one said stays."""
        host = self.state.host
        is_other = await host.apply(self.settings)
        if not is_other and host.state is WorkerState.FAILED:  # what was missing may be here now
            await host.restart()
            is_other = True
        if is_other:
            self.start_over()

    def start_over(self) -> None:
        """Take back all that was shown, and have all documents scored anew."""
        self.state.views.forget_all()
        for document in self.state.documents.all():
            self.publisher.show_nothing(document)
        self.state.analyzer.rescore_all(forgive=True)

    def _model_changed(self, state: WorkerState, failure: WorkerError | None) -> None:
        self._show_loading()
        self.tell_status()
        if state is WorkerState.RESTARTING:
            if isinstance(failure, HostLost):
                self.messenger.tell(types.MessageType.Warning, f"risk-lsp: {failure.message}", "host")
            elif failure is not None:
                text = f"risk-lsp: {failure.message}; it is started again and open documents are scored anew"
                self.messenger.tell(types.MessageType.Warning, text, "restart")
            self.state.analyzer.rescore_all()
        if state is WorkerState.READY and self.settings.inline_completion:
            self.inline_completions.recommend()
        if state is WorkerState.FAILED:
            self.messenger.tell(types.MessageType.Error, f"risk-lsp: the model could not be loaded: {failure}")

    async def _remote_key(self, url: str, key_file: str) -> str | None:
        """The person's key for a team's host: the editor's secret, or else what a file or the environment says."""
        from risk_lsp.team.remote_worker import kept_key

        await self._initialized.wait()
        return await self.messenger.ask_secret(url) or kept_key(key_file)

    def _show_loading(self) -> None:
        """Show that a model loads, as long as it does."""
        is_loading = self.state.host.is_loading()
        if is_loading and self._loading is None and self._initialized.is_set():
            supported = self.client.work_done_progress
            self._loading = WorkDoneProgress(
                "risk-lsp", self.messenger, supported=supported, stage="loading the model", cancellable=False
            )
        elif not is_loading and self._loading is not None:
            self._loading.end()
            self._loading = None

    def tell_status(self) -> None:
        """Tell the client how the server is, if it wants to know."""
        if self._status is not None and self._initialized.is_set():
            state = self.state
            self._status.report(status_of(self.settings.enabled, state.snooze.until, state.host, self.publisher.remark))
