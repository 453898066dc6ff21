"""The newest views of every open document."""

from __future__ import annotations

from risk_lsp.server.analysis import Analysis
from risk_lsp.server.generated import GeneratedRegions
from risk_lsp.server.ignore_store import IgnoreStore
from risk_lsp.server.ignores import ignored_lines
from risk_lsp.server.line_view import Circumstances, LineView, line_view
from risk_lsp.settings import Settings


class LineViews:
    """Makes views, each in the light of the one before, and keeps the newest ones of every document."""

    def __init__(self, store: IgnoreStore, regions: GeneratedRegions) -> None:
        self._store = store
        self._regions = regions
        self._newest: dict[str, LineView] = {}
        self._whole: dict[str, LineView] = {}

    def make(self, analysis: Analysis, settings: Settings, paused: bool) -> LineView:
        """The view of an analysis that is new, or shown under new circumstances."""
        uri = analysis.document.uri
        within = self._regions.lines(analysis.document) if settings.scope == "generated" else None
        now = Circumstances(settings, ignored_lines(analysis.document, self._store), within, paused)
        view = self._newest[uri] = line_view(analysis, now, self._newest.get(uri))
        if analysis.is_whole:
            self._whole[uri] = view
        return view

    def get(self, uri: str) -> LineView | None:
        """The view made last."""
        return self._newest.get(uri)

    def get_whole(self, uri: str) -> LineView | None:
        """The last view of a document all of which was known."""
        return self._whole.get(uri)

    def forget(self, uri: str) -> None:
        """Drop what is kept of a document."""
        self._newest.pop(uri, None)
        self._whole.pop(uri, None)

    def forget_all(self) -> None:
        """Drop what is kept of all documents: numbers of another model are nothing to be steady about."""
        self._newest.clear()
        self._whole.clear()
