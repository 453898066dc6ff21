"""Labelled programs: what the probe is fitted to and judged by, as JSON Lines anyone can make.

One record per program: {"id", "group", "benchmark", "text", "scored": [start, end], "edited": [[start, end], ...] or
null, "passed": bool}. Offsets are code points into "text". Only "scored" was written by a model; "edited" is what the
smallest known fix touches (empty for a program that passed, null where a failing program has no known fix). Optional:
"task_id" and "model", which tell the programs that one model wrote for one task; "source", the kind of source that the
problem is from; "asked", what was asked, in words; "kind", "injected" if the bug was put in by machine;
"weak_tests", true if the tests that it passed are few or check little.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from risk_lsp.errors import BadInput
from risk_lsp.lab.json_lines import Fields, read_fields
from risk_lsp.lab.training.training_documents import Split, is_measured_alone, split_of
from risk_lsp.text.document import Span

_FORMAT = 'see "labelled programs" in docs/probe.md'
_WEAKLY_TESTED = 0.5


@dataclass(frozen=True)
class LabelledProgram:
    """One program with the spans its fix touches; `edited` is None where the fix is unknown.

    `source` is the kind of source that its problem is from, empty where that is the benchmark. `asked` is what was
    asked, in words. `kind`: "sampled" from a model, "repair" for a bug and its
    fix, "injected" if the bug was put in by machine, "reference" for a solution that was given. `weak_tests`: the
    tests that it passed are few or check little.
    """

    id: str
    group: str
    benchmark: str
    text: str
    scored: Span
    edited: tuple[Span, ...] | None
    passed: bool
    task_id: str = ""
    model: str = ""
    source: str = ""
    asked: str = ""
    kind: str = ""
    weak_tests: bool = False

    @property
    def is_labelled(self) -> bool:
        """Whether it is known what a fix touches."""
        return self.edited is not None


def read_labelled(path: Path) -> list[LabelledProgram]:
    """The programs of a .jsonl or .jsonl.xz file. BadInput names the file and line of a record that is wrong."""
    return [_program_of(fields) for fields in read_fields(path, _FORMAT)]


def natural_weights(programs: Sequence[LabelledProgram], failing_share: dict[str, float]) -> list[float]:
    """A weight per program such that every problem weighs 1 and its failing programs have their natural share of it.

    `failing_share[group]` is the share of failing programs among all of the problem (by default the share among
    `programs`); those that are here stand in for those that are not. A problem that has failing programs but none here
    weighs 0: it would teach that its programs need no edit. Among the passing programs of a problem, one that passed
    weak tests weighs half of what another does.
    """
    trust = [_WEAKLY_TESTED if program.passed and program.weak_tests else 1.0 for program in programs]
    counts = Counter((program.group, program.passed) for program in programs)
    totals: dict[tuple[str, bool], float] = defaultdict(float)
    for program, share in zip(programs, trust, strict=True):
        totals[program.group, program.passed] += share
    shares: dict[tuple[str, bool], float] = defaultdict(float)
    for group in {program.group for program in programs}:
        failing = failing_share.get(group, counts[group, False] / (counts[group, False] + counts[group, True]))
        if failing > 0 and not counts[group, False]:
            continue
        shares[group, False] = failing if counts[group, True] else 1.0
        shares[group, True] = 1.0 - failing if counts[group, False] else 1.0
    return [
        share * shares[program.group, program.passed] / totals[program.group, program.passed]
        for program, share in zip(programs, trust, strict=True)
    ]


def span_weights(programs: Sequence[LabelledProgram], failing_share: dict[str, float]) -> list[float]:
    """`natural_weights` of the programs whose fix is known; 0 for the others, whose tokens and lines tell nothing."""
    weights = iter(natural_weights([program for program in programs if program.is_labelled], failing_share))
    return [next(weights) if program.is_labelled else 0.0 for program in programs]


def failing_shares(programs: Sequence[LabelledProgram]) -> dict[str, float]:
    """The share of failing programs of each problem, those without a known fix counted in."""
    outcomes: dict[str, list[bool]] = defaultdict(list)
    for program in programs:
        outcomes[program.group].append(program.passed)
    return {group: passed.count(False) / len(passed) for group, passed in outcomes.items()}


def _program_of(fields: Fields) -> LabelledProgram:
    text, edited = fields.get("text", str), fields.nullable("edited", list)

    def span(value: Any) -> Span:
        if not isinstance(value, list) or len(value) != 2 or not all(type(offset) is int for offset in value):
            raise fields.error(f"{value!r} is not a span")
        if not 0 <= value[0] <= value[1] <= len(text):
            raise fields.error(f"span {value} leaves its text of {len(text)} characters")
        return Span(*value)

    return LabelledProgram(
        id=fields.get("id", str),
        group=fields.get("group", str),
        benchmark=fields.get("benchmark", str),
        text=text,
        scored=span(fields.get("scored", list)),
        edited=None if edited is None else tuple(map(span, edited)),
        passed=fields.get("passed", bool),
        task_id=fields.get("task_id", str, default=""),
        model=fields.get("model", str, default=""),
        source=fields.get("source", str, default=""),
        asked=fields.get("asked", str, default=""),
        kind=fields.get("kind", str, default=""),
        weak_tests=fields.get("weak_tests", bool, default=False),
    )


INDEX_FILE = "index.json"
_SHARD = "patches-"
_HINT = "build the data set again: risk-lsp patches build"


def read_release(folder: Path) -> tuple[list[LabelledProgram], dict[str, float]]:
    """Every program of the shards that the index names, and the natural share of failing programs by problem.

    The programs come in an order that depends on their ids alone, so that the first of a problem are not all of one
    model. BadInput for an index or a shard that is missing or damaged.
    """
    index = _read_index(folder / INDEX_FILE)
    programs: list[LabelledProgram] = []
    for shard in index["shards"]:
        path = folder / shard["name"]
        if not path.is_file() or sha256(path.read_bytes()).hexdigest() != shard["sha256"]:
            raise BadInput(f"{path} is missing or not the shard that {INDEX_FILE} names", _HINT)
        programs += read_labelled(path)
    outcomes = index.get("outcomes", {})
    shares = {group: failing / (passing + failing) for group, (passing, failing) in outcomes.items()}
    return sorted(programs, key=lambda program: sha256(program.id.encode("utf-8", "surrogatepass")).digest()), shares


def _read_index(path: Path) -> dict[str, Any]:
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} cannot be read: {error}", _HINT) from None
    if not isinstance(index, dict) or index.get("format_version") != 1 or not isinstance(index.get("shards"), list):
        raise BadInput(f"{path} is not the index of a data set of format version 1", _HINT)
    return index


# Kinds of programs as a model wrote them: only these tell how often a line of such has to be edited.
WRITTEN = frozenset({"", "sampled"})
NATURAL = WRITTEN | {"repair"}  # bugs that nobody put in
_HISTORIES = frozenset({"pylib_history", "thealgorithms_history"})
_MEASURES = _HISTORIES | {"humanevalfix"}
_PARTLY_MEASURES = "condefects"

DATA_HELP = "labelled programs: a .jsonl file, a folder of such files, or what `patches build` wrote"
NO_RIVAL_HELP = "leave the model's own token probability out: layers that the probe does not need never run"


@dataclass(frozen=True)
class ProbeData:
    """Programs, what each weighs, and where the labels come from.

    `weights`: as a whole program, so that every problem weighs 1 and failing programs have their natural share.
    `span_weights`: with its tokens and lines; 0 for a failing program whose fix is unknown, for which those with a
    known fix stand in. Such a program says only that something in it has to be edited.
    """

    programs: list[LabelledProgram]
    weights: list[float]
    span_weights: list[float]
    labels: str

    @property
    def groups(self) -> NDArray[np.str_]:
        """The problem of each program."""
        return np.array([program.group for program in self.programs], dtype=np.str_)

    def of(self, split: Split) -> ProbeData:
        """Only the programs of the problems of one split, without those that weigh nothing."""
        kept = self.where(lambda program: split_of(program.group) == split)
        if not kept.programs:
            raise BadInput(f"no labelled program belongs to the {split} problems", "give programs of more problems")
        return kept

    def where(self, wanted: Callable[[LabelledProgram], bool]) -> ProbeData:
        """Only the programs that are wanted and weigh something."""
        kept = [index for index, program in enumerate(self.programs) if self.weights[index] > 0 and wanted(program)]
        return ProbeData(
            [self.programs[index] for index in kept],
            [self.weights[index] for index in kept],
            [self.span_weights[index] for index in kept],
            self.labels,
        )


def read_probe_data(
    path: Path, per_group: int, *, kinds: Collection[str] | None = None, only: Collection[str] | None = None
) -> ProbeData:
    """Labelled programs from a .jsonl file or a folder; at most `per_group` passing and as many failing of a problem.

    A folder holds what `patches build` wrote, .jsonl and .jsonl.xz files, or both. `kinds`: of programs (default all).
    `only`: ids of programs, which stand in for the others of their problem. Pairs of a bug and its fix that only
    measure are always left out, and so are other programs of the functions whose history measures.
    """
    programs, shares, labels = _read_file(path)
    alone = {program.group for program in programs if program.benchmark in _HISTORIES}
    kept = []
    for program in programs:
        measures = program.benchmark in _MEASURES
        if program.benchmark == _PARTLY_MEASURES:
            measures = measures or is_measured_alone(program.group)
        if (kinds is None or program.kind in kinds) and program.group not in alone and not measures:
            kept.append(program)
    shares = {**failing_shares(kept), **shares}
    programs = _cap_groups([program for program in kept if only is None or program.id in only], per_group)
    return ProbeData(programs, natural_weights(programs, shares), span_weights(programs, shares), labels)


def read_ids(path: Path) -> frozenset[str]:
    """The ids of programs that a file lists, one a line. BadInput for a file that cannot be read."""
    try:
        return frozenset(path.read_text("utf-8").splitlines())
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} cannot be read: {error}", "name a text file with the id of a program a line") from None


def _read_file(path: Path) -> tuple[list[LabelledProgram], dict[str, float], str]:
    """The programs, the share of failing ones where that is known by problem, and what the labels are."""
    if not path.is_dir():
        return read_labelled(path), {}, "labelled programs"
    files = sorted(path.glob("*.jsonl*"))
    if (path / INDEX_FILE).is_file():
        programs, shares = read_release(path)
        others = _programs_of(file for file in files if not file.name.startswith(_SHARD))
        released = {program.id for program in programs}
        programs += [program for program in others if program.id not in released]
        return programs, shares, "smallest verified patch"
    if not files:
        raise BadInput(
            f"{path} holds no {INDEX_FILE} and no .jsonl files",
            "give what `risk-lsp patches build` wrote, or labelled programs as .jsonl (docs/probe.md)",
        )
    return _programs_of(files), {}, "labelled programs"


def _programs_of(files: Iterable[Path]) -> list[LabelledProgram]:
    return [program for file in files for program in read_labelled(file)]


def _cap_groups(programs: list[LabelledProgram], per_group: int) -> list[LabelledProgram]:
    """The first `per_group` passing and as many failing programs of every problem."""
    taken: Counter[tuple[str, bool]] = Counter()
    kept = []
    for program in programs:
        taken[program.group, program.passed] += 1
        if taken[program.group, program.passed] <= per_group:
            kept.append(program)
    return kept
