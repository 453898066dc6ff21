"""The finished data set of patches: shards, an index, statistics, and a data card in Markdown."""

from __future__ import annotations

import json
import lzma
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from risk_lsp.files import SHARED, write_whole

# Shares of lines at which the table of coverage is read.
_CAPS = (0.1, 0.2, 0.25, 0.33, 0.5, 0.67, 0.75, 1.0)


def statistics_of(records: Iterable[dict[str, Any]], max_share: float) -> dict[str, Any]:
    """Figures over all failing programs, without those that do not parse, and by benchmark and by model.

    Coverage is the share of failing programs with a label; shares of lines and tokens are medians over those.
    "coverage_by_share" says how many programs have a patch that touches no more than a share of their lines.
    """
    known = list(records)
    failing = [record for record in known if not record["passed"]]
    parsing = [record for record in failing if not record["syntax_error"]]
    # Of how many programs a language model was asked, which models that were, and what it took.
    asked = [record["answered"] for record in failing if "answered" in record]
    names = ("answers", "prompt_tokens", "completion_tokens")
    models = sorted({str(each["model"]) for each in asked})
    return {
        "programs": len(known),
        "passing": len(known) - len(failing),
        "failing": len(failing),
        "syntax_errors": len(failing) - len(parsing),
        "max_share": max_share,
        "all_failing": _figures(failing),
        "without_syntax_errors": _figures(parsing),
        "by_benchmark": _by(parsing, lambda record: str(record["benchmark"])),
        "by_model": _by(parsing, lambda record: str(record["model"])),
        "coverage_by_share": {str(cap): _coverage(parsing, cap) for cap in _CAPS},
        "seconds": round(sum(record.get("seconds", 0) for record in failing), 1),
        "runs": sum(record.get("runs", 0) for record in failing),
        "asked": {
            "programs": len(asked),
            "models": models,
            **{name: sum(each[name] for each in asked) for name in names},
        },
    }


def _figures(records: list[dict[str, Any]]) -> dict[str, Any]:
    patched = [record["patch"] for record in records if record["edited"] is not None]
    lines = [patch["lines_touched"] / max(patch["lines"], 1) for patch in patched]
    tokens = [patch["tokens_touched"] / max(patch["tokens"], 1) for patch in patched]
    return {
        "failing": len(records),
        "patched": len(patched),
        "coverage": round(len(patched) / len(records), 4) if records else None,
        "median_share_of_lines": round(median(lines), 4) if lines else None,
        "quartiles_share_of_lines": [round(value, 4) for value in quantiles(lines, n=4)] if len(lines) > 1 else None,
        "median_share_of_tokens": round(median(tokens), 4) if tokens else None,
        "median_hunks": median(len(patch["hunks"]) for patch in patched) if patched else None,
        "sources": dict(Counter(patch["source"] for patch in patched).most_common()),
    }


def _by(records: list[dict[str, Any]], key: Callable[[dict[str, Any]], str]) -> dict[str, Any]:
    parts: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for record in records:
        parts[key(record)].append(record)
    return {name: _figures(parts[name]) for name in sorted(parts, key=lambda name: (-len(parts[name]), name))}


def _coverage(records: list[dict[str, Any]], cap: float) -> dict[str, Any]:
    shares = [
        record["patch"]["lines_touched"] / max(record["patch"]["lines"], 1) for record in records if "patch" in record
    ]
    within = [share for share in shares if share <= cap]
    return {
        "coverage": round(len(within) / len(records), 4) if records else None,
        "median_share_of_lines": round(median(within), 4) if within else None,
    }


_INTRODUCTION = """\
# Minimal patches of model-written programs

Every record is one program that a language model wrote (docs/probe.md, "labelled programs"). A failing program's label
is what a minimal patch touches: with the patch the program passes its problem's tests, and with any one of its hunks
left out it does not. Comments, docstrings and what the model was given are never touched. docs/patches.md says how
patches are found and what the fields mean.

Labels say what *one* small fix touches, with the problem's tests as the judge: another fix may be as good, a fault that
no test meets is not marked, and a patch that was found is an upper bound on the smallest one. A patch that touches more
than {cap} of the lines is kept but gives no label.
"""


def data_card(
    statistics: dict[str, Any],
    records: Iterable[dict[str, Any]],
    problem_licences: dict[str, str],
    sample_licences: dict[str, str],
) -> str:
    """The card: what the set is, its figures, and where its programs and problems come from."""
    parts = [
        _INTRODUCTION.format(cap=_percent(statistics["max_share"])),
        f"{statistics['programs']:,} programs: {statistics['passing']:,} pass, {statistics['failing']:,} fail, of "
        f"which {statistics['syntax_errors']:,} do not parse. The search ran {statistics['runs']:,} variants in "
        f"{statistics['seconds'] / 3600:.1f} hours of one worker.\n",
    ]
    asked = statistics["asked"]
    if asked["programs"]:
        parts.append(
            f"For {asked['programs']:,} failing programs a language model was asked for fixes too "
            f"({', '.join(asked['models'])}): {asked['answers']:,} answers, {asked['prompt_tokens']:,} tokens read and "
            f"{asked['completion_tokens']:,} written. What it answered counts only where tests passed with it.\n"
        )
    rows = {"all": statistics["without_syntax_errors"], **statistics["by_benchmark"]}
    parts += ["## By benchmark\n", "Failing programs that parse.\n", _figures_table("benchmark", rows)]
    parts += ["## By model\n", _figures_table("model", statistics["by_model"])]
    coverage = [
        (_percent(float(cap)), _percent(figures["coverage"]), _percent(figures["median_share_of_lines"]))
        for cap, figures in statistics["coverage_by_share"].items()
    ]
    head = ("lines touched at most", "coverage", "median of lines touched")
    parts += ["## Coverage, if larger patches gave no label\n", _table(head, coverage)]
    parts += ["## Problems\n", _table(("benchmark", "licence"), sorted(problem_licences.items()))]
    origins = Counter(str(record["origin"]).partition(":")[0] or "not given" for record in records)
    rows_of_origins = [(name, f"{count:,}", sample_licences.get(name, "")) for name, count in origins.most_common()]
    parts += ["## Where the programs come from\n", _table(("origin", "programs", "licence"), rows_of_origins)]
    return "\n".join(parts)


def _figures_table(name: str, rows: dict[str, dict[str, Any]]) -> str:
    head = (name, "failing", "patched", "coverage", "lines touched", "tokens touched", "hunks")
    cells = [
        (
            key,
            f"{figures['failing']:,}",
            f"{figures['patched']:,}",
            *(_percent(figures[share]) for share in ("coverage", "median_share_of_lines", "median_share_of_tokens")),
            "" if figures["median_hunks"] is None else f"{figures['median_hunks']:g}",
        )
        for key, figures in rows.items()
    ]
    words = "Lines and tokens touched, and hunks: medians over the patched programs, of what the model wrote."
    return f"{_table(head, cells)}\n{words}\n"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.0f}%"


_SHARD_RECORDS = 4000


@dataclass(frozen=True)
class Release:
    """Where the data set is, and its statistics."""

    folder: Path
    statistics: dict[str, Any]


def write_release(
    folder: Path,
    records: Iterable[dict[str, Any]],
    max_share: float,
    problem_licences: dict[str, str],
    sample_licences: dict[str, str],
    outcomes: dict[str, list[int]],
) -> Release:
    """Write the data set. Files are replaced one by one, whole; the index comes last and names the shards that count.

    `outcomes` are the passing and failing programs of each problem, those without a record counted in: a build of part
    of the failing programs still says how many there are.

    A patch that touches more than `max_share` of the lines stays in its record, but its program has no label.
    """
    ordered = []
    for record in sorted(records, key=lambda record: (record["benchmark"], record["group"], record["id"])):
        patch = record.get("patch")
        has_label = patch is None or patch["lines_touched"] <= max_share * patch["lines"]
        ordered.append(record if has_label else {**record, "edited": None})
    statistics = statistics_of(ordered, max_share)
    shards = _write_shards(folder, ordered)
    write_whole(folder / "statistics.json", (json.dumps(statistics, indent=1) + "\n").encode(), SHARED)
    card = data_card(statistics, ordered, problem_licences, sample_licences)
    write_whole(folder / "README.md", card.encode(), SHARED)
    index = {"format_version": 1, "shards": shards, "outcomes": outcomes}
    write_whole(folder / "index.json", (json.dumps(index, indent=1) + "\n").encode(), SHARED)
    return Release(folder, statistics)


def _write_shards(folder: Path, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    shards: list[dict[str, Any]] = []
    waiting = iter(records)
    while chosen := list(islice(waiting, _SHARD_RECORDS)):
        data = lzma.compress("".join(json.dumps(record) + "\n" for record in chosen).encode())
        name = f"patches-{len(shards):05}.jsonl.xz"
        write_whole(folder / name, data, SHARED)
        shards.append({"name": name, "records": len(chosen), "sha256": sha256(data).hexdigest()})
    names = {shard["name"] for shard in shards}
    for path in folder.glob("patches-*.jsonl.xz"):
        if path.name not in names:
            path.unlink()
    return shards
