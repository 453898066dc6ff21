"""The model as the server sees it: one supervised worker, run with the settings in force."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

from risk_lsp.errors import BundleError, ModelError, RiskError, WorkerError, log_failure
from risk_lsp.probe.calibration import Priors
from risk_lsp.probe.manifest import ReferenceTable, bundle_path, choice_file
from risk_lsp.risk.risk_map import RiskMap
from risk_lsp.risk.span_risk import WORKER_COMMAND, PartialRisk, SpanRisk
from risk_lsp.settings import Settings
from risk_lsp.team.team_supervisor import RemoteAddress, TeamSupervisor
from risk_lsp.text.document import Document
from risk_lsp.worker.messages import PartCallback, ScoredArrays
from risk_lsp.worker.supervisor import LoadInterrupted, SupervisedWorker, Supervisor, WorkerState

_SECONDS_BETWEEN_LOOKS = 1.0
_LOADING = (WorkerState.STARTING, WorkerState.RESTARTING)
_OF_REMOTE = ("remote_host", "remote_key_file", "offline")  # options that say which host is asked, and whether

logger = logging.getLogger(__name__)


# The person's key for a team's host: its address and the file that the settings name in, the key out.
KeyCallback: TypeAlias = "Callable[[str, str], Awaitable[str | None]]"


class ModelHost:
    """Runs the worker, or asks a team's host, while the settings say so, and has texts scored.

    `on_change(state, failure)` is called on the event loop whenever the worker's state changes. `loads_another` says
    that a worker with other options is on its way: what the one before it said no longer holds. `reference` is what
    probabilities have meant for the loaded bundle, empty while none is loaded; `priors` what it says of lines' places.
    """

    def __init__(
        self,
        command: Sequence[str] | None,
        on_change: Callable[[WorkerState, WorkerError | None], None],
        remote_key: KeyCallback,
    ) -> None:
        self._command = command
        self._on_change = on_change
        self._remote_key = remote_key
        self._supervisor: SupervisedWorker | None = None
        self._options: dict[str, Any] = {}
        self._settled = asyncio.Event()
        self._applying = asyncio.Lock()
        self.loads_another = False
        self.reference = ReferenceTable(())
        self.priors = Priors()
        self._told: dict[str, Any] = {}  # by the worker, of what it has loaded

    @property
    def state(self) -> WorkerState:
        """Where the worker is now."""
        return WorkerState.STOPPED if self._supervisor is None else self._supervisor.state

    @property
    def bundle_identity(self) -> str | None:
        """The hash of the loaded bundle's probe; None while none is loaded, or if it has none."""
        return self._described_by_worker("probe_hash")

    @property
    def bundle_name(self) -> str | None:
        """What the loaded bundle calls itself; None while none is loaded."""
        return self._described_by_worker("name")

    @property
    def model_name(self) -> str | None:
        """What the loaded model is called; None while none is loaded."""
        return self._described_by_worker("model")

    async def apply(self, settings: Settings) -> bool:
        """Bring the worker in line with the settings and the person's choice of a bundle: start, stop, or restart it
        if what it runs with has changed. Returns whether it was restarted."""
        async with self._applying:
            options = worker_options(settings)
            if not settings.enabled:
                await self._stop()
            elif self._supervisor is None:
                await self._start(options)
            elif options != self._options:
                self.loads_another = True
                remote = options["remote_host"] or self._options["remote_host"]
                if remote and any(options[name] != self._options[name] for name in _OF_REMOTE):
                    await self._stop()
                    self._settled.clear()
                    await self._start(options)
                else:
                    self._options = options
                    await self._supervisor.restart(options)
                return True
            return False

    async def restart(self) -> None:
        """Replace the worker by a new one. Raises ModelError if there is none."""
        async with self._applying:
            if self._supervisor is None:
                raise ModelError("the model is not running")
            await self._supervisor.restart()

    async def stop(self) -> None:
        """End the worker."""
        async with self._applying:
            await self._stop()

    @property
    def remark(self) -> str | None:
        """Why a team's host is not in use that the settings name; None if it is, or there is none."""
        return self._supervisor.remark if isinstance(self._supervisor, TeamSupervisor) else None

    def is_loading(self) -> bool:
        """Whether a model is on its way."""
        return self._supervisor is not None and self._supervisor.state in _LOADING

    def explanation(self) -> str | None:
        """Why nothing can be scored right now, for people; None while the model is at work or ready for it."""
        supervisor = self._supervisor
        if supervisor is None:
            return "the model is not running"
        if supervisor.state is WorkerState.STARTING:
            return "the model is still loading"
        if supervisor.state is WorkerState.RESTARTING:
            reason = f" ({supervisor.failure.message})" if supervisor.failure else ""
            return f"the model is being restarted{reason}"
        if supervisor.state is WorkerState.FAILED:
            return f"the model could not be loaded: {supervisor.failure}"
        return None

    async def score(
        self, document: Document, at: Callable[[], int], on_part: Callable[[PartialRisk], None]
    ) -> SpanRisk:
        """The document's risks, as soon as the model is ready. `on_part` gets what is known of a long document before.

        `at` is asked when the work begins, for the offset whose surroundings come first.
        Raises WorkerError if the worker went away over this text, BadInput if it refused the text, and ModelError if
        it failed over the text and lives on, or if there is no model to wait for.
        """

        def pass_on(part: ScoredArrays) -> None:
            try:
                _risks_of(document, part)
                on_part(PartialRisk.from_arrays(part.header, part.arrays))
            except Exception as error:  # the whole is still to come
                log_failure("a part of a text", error)

        while True:
            supervisor = await self._settled_supervisor()
            try:
                scored = await supervisor.score(document.text, document.language_id, at=at, on_part=pass_on)
                return _risks_of(document, scored)
            except LoadInterrupted:
                continue  # the next worker may come to be ready
            except WorkerError as error:
                if supervisor.state in (WorkerState.READY, WorkerState.FAILED, WorkerState.STOPPED):
                    # No new worker follows: another try would not help.
                    raise ModelError(error.message, error.hint) from None
                raise

    async def ask(
        self, question: str, parameters: dict[str, Any], on_part: PartCallback = lambda _: None
    ) -> ScoredArrays:
        """Ask the worker something else, as soon as the model is ready; see `SupervisedWorker.ask`.

        Raises WorkerError if the worker goes away meanwhile, and ModelError if there is none to wait for.
        """
        while True:
            supervisor = await self._settled_supervisor()
            try:
                return await supervisor.ask(question, parameters, on_part)
            except LoadInterrupted:
                continue  # as of `score`

    def _described_by_worker(self, name: str) -> str | None:
        if self._supervisor is None or self.loads_another:
            return None
        found = self._supervisor.description.get(name)
        return found if isinstance(found, str) else None

    async def _settled_supervisor(self) -> SupervisedWorker:
        """The supervisor, once its worker has loaded. Raises ModelError if there is no worker to wait for."""
        await self._settled.wait()
        supervisor = self._supervisor
        if supervisor is None or supervisor.state in (WorkerState.FAILED, WorkerState.STOPPED):
            raise ModelError(self.explanation() or "the model is not running", "start it with riskLsp.restart")
        return supervisor

    async def _start(self, options: dict[str, Any]) -> None:
        self._options = options

        def new_worker(options: dict[str, Any]) -> Supervisor:
            return Supervisor(options, command=self._command or WORKER_COMMAND)

        url, key_file = options["remote_host"], options["remote_key_file"]
        if url:
            address = RemoteAddress(url, options["offline"], lambda: self._remote_key(url, key_file))
            self._supervisor = TeamSupervisor(options, address, new_worker)
        else:
            self._supervisor = new_worker(options)
        self._supervisor.on_change(self._follow_worker)
        await self._supervisor.start()

    async def _stop(self) -> None:
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is not None:
            await supervisor.stop()

    def _follow_worker(self, state: WorkerState, failure: WorkerError | None) -> None:
        if state in _LOADING:
            self._settled.clear()
        else:
            self._settled.set()
            self.loads_another = False
        description = {} if self._supervisor is None else self._supervisor.description
        if state is WorkerState.READY and description is not self._told:  # another model than before
            self._told = description
            self.reference, self.priors = ReferenceTable(()), Priors()
            try:
                self.reference = ReferenceTable.from_manifest(description.get("reference", {}))
                if (places := description.get("places")) is not None:
                    self.priors = Priors.from_json(places)
            except BundleError as error:
                logger.warning("the description of the model is not whole: %s", error)
        self._on_change(state, failure)


def _risks_of(document: Document, scored: ScoredArrays) -> SpanRisk:
    """The risks in an answer. Raises ModelError if they are of no such text: a team's host may be any program."""
    try:
        risks = RiskMap.from_arrays(scored.header, scored.arrays)
    except WorkerError as error:
        raise ModelError(error.message, error.hint) from error
    if risks.text_length != document.lines.length:
        raise ModelError("the risks that came are of another text", "edit the text to try again")
    return risks


class ChoiceWatch:
    """Notices that another bundle was chosen, by this server or any other program of this user."""

    def __init__(self) -> None:
        self._file = choice_file()
        self._stamp = self._look()

    def has_changed(self) -> bool:
        """Whether another bundle was chosen since the last time that this was true. Looks at most once a second."""
        if time.monotonic() - self._looked < _SECONDS_BETWEEN_LOOKS:
            return False
        before, self._stamp = self._stamp, self._look()
        return before != self._stamp

    def _look(self) -> tuple[int, int, int] | None:
        self._looked = time.monotonic()
        try:
            found = self._file.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size


def worker_options(settings: Settings) -> dict[str, Any]:
    """The options that the worker starts with, and which host is asked instead of it.

    Paths are absolute because the worker runs in another folder.
    """
    bundle = settings.bundle
    with contextlib.suppress(RiskError):  # the worker says what is wrong with a name that cannot be resolved
        bundle = str(bundle_path(bundle).absolute())
    return {
        "bundle": bundle,
        "threads": settings.threads or None,
        "cache_bytes": settings.cache_megabytes * 1_000_000,
        "disk_cache_bytes": settings.disk_cache_megabytes * 1_000_000,
        "device": settings.device,
        "dtype": settings.dtype,
        "offline": settings.offline,
        "writes": settings.inline_completion,
        "remote_host": settings.remote_host,
        "remote_key_file": settings.remote_key_file,
    }
