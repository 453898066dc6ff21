"""Consent to run tests: asked once for each exact command in a workspace, and remembered in the user's data folder."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
from pathlib import Path

from lsprotocol import types

from risk_lsp.errors import RiskError
from risk_lsp.repair.tests import TestPlan
from risk_lsp.server.endpoint import Endpoint

RUN, NOT_NOW, NEVER = "Run", "Not now", "Never"

logger = logging.getLogger(__name__)


class ConsentStore:
    """The answers that hold for good: one small file for each plan, named by its identity, without its command."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def answer(self, plan: TestPlan) -> str | None:
        """RUN, NEVER, or None where nothing is remembered."""
        try:
            answer = self._path(plan).read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError):
            return None
        return answer if answer in (RUN, NEVER) else None

    def remember(self, plan: TestPlan, answer: str) -> None:
        """Keep an answer. One that cannot be written down is asked for again the next time."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor, name = tempfile.mkstemp(dir=self._folder, prefix=".new-")
            try:
                with os.fdopen(descriptor, "w", encoding="ascii") as file:
                    file.write(answer)
                os.replace(name, self._path(plan))
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(name)
                raise
        except OSError as error:
            logger.warning("the answer about tests could not be kept in %s: %s", self._folder, error.strerror)

    def forget_all(self) -> int:
        """Ask about every command again; how many answers there were."""
        try:
            answers = [path for path in self._folder.iterdir() if not path.name.startswith(".")]
            for path in answers:
                path.unlink(missing_ok=True)
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise RiskError(
                f"{self._folder} cannot be changed: {error.strerror}", "remove the folder yourself"
            ) from None
        return len(answers)

    def _path(self, plan: TestPlan) -> Path:
        return self._folder / plan.identity


async def may_run(plan: TestPlan, store: ConsentStore, endpoint: Endpoint) -> str:
    """RUN if these tests may be run, else NOT_NOW or NEVER; asks the person where no answer is remembered."""
    known = store.answer(plan)
    if known is not None:
        return known
    words = (
        f"risk-lsp: may tests judge the repairs of {plan.place}? They run in a sandbox, on a copy of {plan.root},"
        f" without a network. The command: {plan.command}"
    )
    actions = [types.MessageActionItem(title) for title in (RUN, NOT_NOW, NEVER)]
    params = types.ShowMessageRequestParams(types.MessageType.Warning, words, actions)
    try:
        chosen = await endpoint.ask(types.WINDOW_SHOW_MESSAGE_REQUEST, params)
    except RiskError:
        return NOT_NOW  # a client that cannot ask
    answer = chosen.title if chosen is not None else NOT_NOW
    if answer in (RUN, NEVER):
        store.remember(plan, answer)
    return answer if answer in (RUN, NEVER) else NOT_NOW
