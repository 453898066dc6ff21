"""Work-done progress in the client."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from lsprotocol import types

if TYPE_CHECKING:
    from risk_lsp.server.wire.messenger import Messenger


class WorkDoneProgress:
    """Progress under the client's own token, or under one that is created for it if it can show progress.

    `stage` says what is done first. Progress that is `cancellable` has a percentage and a button.

    The client's answer is taken by callback. If a task waited for it and were cancelled, it would leave a cancelled
    future behind, over which the answer would fail.
    """

    def __init__(
        self,
        title: str,
        messenger: Messenger,
        *,
        supported: bool,
        token: int | str | None = None,
        stage: str = "starting",
        cancellable: bool = True,
    ) -> None:
        self.token: int | str = str(uuid.uuid4()) if token is None else token
        self._title = title
        self._messenger = messenger
        self._cancellable = cancellable
        self._newest: tuple[str, int] = (stage, 0)
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
            begin = types.WorkDoneProgressBegin(self._title, message=stage)
            if self._cancellable:
                begin.cancellable, begin.percentage = True, percentage
            self._send(begin)

    def _send(self, value: Any) -> None:
        self._messenger.notify(types.PROGRESS, types.ProgressParams(self.token, value))
