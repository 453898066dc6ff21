"""The report that code-scanning services read: SARIF 2.1.0."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Set
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes

from risk_lsp.report.check import CheckResult, FileReport, LineRisk, likeliest_first
from risk_lsp.report.wording import NAME, Tool
from risk_lsp.text.document import Span

MOST_RESULTS = 5_000  # GitHub includes so many results of a run, and refuses a run of more than 25,000
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
    """One SARIF log with one run. Files below `root` are named relative to it. A newline ends it.

    It holds the likeliest findings, as many as GitHub includes (docs.github.com, "SARIF support for code scanning").
    """
    likeliest = likeliest_first(result.reports, lambda report: report.findings)[:MOST_RESULTS]
    kept = {id(line) for _, line in likeliest}
    run = {
        "tool": {"driver": _driver(tool)},
        "columnKind": "unicodeCodePoints",
        "newlineSequences": ["\r\n", "\n", "\r"],
        "originalUriBaseIds": {"SRCROOT": {"uri": root.resolve().as_uri() + "/"}},
        "invocations": [_invocation(result, root)],
        "results": [each for report in result.reports for each in _results(report, root, kept)],
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
    notifications = [
        *(_notification("error", str(failure.error), _artifact(failure.path, root)) for failure in result.failures),
        *(
            _notification("note", f"passed over: {file.reason}", _artifact(file.path, root))
            for file in result.passed_over
        ),
    ]
    findings = sum(len(report.findings) for report in result.reports)
    if findings > MOST_RESULTS:
        words = f"{findings:,} lines are above the threshold; the {MOST_RESULTS:,} likeliest are listed"
        notifications.append(_notification("warning", words))
    return {"executionSuccessful": not result.failures, "toolExecutionNotifications": notifications}


def _notification(level: str, text: str, artifact: dict[str, Any] | None = None) -> dict[str, Any]:
    found: dict[str, Any] = {"level": level, "message": {"text": text}}
    if artifact is not None:
        found["locations"] = [{"physicalLocation": {"artifactLocation": artifact}}]
    return found


def _results(report: FileReport, root: Path, kept: Set[int]) -> list[dict[str, Any]]:
    seen: Counter[str] = Counter()
    results = []
    for line in sorted(report.findings, key=lambda each: each.line):
        content = report.text[line.span.start : line.span.end]
        if id(line) in kept:
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
