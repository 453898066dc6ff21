"""`riskLsp.reviewGenerated`: what was generated since the last commit, the likeliest to need an edit first."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsprotocol import types
from lsprotocol.converters import get_converter
from pygls.exceptions import JsonRpcRequestCancelled

from risk_lsp.errors import RiskError
from risk_lsp.probe.calibration import Place
from risk_lsp.repair.model_questions import WorkerModel
from risk_lsp.report.check import CheckOptions, FileReport, LineRisk, check_paths, collect_result, likeliest_first
from risk_lsp.risk.changes import changes_since
from risk_lsp.risk.presentation import percent
from risk_lsp.risk.span_risk import SpanRisk
from risk_lsp.server.features.code_actions import NOT_TRUSTED
from risk_lsp.server.features.commands import aside
from risk_lsp.server.wire.convert import path_of
from risk_lsp.server.wire.messenger import Messenger, WorkDoneProgress
from risk_lsp.text.document import Document, PositionEncoding, to_position

if TYPE_CHECKING:
    from risk_lsp.server.session import Session
    from risk_lsp.server.state import State

_BASE = "HEAD"
_LINES = 100  # in a list; nobody reads more of them
_SECONDS_FOR_GIT = 10.0
_converter = get_converter()


class Reviews:
    """At most one review is made at a time; the files are read as they are on disk."""

    def __init__(self, state: State, messenger: Messenger) -> None:
        self._state = state
        self._messenger = messenger
        self._task: asyncio.Task[dict[str, Any]] | None = None
        self._token: int | str | None = None

    def begin(self, uri: str | None, token: int | str | None) -> Awaitable[dict[str, Any]]:
        """The answer to the command, once it is known. Raises RiskError."""
        state, folders = self._state, self._messenger.folders
        if not folders and uri is not None and (file := path_of(uri)) is not None:
            folders = [Path(file).parent]
        if not state.settings.enabled or not state.settings.trusted:
            why = NOT_TRUSTED if state.settings.enabled else "risk-lsp is turned off (setting enabled)"
            raise RiskError(f"nothing is reviewed: {why}", "see docs/places.md")
        folders = [folder for folder in folders if state.configuration.current.of(folder.as_uri()).enabled]
        if not folders:
            raise RiskError(
                "no folder is open in which risk-lsp is on", "open one, or a file, that is in a git repository"
            )
        if self._task is not None:
            raise RiskError("a review is being made already", "wait for it, or cancel its progress")
        supported = state.client.work_done_progress
        progress = WorkDoneProgress("risk-lsp review", self._messenger, supported=supported, token=token)
        work = _Review(state, folders, asyncio.get_running_loop(), progress)
        self._task, self._token = asyncio.get_running_loop().create_task(work.outcome()), progress.token
        self._task.add_done_callback(lambda _: self._end(progress))
        self._messenger.protocol.when_cancelled(self._task.cancel)
        return _answer(self._task)

    def cancel_shown(self, token: int | str) -> None:
        """The person cancelled progress."""
        if self._task is not None and self._token == token:
            self._task.cancel()

    def _end(self, progress: WorkDoneProgress) -> None:
        self._task = None
        progress.end()


async def _answer(task: asyncio.Task[dict[str, Any]]) -> dict[str, Any]:
    await asyncio.wait([task])
    if task.cancelled():
        raise JsonRpcRequestCancelled("the review was cancelled")
    return task.result()


class _Unwanted(Exception):
    """Nobody waits for the review any more."""


@dataclass(frozen=True)
class _Review:
    """One review: git and files in a thread, the model's work asked for from there, file by file."""

    state: State
    folders: Sequence[Path]
    loop: asyncio.AbstractEventLoop
    progress: WorkDoneProgress
    is_unwanted: threading.Event = field(default_factory=threading.Event)

    async def outcome(self) -> dict[str, Any]:
        try:
            return await self._outcome()
        finally:
            self.is_unwanted.set()

    async def _outcome(self) -> dict[str, Any]:
        settings, host = self.state.settings, self.state.host
        options = CheckOptions(
            top=0,
            threshold=settings.threshold,
            place=Place.GENERATED,
            priors=host.priors,
            longest=settings.max_characters,
        )
        found = await aside(partial(self._reports, options))
        above = likeliest_first(found, lambda report: report.findings)
        encoding = self.state.encoding
        return {
            "base": _BASE,
            "files": len(found),
            "message": _message(len(above), len(found), settings.threshold),
            "lines": [_line(report, line, encoding) for report, line in above[:_LINES]],
        }

    def _reports(self, options: CheckOptions) -> list[FileReport]:
        """The reports on the files that changed, of every repository once."""
        every = [changes_since(_BASE, folder, seconds=_SECONDS_FOR_GIT) for folder in self.folders]
        found: list[FileReport] = []
        for root, changes in {each.root: each for each in every}.items():
            outcomes = check_paths(
                self, [root], options, self.state.host.reference, changes, on_batch=self._show_progress
            )
            found += collect_result(outcomes, options).reports
        return found

    def score_many(self, texts: Sequence[str], language_id: str = "python") -> list[SpanRisk]:
        """One text at a time: what somebody types meanwhile comes in between."""
        return [self.score(text, language_id) for text in texts]

    def score(self, text: str, language_id: str) -> SpanRisk:
        """Waits for the model. Raises _Unwanted once nobody waits for the review."""
        if self.is_unwanted.is_set():
            raise _Unwanted
        asked = WorkerModel(self.state.host.ask).risks([text], language_id)
        (risk,) = asyncio.run_coroutine_threadsafe(asked, self.loop).result()
        return risk

    def _show_progress(self, paths: Sequence[Path], before: int, of: int) -> None:
        words = f"{before + len(paths):,} of {of:,} files"
        self.loop.call_soon_threadsafe(self.progress.report, words, before / max(1, of))


def _message(lines: int, files: int, threshold: float) -> str:
    what = f"{files:,} {'file' if files == 1 else 'files'} with changes since the last commit"
    many = f"{lines or 'no'} {'line' if lines < 2 else 'lines'} above {percent(threshold)}"
    return f"{many} in {what}" + (f"; the first {_LINES} are listed" if lines > _LINES else "")


def _line(report: FileReport, line: LineRisk, encoding: PositionEncoding) -> dict[str, Any]:
    document = Document("", 0, report.lines, report.language_id)
    ends = [types.Position(*to_position(document, offset, encoding)) for offset in line.span]
    return {
        "uri": report.path.absolute().as_uri(),
        "range": _converter.unstructure(types.Range(*ends)),
        "text": report.text[slice(*line.span)],
        "probability": line.probability,
        "label": line.standing.short(line.probability),
        "sentence": line.standing.sentence(line.probability),
        "words": [report.text[slice(*span)] for span in line.words],
    }


def review_generated(session: Session, uri: str | None, token: int | str | None) -> Awaitable[dict[str, Any]]:
    """Answer {base, files, message, lines: [{uri, range, text, probability, label, sentence, words}]}, of the
    repositories of the workspace's folders, or of the one that a document is in where there are none."""
    return session.reviews.begin(uri, token)
