"""A scorer whose answers a test can foretell: no model, but real risk maps."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from risk_lsp.probe.manifest import ReferenceTable
from risk_lsp.report.check import CheckOptions, CheckResult, check_paths, collect_result
from risk_lsp.risk.risk_map import RiskMap
from tests.risk.maps import risk_map

REFERENCE = ReferenceTable.from_manifest(
    {"line": [{"low": 0.5, "high": 0.9, "predicted": 0.6, "observed": 0.58, "n": 612}]}
)


class WordScorer:
    """Tokens are words with the white space before them; hazards are 1 for `BUG...`, 0.2 for `MAYBE...`, else 0.01."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.together: list[int] = []  # how many texts each call had

    def score(self, text: str, language_id: str = "python") -> RiskMap:
        self.texts.append(text)
        tokens = [match.span() for match in re.finditer(r"\s*\S+", text)]
        return risk_map(tokens, [_hazard(text[start:end].strip()) for start, end in tokens], length=len(text))

    def score_many(self, texts: Sequence[str], language_id: str = "python") -> list[RiskMap]:
        self.together.append(len(texts))
        return [self.score(text, language_id) for text in texts]


def check(*paths: Path, options: CheckOptions | None = None, scorer: WordScorer | None = None) -> CheckResult:
    """Check files with a WordScorer."""
    chosen = options or CheckOptions()
    return collect_result(check_paths(scorer or WordScorer(), paths, chosen, REFERENCE), chosen)


def _hazard(word: str) -> float:
    return 1.0 if word.startswith("BUG") else 0.2 if word.startswith("MAYBE") else 0.01
