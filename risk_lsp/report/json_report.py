"""The report that other programs read: JSON, described in docs/report-format.md."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

from risk_lsp.report.check import CheckResult, FileFailure, FileReport, LineRisk
from risk_lsp.report.wording import NAME, Tool
from risk_lsp.risk.placed_risk import Standing
from risk_lsp.risk.presentation import FunctionRisk

FORMAT_VERSION = 1


def json_report(result: CheckResult, tool: Tool) -> str:
    """One JSON object, with a newline at its end."""
    report = {
        "format": "risk-lsp-check",
        "format_version": FORMAT_VERSION,
        "tool": {"name": NAME, "version": tool.version},
        "bundle": {"name": tool.bundle, "probe_hash": tool.probe_hash, "weights_hash": tool.weights_hash},
        "threshold": result.threshold,
        "base": result.base,
        "files": [_file(report) for report in result.reports],
        "errors": [_error(failure) for failure in result.failures],
        "passed_over": [{"path": str(file.path), "reason": file.reason} for file in result.passed_over],
    }
    return json.dumps(report, indent=2, ensure_ascii=False) + "\n"


def rounded(probability: float) -> float | None:
    """Four digits are more than a probability has; a line that has none (NaN) is null."""
    return None if math.isnan(probability) else round(probability, 4)


def _file(report: FileReport) -> dict[str, Any]:
    novelty = report.placed.risks.novelty
    return {
        "path": str(report.path),
        "language": report.language_id,
        "document": rounded(report.document),
        **report.placed.whole.to_json(),
        "novelty": None if novelty is None else round(novelty, 4),
        "lines": [rounded(probability) for probability in report.line_probabilities.tolist()],
        "ranks": [rank or None for rank in report.ranks.tolist()],
        "places": [place.value for place in report.placed.places_of_lines()],
        "orders": report.placed.orders(),
        "changed": None if report.changed is None else (np.flatnonzero(report.changed) + 1).tolist(),
        "worth_reading": [_line(report, line) for line in report.worth_reading],
        "findings": [_line(report, line) for line in report.findings],
        "functions": [_function(report, function, standing) for function, standing in report.functions],
    }


def _line(report: FileReport, line: LineRisk) -> dict[str, Any]:
    return {
        "line": line.line + 1,
        "start": line.span.start,
        "end": line.span.end,
        "text": report.text[line.span.start : line.span.end],
        "probability": rounded(line.probability),
        **line.standing.to_json(),
        "tokens": [{"start": word.start, "end": word.end} for word in line.words],
        "reference": line.reference,
    }


def _function(report: FileReport, function: FunctionRisk, standing: Standing) -> dict[str, Any]:
    span = function.node.span
    return {
        "kind": function.node.kind,
        "name": function.node.name,
        "first_line": report.lines.line_of(span.start) + 1,
        "last_line": report.lines.line_of(max(span.start, span.end - 1)) + 1,
        "probability": rounded(function.probability),
        **standing.to_json(),
    }


def _error(failure: FileFailure) -> dict[str, str]:
    return {"path": str(failure.path), "message": failure.error.message, "hint": failure.error.hint}
