"""Work-done progress that the person can cancel."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from lsprotocol import types

if TYPE_CHECKING:
    from risk_lsp.server.wire.messenger import Messenger


class CancellableProgress:
    """Progress under the client's own token, or one that is created for it where the client can show it.

    Answers are taken by callback and never awaited in a task: a task cancelled while it waits would leave a cancelled
    future behind that the answer then trips over.
    """

    def __init__(self, title: str, messenger: Messenger, *, supported: bool, token: int | str | None) -> None:
        self.token: int | str = str(uuid.uuid4()) if token is None else token
        self._title = title
        self._messenger = messenger
        self._newest: tuple[str, int] = ("starting", 0)
        self._shown = False
        self._ended = False
        if token is not None:
            self._begin(None)
        elif supported:
            created = types.WorkDoneProgressCreateParams(self.token)
            messenger.request(types.WINDOW_WORK_DONE_PROGRESS_CREATE, created, self._begin)

    def report(self, stage: str, done: float) -> None:
        """Show how far the work is: words, and a share from 0 to 1."""
        newest = (stage, max(self._newest[1], min(100, round(100 * done))))
        if newest != self._newest and self._shown and not self._ended:
            self._send(types.WorkDoneProgressReport(cancellable=True, message=stage, percentage=newest[1]))
        self._newest = newest

    def end(self, words: str | None = None) -> None:
        """Take the progress from the screen. Calls after the first do nothing."""
        if self._shown and not self._ended:
            self._send(types.WorkDoneProgressEnd(message=words))
        self._ended = True

    def _begin(self, _: object) -> None:
        if not self._ended:
            self._shown = True
            stage, percentage = self._newest
            self._send(types.WorkDoneProgressBegin(self._title, cancellable=True, message=stage, percentage=percentage))

    def _send(self, value: Any) -> None:
        self._messenger.notify("$/progress", types.ProgressParams(self.token, value))
