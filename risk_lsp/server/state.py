"""What the parts of one session share."""

from __future__ import annotations

from dataclasses import dataclass

from risk_lsp.server.analysis import Analyzer
from risk_lsp.server.attention import Attention
from risk_lsp.server.client import Client
from risk_lsp.server.configuration import Configuration
from risk_lsp.server.generated import GeneratedRegions
from risk_lsp.server.ignore_store import IgnoreStore
from risk_lsp.server.line_views import LineViews
from risk_lsp.server.model_host import ModelHost
from risk_lsp.server.snooze import Snooze
from risk_lsp.server.workspace import OpenDocuments
from risk_lsp.settings import Settings
from risk_lsp.text.positions import PositionEncoding


@dataclass(frozen=True)
class State:
    """One session's client, documents, model and what came of them."""

    client: Client
    encoding: PositionEncoding
    configuration: Configuration
    documents: OpenDocuments
    host: ModelHost
    analyzer: Analyzer
    views: LineViews
    snooze: Snooze
    store: IgnoreStore
    regions: GeneratedRegions
    attention: Attention

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self.configuration.current
