"""Asks the client to ask again, where it can and where there is something to ask for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from lsprotocol import types

# By the client's capability below `workspace`.
_REQUESTS = {
    "inlayHint": types.WORKSPACE_INLAY_HINT_REFRESH,
    "codeLens": types.WORKSPACE_CODE_LENS_REFRESH,
    "diagnostics": types.WORKSPACE_DIAGNOSTIC_REFRESH,
}


class Refresher:
    """Sends at most one request of a kind per turn of the event loop, however much has changed."""

    def __init__(self, supported: frozenset[str], request: Callable[[str, Any, Callable[[Any], None]], None]) -> None:
        self._supported = supported
        self._request = request
        self._wanted: set[str] = set()

    def want(self, kinds: Iterable[str]) -> None:
        """Refresh these kinds soon; ones that the client cannot refresh are left out."""
        fresh = (set(kinds) & self._supported) - self._wanted
        if fresh and not self._wanted:
            asyncio.get_running_loop().call_soon(self._send)
        self._wanted |= fresh

    def stop(self) -> None:
        """Ask for nothing any more."""
        self._supported = frozenset()
        self._wanted.clear()

    def _send(self) -> None:
        wanted, self._wanted = self._wanted, set()
        for kind in sorted(wanted):
            self._request(_REQUESTS[kind], None, lambda _: None)
