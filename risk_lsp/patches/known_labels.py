"""What a build found, without the programs: small enough to keep beside a project, and enough to find it again.

A file of labels holds what the search found for each program, by the program's id. Together with the problems and the
samples it gives the whole data set again, without the search; every patch is run against its tests once more.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from risk_lsp.errors import BadInput
from risk_lsp.patches.hunks import Hunk, apply_hunks
from risk_lsp.patches.labels import labelled_record
from risk_lsp.patches.problems import Problem, Sample
from risk_lsp.text.lines import LineIndex
from risk_lsp.text.spans import Span

LABELS_FILE = "labels.jsonl.xz"
_FORMAT_VERSION = 1
# What does not follow from the program; beside these the patch, of which "fixed" follows from the hunks.
_KEPT = ("id", "passed", "edited", "error", "runs", "seconds", "asked")


def packed_labels(records: Iterable[dict[str, Any]]) -> bytes:
    """The contents of a file of labels, from the records of programs that were searched or judged by a build."""
    lines: list[dict[str, Any]] = [{"format_version": _FORMAT_VERSION}]
    for record in sorted(records, key=lambda record: str(record["id"])):
        label = {name: record[name] for name in _KEPT if name in record}
        if "patch" in record:
            label["patch"] = {name: value for name, value in record["patch"].items() if name != "fixed"}
        lines.append(label)
    return lzma.compress("".join(json.dumps(line, sort_keys=True) + "\n" for line in lines).encode())


def read_labels(path: Path) -> dict[str, dict[str, Any]]:
    """The labels of a file by the ids of their programs. BadInput if it is not one."""
    try:
        with lzma.open(path, "rt", encoding="utf-8") as file:
            header, *labels = (json.loads(line) for line in file)
        if header["format_version"] != _FORMAT_VERSION:
            raise BadInput(f"{path} has format version {header['format_version']}", f"this reads {_FORMAT_VERSION}")
        return {label["id"]: label for label in labels if label["passed"] in (True, False)}
    except (OSError, EOFError, ValueError, KeyError, TypeError, lzma.LZMAError) as error:
        raise BadInput(
            f"{path} holds no labels: {error}", f"give the {LABELS_FILE} that `patches build` wrote"
        ) from None


def fixed_by(problem: Problem, sample: Sample, label: dict[str, Any]) -> str | None:
    """The program after the label's patch; None where it has none, or one that is of another text."""
    patch = label.get("patch")
    if patch is None:
        return None
    lines = LineIndex(sample.program)
    given = lines.start(sample.prompt_lines) if sample.prompt_lines < lines.count else len(sample.program)
    shift = labelled_record(problem, sample, passed=False)["scored"][0] - given
    hunks = [
        Hunk(Span(start - shift, end - shift), replacement, order, (), 0, 0, 0, 0)
        for order, (start, end, replacement) in enumerate(patch["hunks"])
    ]
    if any(not given <= hunk.span.start <= hunk.span.end <= len(sample.program) for hunk in hunks):
        return None
    return apply_hunks(sample.program, hunks)


def record_of(problem: Problem, sample: Sample, label: dict[str, Any], fixed: str | None) -> dict[str, Any]:
    """The whole record of a failing program, as the search that the label is from gave it; `fixed`: see `fixed_by`."""
    record = labelled_record(problem, sample, passed=False)
    record |= {name: label[name] for name in _KEPT if name in label}
    return record if fixed is None else record | {"patch": {**label["patch"], "fixed": fixed}}
