"""The progress of one repair, in a client that shows progress."""

from __future__ import annotations

import uuid
from typing import Any

from lsprotocol import types

from risk_lsp.server.progress import Notify, Request

_TITLE = "risk-lsp repair"


class RepairProgress:
    """Cancellable work-done progress under the client's own token, or one that is created for it.

    Answers are taken by callback, as in `LoadingProgress`, and for the same reason.
    """

    def __init__(self, supported: bool, request: Request, notify: Notify, token: int | str | None) -> None:
        self.token: int | str = str(uuid.uuid4()) if token is None else token
        self._notify = notify
        self._newest: tuple[str, int] = ("starting", 0)
        self._shown = False
        self._ended = False
        if token is not None:
            self._begin(None)
        elif supported:
            request("window/workDoneProgress/create", types.WorkDoneProgressCreateParams(self.token), self._begin)

    def report(self, stage: str, done: float) -> None:
        """How far it is: words, and 0 to 1."""
        newest = (stage, max(self._newest[1], min(100, round(100 * done))))
        if newest != self._newest and self._shown and not self._ended:
            self._send(types.WorkDoneProgressReport(cancellable=True, message=stage, percentage=newest[1]))
        self._newest = newest

    def end(self, words: str | None = None) -> None:
        """There is nothing left to wait for. Calls after the first do nothing."""
        if self._shown and not self._ended:
            self._send(types.WorkDoneProgressEnd(message=words))
        self._ended = True

    def _begin(self, _: object) -> None:
        if not self._ended:
            self._shown = True
            stage, percentage = self._newest
            self._send(types.WorkDoneProgressBegin(_TITLE, cancellable=True, message=stage, percentage=percentage))

    def _send(self, value: Any) -> None:
        self._notify("$/progress", types.ProgressParams(self.token, value))
