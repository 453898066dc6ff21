"""The self-contained report of an open text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from risk_lsp.risk.check import CheckOptions, LineRisk, file_report
from risk_lsp.risk.reference import ReferenceTable
from risk_lsp.risk.report_html import html_report
from risk_lsp.risk.tool import Tool
from risk_lsp.server.line_view import LineView


def report_of(view: LineView, bundle: str | None, reference: ReferenceTable) -> str:
    """One HTML page under the file's name; what the person has ignored is not pointed at."""
    document, threshold = view.analysis.document, view.circumstances.settings.threshold
    options = CheckOptions(top=view.circumstances.settings.max_diagnostics, threshold=threshold)
    name = Path(Path(unquote(urlsplit(document.uri).path)).name)
    report = file_report(view.analysis.risks, document.text, name, document.language_id, options, reference)
    heard = replace(report, worth_reading=_heard(report.worth_reading, view), findings=_heard(report.findings, view))
    return html_report([heard], Tool(bundle or "unknown", "", ""), reference, threshold=threshold)


def _heard(lines: Sequence[LineRisk], view: LineView) -> tuple[LineRisk, ...]:
    return tuple(line for line in lines if line.line not in view.ignored)
