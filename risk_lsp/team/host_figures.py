"""What a team's host counts, for Prometheus."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from risk_lsp.team.admission import Turns


class Figures:
    """What the host counts. No figure names a person, so that whoever reads them sees nobody at work."""

    def __init__(self, turns: Turns) -> None:
        self.registry = CollectorRegistry()
        new: dict[str, Any] = {"namespace": "risk_lsp_host", "registry": self.registry}
        self.requests = Counter("requests", "Requests by path and status.", ["path", "status"], **new)
        self.seconds = Histogram("request_seconds", "From a whole request to its answer.", ["path"], **new)
        self.model_seconds = Counter("model_seconds", "Seconds that the model was in use.", **new)
        self.tokens = Counter("tokens", "Tokens of the texts that were scored.", **new)
        self.shared = Counter("shared_scores", "Scores whose texts shared runs of the model with others.", **new)
        self.restarts = Counter("worker_restarts", "How often the model's process had to be started again.", **new)
        Gauge("waiting", "Requests that wait for the model.", **new).set_function(lambda: turns.waiting)
