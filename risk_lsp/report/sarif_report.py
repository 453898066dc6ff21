"""The report that code-scanning services read: SARIF 2.1.0."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes

from risk_lsp.report.check import CheckResult, FileReport, LineRisk
from risk_lsp.report.wording import NAME, Tool
from risk_lsp.text.document import Span

RULE_ID = "likely-edit"
_RULE = {
    "id": RULE_ID,
    "name": "LikelyEdit",
    "shortDescription": {"text": "This line is likely to need an edit"},
    "fullDescription": {
        "text": "The calibrated probability that the line has to be edited before the program does what was asked, or"
        " where that was not measured, its rank among the lines to read. It is a reason to read the line closely; it"
        " does not say what is wrong, or that anything is."
    },
    "defaultConfiguration": {"level": "note"},
}


def sarif_report(result: CheckResult, tool: Tool, root: Path) -> str:
    """One SARIF log with one run. Files below `root` are named relative to it. A newline ends it."""
    run = {
        "tool": {"driver": _driver(tool)},
        "columnKind": "unicodeCodePoints",
        "newlineSequences": ["\r\n", "\n", "\r"],
        "originalUriBaseIds": {"SRCROOT": {"uri": root.resolve().as_uri() + "/"}},
        "invocations": [_invocation(result, root)],
        "results": [each for report in result.reports for each in _results(report, root)],
        "properties": {"threshold": result.threshold},
    }
    log = {
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [run],
    }
    return json.dumps(log, indent=2, ensure_ascii=False) + "\n"


def _driver(tool: Tool) -> dict[str, Any]:
    bundle = {"bundle": tool.bundle, "probeHash": tool.probe_hash, "weightsHash": tool.weights_hash}
    return {"name": NAME, "version": tool.version, "rules": [_RULE], "properties": bundle}


def _invocation(result: CheckResult, root: Path) -> dict[str, Any]:
    return {
        "executionSuccessful": not result.failures,
        "toolExecutionNotifications": [
            *(_notification("error", failure.path, str(failure.error), root) for failure in result.failures),
            *(_notification("note", file.path, f"passed over: {file.reason}", root) for file in result.passed_over),
        ],
    }


def _notification(level: str, path: Path, text: str, root: Path) -> dict[str, Any]:
    location = {"physicalLocation": {"artifactLocation": _artifact(path, root)}}
    return {"level": level, "message": {"text": text}, "locations": [location]}


def _results(report: FileReport, root: Path) -> list[dict[str, Any]]:
    seen: Counter[str] = Counter()
    results = []
    for line in sorted(report.findings, key=lambda each: each.line):
        content = report.text[line.span.start : line.span.end]
        results.append(_result(report, line, _artifact(report.path, root), f"{content}\0{seen[content]}"))
        seen[content] += 1
    return results


def _result(report: FileReport, line: LineRisk, artifact: dict[str, Any], identity: str) -> dict[str, Any]:
    """`identity` tells the line from the file's others, wherever edits elsewhere move it."""
    region = {**_region(report, line.span), "snippet": {"text": report.text[line.span.start : line.span.end]}}
    message = line.standing.sentence(line.probability)
    return {
        "ruleId": RULE_ID,
        "ruleIndex": 0,
        "level": "note",
        "message": {"text": f"{message}; {line.reference}" if line.reference else message},
        "locations": [{"physicalLocation": {"artifactLocation": artifact, "region": region}}],
        "rank": round(100 * line.probability, 2),
        "partialFingerprints": {"lineContent/v1": hashlib.sha256(identity.encode("utf-8")).hexdigest()[:32]},
        "properties": {"probability": round(line.probability, 4), **line.standing.to_json()},
    }


def _region(report: FileReport, span: Span) -> dict[str, int]:
    line = report.lines.line_of(span.start)
    column = span.start - report.lines.start(line) + 1
    return {
        "startLine": line + 1,
        "startColumn": column,
        "endLine": line + 1,
        "endColumn": column + span.end - span.start,
        "charOffset": span.start,
        "charLength": span.end - span.start,
    }


def _artifact(path: Path, root: Path) -> dict[str, Any]:
    resolved = path.resolve()
    if resolved.is_relative_to(root.resolve()):
        name = resolved.relative_to(root.resolve()).as_posix()
        return {"uri": quote_from_bytes(os.fsencode(name)), "uriBaseId": "SRCROOT"}
    return {"uri": resolved.as_uri()}
