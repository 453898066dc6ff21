"""The report that GitHub shows beside the code: annotations, as commands to the workflow's runner."""

from __future__ import annotations

import os
from pathlib import Path

from risk_lsp.report.check import CheckResult, FileReport, LineRisk, likeliest_first
from risk_lsp.report.wording import above, caveat, reasons

LIMIT = 10  # GitHub shows so many notices of one step, and drops the others


def github_report(result: CheckResult, root: Path) -> str:
    """One notice per finding, the likeliest first, as many as GitHub shows, and a line that counts them all.

    Files below `root`, the workspace, are named relative to it.
    """
    findings = likeliest_first(result.reports, lambda report: report.findings)
    rows = [_notice(report, line, root) for report, line in findings[:LIMIT]]
    summary = above(result)
    if len(findings) > LIMIT:
        summary += f"; the {LIMIT} likeliest are annotated"
    if result.passed_over:
        names = (f"{_name(each.path, root)} ({each.reason})" for each in result.passed_over)
        summary += _data("; passed over: " + ", ".join(names))
    return "\n".join([*rows, summary]) + "\n"


def _notice(report: FileReport, line: LineRisk, root: Path) -> str:
    title = line.standing.sentence(line.probability)
    message = ". ".join(part for part in (reasons(report, line), caveat(report, line.standing)) if part) or title
    properties = {"file": _name(report.path, root), "line": str(line.line + 1), "title": title}
    listed = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    return f"::notice {listed}::{_data(message)}"


def _name(path: Path, root: Path) -> str:
    absolute, top = os.path.realpath(path), os.path.realpath(root)
    inside = Path(absolute).is_relative_to(top)
    return Path(absolute).relative_to(top).as_posix() if inside else absolute


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
