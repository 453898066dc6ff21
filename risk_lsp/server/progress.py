"""A progress bar in the client while the model loads."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from lsprotocol import types

Request = Callable[[str, Any, Callable[[Any], None]], None]  # method, params, what to do with the result
Notify = Callable[[str, Any], None]  # method, params


class LoadingProgress:
    """At most one work-done progress at a time, shown only by clients that can.

    The client's answer is taken by callback and never awaited in a task: a task cancelled while it waits would leave a
    cancelled future behind that the answer then trips over.
    """

    def __init__(self, supported: bool, request: Request, notify: Notify) -> None:
        self._supported = supported
        self._request = request
        self._notify = notify
        self._token: str | None = None  # of the loading that is going on
        self._shown = False

    def begin(self, message: str) -> None:
        """The model starts to load."""
        if not self._supported or self._token is not None:
            return
        token = self._token = str(uuid.uuid4())

        def created(_: object) -> None:
            if self._token == token:
                self._shown = True
                self._send(token, types.WorkDoneProgressBegin(title="risk-lsp", message=message))

        self._request("window/workDoneProgress/create", types.WorkDoneProgressCreateParams(token), created)

    def end(self) -> None:
        """The model has loaded, or will not."""
        token, shown = self._token, self._shown
        self._token, self._shown = None, False
        if token is not None and shown:
            self._send(token, types.WorkDoneProgressEnd())

    def _send(self, token: str, value: types.WorkDoneProgressBegin | types.WorkDoneProgressEnd) -> None:
        self._notify("$/progress", types.ProgressParams(token, value))
