"""What a build found, without the programs: small enough to keep beside a project, and enough to find it again.

A file of labels holds what was found for the programs of one benchmark, by their ids. Together with the problems and
the samples it gives the whole data set again, without the search; every patch is run against its tests once more.
"""

from __future__ import annotations

import json
import lzma
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from risk_lsp.errors import BadInput
from risk_lsp.patches.build_release import replace_file
from risk_lsp.patches.hunks import Hunk, apply_hunks
from risk_lsp.patches.labels import labelled_record
from risk_lsp.patches.problems import Problem, Sample
from risk_lsp.text.lines import LineIndex
from risk_lsp.text.spans import Span

LABELS = "labels"  # the folder
_SUFFIX = ".jsonl.xz"
_FORMAT_VERSION = 1
# What does not follow from the program; beside these the patch, of which "fixed" follows from the hunks. What makes the
# program itself of a reference is in "injected".
_KEPT = ("id", "passed", "edited", "error", "runs", "seconds", "answered", "injected")


def write_labels(folder: Path, records: Iterable[dict[str, Any]]) -> None:
    """Write one file a benchmark, from the records of programs that were searched or judged by a build."""
    lines: dict[str, list[dict[str, Any]]] = defaultdict(lambda: [{"format_version": _FORMAT_VERSION}])
    for record in sorted(records, key=lambda record: str(record["id"])):
        label = {name: record[name] for name in _KEPT if name in record}
        if "patch" in record:
            label["patch"] = {name: value for name, value in record["patch"].items() if name != "fixed"}
        lines[record["benchmark"]].append(label)
    folder.mkdir(parents=True, exist_ok=True)
    for benchmark, labels in lines.items():
        text = "".join(json.dumps(label, sort_keys=True) + "\n" for label in labels)
        replace_file(folder / f"{benchmark}{_SUFFIX}", lzma.compress(text.encode()))


def read_labels(paths: Iterable[Path]) -> dict[str, dict[str, Any]]:
    """The labels of files, and of the files in folders, by the ids of their programs. BadInput for what is none."""
    files = [file for path in paths for file in (sorted(path.glob(f"*{_SUFFIX}")) if path.is_dir() else [path])]
    return {label["id"]: label for file in files for label in _labels(file)}


def _labels(path: Path) -> list[dict[str, Any]]:
    try:
        with lzma.open(path, "rt", encoding="utf-8") as file:
            header, *labels = (json.loads(line) for line in file)
        if header["format_version"] != _FORMAT_VERSION:
            raise BadInput(f"{path} has format version {header['format_version']}", f"this reads {_FORMAT_VERSION}")
        return [label for label in labels if label["id"] and label["passed"] in (True, False)]
    except (OSError, EOFError, ValueError, KeyError, TypeError, lzma.LZMAError) as error:
        raise BadInput(f"{path} holds no labels: {error}", "give what `patches build` wrote as labels") from None


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
