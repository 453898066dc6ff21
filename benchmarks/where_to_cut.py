"""From how many lines on a text should be read function by function, by the probe that ships.

    python benchmarks/where_to_cut.py DATA [--bundle FOLDER] [--per-group N]

Programs of calibration problems, alone and in files of two, four and twelve; texts of more than so many lines are read
in parts (risk_lsp/text/sections.py), the others as one. Prints Markdown: AUC, AUC within failing programs, Brier skill
of lines, with the bundle's own calibration.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from risk_lsp.evaluation.level_records import LevelRecords, level_records
from risk_lsp.evaluation.metrics import auc, brier_skill_score
from risk_lsp.evaluation.program_metrics import within_group_auc
from risk_lsp.evaluation.spans import SpanTable, span_tables
from risk_lsp.probe.bundle import Bundle, load_bundle
from risk_lsp.probe.locate import default_bundle_path
from risk_lsp.probe.reading import read_tokens
from risk_lsp.text.sections import function_parts
from risk_lsp.text.spans import Span
from risk_lsp.training.probe_data import ProbeData, read_probe_data
from risk_lsp.training.span_records import labelled_text, program_facts

Cut = Callable[[str], list[Span]]
_FILES = (1, 2, 4, 12)
_BETWEEN = "\n\n"  # programs of a file


def from_lines(count: int | None) -> Cut:
    """Texts of more than so many lines in parts; none, if None."""

    def cut(text: str) -> list[Span]:
        return [Span(0, len(text))] if count is None or text.count("\n") < count else function_parts(text)

    return cut


CUTS: dict[str, Cut] = {"no text": from_lines(None)} | {
    f"texts of more than {count} lines" if count else "all texts": from_lines(count) for count in (200, 80, 50, 30, 0)
}


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--bundle", type=Path, default=default_bundle_path())
    parser.add_argument("--per-group", type=int, default=4)
    args = parser.parse_args()
    bundle = load_bundle(args.bundle, whole_model=True)
    data = read_probe_data(args.data, args.per_group).of("calibration")
    encodings = [bundle.model.encode(program.text) for program in data.programs]
    lines = span_tables(labelled_text(*pair) for pair in zip(data.programs, encodings, strict=True))["line"]
    print("| in parts are read | files of | AUC | within failing programs | Brier skill |\n|---|---|---|---|---|")
    for count in _FILES:
        hazards = _hazards(bundle, data, lines, count)
        records = level_records("line", lines, program_facts(data), hazards)
        for name in CUTS:
            figures = _figures(records, hazards[name], bundle.manifest.calibration.probability(hazards[name]))
            print(f"| {name} | {count} | {' | '.join(f'{each:.3f}' for each in figures)} |", flush=True)
    return 0


def _hazards(bundle: Bundle, data: ProbeData, lines: SpanTable, count: int) -> dict[str, NDArray[np.float64]]:
    """Of every line, by how the files of `count` programs are cut."""
    found = {name: np.zeros(len(lines)) for name in CUTS}
    # Programs of one problem are neighbours in the data; in a file they would give each other away.
    order = random.Random(0).sample(range(len(data.programs)), len(data.programs))
    for first in range(0, len(order), count):
        members = order[first : first + count]
        text = _BETWEEN.join(data.programs[index].text for index in members)
        encoding = bundle.model.encode(text)
        activations = bundle.model.read(encoding, bundle.manifest.layers, statistics=bundle.manifest.statistics)
        for name, cut in CUTS.items():
            read = read_tokens(bundle.reader, text, activations, bundle.manifest, parts_of=cut)
            sums = np.concatenate([[0.0], np.cumsum(read.values, dtype=np.float64)])
            offset = 0
            for index in members:
                rows = slice(*np.searchsorted(lines.program, [index, index + 1]))
                spans = lines.start[rows] + offset, lines.end[rows] + offset
                begin, end = (np.searchsorted(encoding.starts, each) for each in spans)
                found[name][rows] = sums[end] - sums[begin]
                offset += len(data.programs[index].text) + len(_BETWEEN)
    return found


def _figures(
    records: LevelRecords, hazards: NDArray[np.float64], probabilities: NDArray[np.float64]
) -> tuple[float, ...]:
    inside = records.weights * records.failing
    return (
        auc(hazards, records.edited, records.weights),
        within_group_auc(hazards, records.edited, records.program, inside),
        brier_skill_score(probabilities, records.edited, records.weights),
    )


if __name__ == "__main__":
    sys.exit(main())
