"""What the server tells its client and asks it: messages, questions to the person, and the progress of work."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Literal

from lsprotocol import types
from pygls.lsp.server import LanguageServer
from pygls.protocol import default_converter

from risk_lsp import __version__
from risk_lsp.errors import RiskError, log_failure
from risk_lsp.server.wire.convert import path_of
from risk_lsp.server.wire.handshake import SERVER_NAME
from risk_lsp.server.wire.protocol import RiskProtocol, barrier

ASK_FOR_CONSENT = "riskLsp/askForConsent"
ASK_HINT = "riskLsp/askHint"
PREVIEW = "riskLsp/preview"
CONFIRM_PREVIEW = "riskLsp/confirmPreview"
ASK_SECRET = "riskLsp/secret"
_SECONDS_BETWEEN_NOTICES = 60.0

logger = logging.getLogger(__name__)


class Messenger(LanguageServer):
    """The server's end of the connection to one client."""

    protocol: RiskProtocol

    def __init__(self, offers: Collection[str] = ()) -> None:
        """`offers`: which requests of our own the client answers, such as for consent in a dialog, or for a secret."""
        super().__init__(SERVER_NAME, __version__, protocol_cls=RiskProtocol, converter_factory=default_converter)
        self._noticed: dict[str, float] = {}
        self._offers = offers

    @property
    def folders(self) -> list[Path]:
        """The folders of the client's workspace."""
        uris = [folder.uri for folder in self.workspace.folders.values()]
        uris += [self.workspace.root_uri] if self.workspace.root_uri and not uris else []
        return [Path(folder) for uri in uris if (folder := path_of(uri))]

    def handle(self, method: str, handler: Callable[..., Any]) -> None:
        """Call the handler, behind a barrier, for every message of the method."""
        # Not by pygls's decorator, which passes the server to handlers whose first parameter could be one.
        self.protocol.fm.features[method] = barrier(method, handler)

    def request(self, method: str, params: Any, on_result: Callable[[Any], None]) -> None:
        """Send a request. An error in return is only logged."""

        def take_answer(future: Future[Any]) -> None:
            if future.cancelled():
                return
            if future.exception() is not None:
                logger.warning("the client refused %s", method)
                return
            try:
                on_result(future.result())
            except Exception as error:
                log_failure(f"the result of {method}", error)

        self.protocol.send_request(method, params).add_done_callback(take_answer)

    async def ask(self, method: str, params: Any) -> Any:
        """Send a request and wait for the answer; cancelling cancels the request. Raises RiskError if it is refused."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def take_answer(future: Future[Any]) -> None:
            if answer.done():
                return
            if future.cancelled() or future.exception() is not None:
                answer.set_exception(RiskError(f"the editor refused {method}", "update the editor or its extension"))
            else:
                answer.set_result(future.result())

        message_id = str(uuid.uuid4())
        self.protocol.send_request(method, params, msg_id=message_id).add_done_callback(take_answer)
        try:
            return await answer
        except asyncio.CancelledError:
            self.protocol.notify(types.CANCEL_REQUEST, types.CancelParams(message_id))
            raise

    async def ask_for_consent(self, question: str, choices: Sequence[str]) -> str | None:
        """The choice of the person, the last of which does nothing; None for none. Raises RiskError as `ask` does.

        In a dialog where the client has one: some editors put a message out of sight after seconds, answered or not.
        """
        if "consent" in self._offers:
            answer = await self.ask(ASK_FOR_CONSENT, {"question": question, "choices": [*choices]})
            chosen = answer.get("choice") if isinstance(answer, dict) else None
        else:
            actions = [types.MessageActionItem(choice) for choice in choices]
            params = types.ShowMessageRequestParams(types.MessageType.Warning, question, actions)
            item = await self.ask(types.WINDOW_SHOW_MESSAGE_REQUEST, params)
            chosen = None if item is None else item.title
        return chosen if chosen in choices else None

    async def ask_hint(self, uri: str, place: types.Range, purpose: Literal["repair", "body"]) -> str | None:
        """The person's words about a place, for what is to be made there; None if they give none after all.

        Raises RiskError as `ask` does.
        """
        answer = await self.ask(ASK_HINT, {"uri": uri, "range": place, "purpose": purpose})
        hint = answer.get("hint") if isinstance(answer, dict) else None
        return hint if isinstance(hint, str) and hint.strip() else None

    async def ask_secret(self, endpoint: str) -> str | None:
        """The key of an endpoint from the editor's secret store; None if it has none. It is neither logged nor kept."""
        if "secret" not in self._offers:
            return None
        try:
            answer = await self.ask(ASK_SECRET, {"endpoint": endpoint})
        except RiskError:
            return None
        secret = answer.get("secret") if isinstance(answer, dict) else None
        return secret if isinstance(secret, str) and secret else None

    def tell(self, level: types.MessageType, text: str, kind: str | None = None) -> None:
        """Show a message to the person. Messages of one `kind` are shown once a minute at most, and else logged."""
        if kind is not None:
            now = time.monotonic()
            if now - self._noticed.get(kind, -_SECONDS_BETWEEN_NOTICES) < _SECONDS_BETWEEN_NOTICES:
                logger.warning("%s", text)
                return
            self._noticed[kind] = now
        self.window_show_message(types.ShowMessageParams(level, text))

    def report_server_error(self, error: Exception, source: Any) -> None:
        """Log an error that pygls would show to the person; our handlers have reported theirs already."""
        logger.debug("%s", type(error).__name__)


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
        self._messenger.protocol.notify(types.PROGRESS, types.ProgressParams(self.token, value))
