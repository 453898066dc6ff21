"""The newest view of every open document."""

from __future__ import annotations

from risk_lsp.server.analysis import Analysis
from risk_lsp.server.ignore_store import IgnoreStore
from risk_lsp.server.ignores import ignored_lines
from risk_lsp.server.line_view import LineView, line_view
from risk_lsp.settings import Settings


class LineViews:
    """Makes views and keeps the newest one of every document."""

    def __init__(self, store: IgnoreStore) -> None:
        self._store = store
        self._newest: dict[str, LineView] = {}

    def make(self, analysis: Analysis, settings: Settings, paused: bool) -> LineView:
        """The view of an analysis that is new, or shown under new circumstances."""
        view = line_view(analysis, settings, ignored_lines(analysis.document, self._store), paused)
        self._newest[analysis.document.uri] = view
        return view

    def get(self, uri: str) -> LineView | None:
        """The view made last."""
        return self._newest.get(uri)

    def forget(self, uri: str) -> None:
        """Drop what is kept of a document."""
        self._newest.pop(uri, None)
