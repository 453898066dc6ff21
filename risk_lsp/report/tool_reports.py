"""The reports that other programs read: JSON (docs/report-format.md), SARIF 2.1.0, and GitHub's annotations."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes

import numpy as np

from risk_lsp.report.check import CheckResult, FileReport, LineRisk, likeliest_first
from risk_lsp.report.wording import NAME, Tool, above, caveat, reasons

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
        "errors": [
            {"path": str(failure.path), "message": failure.error.message, "hint": failure.error.hint}
            for failure in result.failures
        ],
        "passed_over": [{"path": str(file.path), "reason": file.reason} for file in result.passed_over],
    }
    return json.dumps(report, indent=2, ensure_ascii=False) + "\n"


def round_probability(probability: float) -> float | None:
    """Four digits are more than a probability has; a line that has none (NaN) is null."""
    return None if math.isnan(probability) else round(probability, 4)


def _file(report: FileReport) -> dict[str, Any]:
    novelty = report.placed.risks.novelty
    return {
        "path": str(report.path),
        "language": report.language_id,
        "document": round_probability(report.document),
        **report.placed.whole.to_json(),
        "novelty": None if novelty is None else round(novelty, 4),
        "lines": [round_probability(probability) for probability in report.line_probabilities.tolist()],
        "ranks": [rank or None for rank in report.ranks.tolist()],
        "places": [place.value for place in report.placed.places_of_lines()],
        "orders": report.placed.orders(),
        "changed": None if report.changed is None else (np.flatnonzero(report.changed) + 1).tolist(),
        "worth_reading": [_line(report, line) for line in report.worth_reading],
        "findings": [_line(report, line) for line in report.findings],
        "functions": [
            {
                "kind": function.node.kind,
                "name": function.node.name,
                "first_line": report.lines.line_of(function.node.span.start) + 1,
                "last_line": report.lines.line_of(max(function.node.span.start, function.node.span.end - 1)) + 1,
                "probability": round_probability(function.probability),
                **standing.to_json(),
            }
            for function, standing in report.functions
        ],
    }


def _line(report: FileReport, line: LineRisk) -> dict[str, Any]:
    return {
        "line": line.line + 1,
        "start": line.span.start,
        "end": line.span.end,
        "text": report.text[line.span.start : line.span.end],
        "probability": round_probability(line.probability),
        **line.standing.to_json(),
        "tokens": [{"start": word.start, "end": word.end} for word in line.words],
        "reference": line.reference,
    }


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
    results = []
    for report in result.reports:
        seen: Counter[str] = Counter()
        for line in sorted(report.findings, key=lambda each: each.line):
            content = report.text[line.span.start : line.span.end]
            if id(line) in kept:
                results.append(_result(report, line, _artifact(report.path, root), f"{content}\0{seen[content]}"))
            seen[content] += 1
    bundle = {"bundle": tool.bundle, "probeHash": tool.probe_hash, "weightsHash": tool.weights_hash}
    run = {
        "tool": {"driver": {"name": NAME, "version": tool.version, "rules": [_RULE], "properties": bundle}},
        "columnKind": "unicodeCodePoints",
        "newlineSequences": ["\r\n", "\n", "\r"],
        "originalUriBaseIds": {"SRCROOT": {"uri": root.resolve().as_uri() + "/"}},
        "invocations": [_invocation(result, root)],
        "results": results,
        "properties": {"threshold": result.threshold},
    }
    log = {
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [run],
    }
    return json.dumps(log, indent=2, ensure_ascii=False) + "\n"


def _invocation(result: CheckResult, root: Path) -> dict[str, Any]:
    told: list[tuple[str, str, Path | None]] = [
        *(("error", str(failure.error), failure.path) for failure in result.failures),
        *(("note", f"passed over: {file.reason}", file.path) for file in result.passed_over),
    ]
    findings = sum(len(report.findings) for report in result.reports)
    if findings > MOST_RESULTS:
        words = f"{findings:,} lines are above the threshold; the {MOST_RESULTS:,} likeliest are listed"
        told.append(("warning", words, None))
    notifications: list[dict[str, Any]] = []
    for level, text, path in told:
        notifications.append({"level": level, "message": {"text": text}})
        if path is not None:
            place = {"physicalLocation": {"artifactLocation": _artifact(path, root)}}
            notifications[-1]["locations"] = [place]
    return {"executionSuccessful": not result.failures, "toolExecutionNotifications": notifications}


def _result(report: FileReport, line: LineRisk, artifact: dict[str, Any], identity: str) -> dict[str, Any]:
    """`identity` tells the line from the file's others, wherever edits elsewhere move it."""
    start, length = line.span.start, line.span.end - line.span.start
    column = start - report.lines.start(line.line) + 1
    region = {
        "startLine": line.line + 1,
        "startColumn": column,
        "endLine": line.line + 1,
        "endColumn": column + length,
        "charOffset": start,
        "charLength": length,
        "snippet": {"text": report.text[start : line.span.end]},
    }
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


def _artifact(path: Path, root: Path) -> dict[str, Any]:
    name = _name(path, root)
    if Path(name).is_absolute():
        return {"uri": Path(name).as_uri()}
    return {"uri": quote_from_bytes(os.fsencode(name)), "uriBaseId": "SRCROOT"}


LIMIT = 10  # GitHub shows so many notices of one step, and drops the others


def github_report(result: CheckResult, root: Path) -> str:
    """One notice per finding, the likeliest first, as many as GitHub shows, and a line that counts them all.

    Files below `root`, the workspace, are named relative to it.
    """
    findings = likeliest_first(result.reports, lambda report: report.findings)
    rows = []
    for report, line in findings[:LIMIT]:
        title = line.standing.sentence(line.probability)
        message = ". ".join(part for part in (reasons(report, line), caveat(report, line.standing)) if part) or title
        properties = {"file": _name(report.path, root), "line": str(line.line + 1), "title": title}
        listed = (f"{key}={_data(value)}" for key, value in properties.items())
        words = ",".join(each.replace(":", "%3A").replace(",", "%2C") for each in listed)
        rows.append(f"::notice {words}::{_data(message)}")
    summary = above(result)
    if len(findings) > LIMIT:
        summary += f"; the {LIMIT} likeliest are annotated"
    if result.passed_over:
        names = (f"{_name(each.path, root)} ({each.reason})" for each in result.passed_over)
        summary += _data("; passed over: " + ", ".join(names))
    return "\n".join([*rows, summary]) + "\n"


def _name(path: Path, root: Path) -> str:
    """Relative to the root if the file is below it, else absolute."""
    resolved, top = path.resolve(), root.resolve()
    return resolved.relative_to(top).as_posix() if resolved.is_relative_to(top) else str(resolved)


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
