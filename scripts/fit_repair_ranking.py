"""Fits the weights that order repairs, on failing programs of the training problems alone.

    python scripts/fit_repair_ranking.py DATA WORK.jsonl risk_lsp/repair/ranking_weights.json [--count N]

DATA is a folder as `risk-lsp evaluate repair --data` takes it. WORK.jsonl keeps what was measured: for each program the
features of its candidates and which of them pass. A run that ended goes on where it was.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import logsumexp

from risk_lsp.edits.candidates import candidates
from risk_lsp.lab.evaluation.repair_measuring import FailingProgram, failing_programs
from risk_lsp.lab.json_lines import read_appended
from risk_lsp.model.infilling import preferences
from risk_lsp.repair.embedded import FEATURES, features
from risk_lsp.repair.execution import Execution, ProblemTests
from risk_lsp.risk.engine import Engine

_RIDGE = 0.02
_CANDIDATES_AT_MOST = 2500  # longer programs would take minutes each


class Example(NamedTuple):
    """One program: features and kinds of its candidates, and which of them pass."""

    columns: NDArray[np.float64]
    kinds: list[str]
    passing: NDArray[np.bool_]


def main() -> None:
    parser = argparse.ArgumentParser(description="Fits the weights that order repairs.")
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=1000, help="programs of each set")
    args = parser.parse_args()
    programs = [
        *failing_programs(args.data, "natural", "train", args.count, 1),
        *failing_programs(args.data, "humanevalfix", "train", args.count, 1),
    ]
    known = {record["id"] for _, record in read_appended(args.work)}
    engine = Engine.load(threads=1)
    with args.work.open("a", encoding="utf-8") as file:
        for program in programs:
            if program.id not in known:
                record = asyncio.run(_measured(program, engine))
                file.write(json.dumps({"id": program.id, "group": program.problem.group, **record}) + "\n")
                file.flush()
    records = [record for _, record in read_appended(args.work)]
    args.out.write_text(json.dumps(_fitted(records), indent=1) + "\n", encoding="utf-8")


async def _measured(program: FailingProgram, engine: Engine) -> dict[str, Any]:
    found = candidates(program.text, given=program.given)
    if not 0 < len(found) <= _CANDIDATES_AT_MOST:
        return {}
    texts = [candidate.text for candidate in found]
    async with Execution(ProblemTests(program.problem)) as execution:
        evidence = (await execution.examine(program.text)).evidence
        passing = await execution.passes(texts)
    if not any(passing):
        return {}
    preferred = preferences(engine.model, program.text, texts)
    columns = features(program.text, found, engine.score(program.text), preferred, evidence)
    kinds = [candidate.edit.operator for candidate in found]
    return {"columns": np.round(columns, 4).tolist(), "kinds": kinds, "passing": np.flatnonzero(passing).tolist()}


def _fitted(records: list[dict[str, Any]]) -> dict[str, Any]:
    useful = [record for record in records if record.get("passing")]
    examples = [_example(record) for record in useful]
    names = sorted({kind for example in examples for kind in example.kinds})
    weights = fit(examples, names)
    own, operators = weights[: len(FEATURES)], weights[len(FEATURES) :]
    return {
        "split": "train",
        "programs": len(examples),
        "problems": len({record["group"] for record in useful}),
        "features": _rounded(FEATURES, own),
        "operators": _rounded(names, operators),
        "unknown": round(float(operators.min()), 4),
    }


def fit(examples: list[Example], names: list[str]) -> NDArray[np.float64]:
    """Conditional logit with a ridge penalty: the candidates that pass should hold the mass of their program."""
    count = len(FEATURES)
    kinds = [np.array([names.index(kind) for kind in example.kinds]) for example in examples]

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        total, gradient = 0.0, np.zeros_like(weights)
        for example, kind in zip(examples, kinds, strict=True):
            score = example.columns @ weights[:count] + weights[count:][kind]
            everything, good = logsumexp(score), logsumexp(score[example.passing])
            pull = np.exp(score - everything)
            pull[example.passing] -= np.exp(score[example.passing] - good)
            total += everything - good
            gradient[:count] += pull @ example.columns
            gradient[count:] += np.bincount(kind, pull, minlength=len(names))
        mean = gradient / len(examples) + _RIDGE * weights
        return float(total / len(examples) + _RIDGE * weights @ weights / 2), mean

    result: Any = minimize(loss, np.zeros(count + len(names)), jac=True, method="L-BFGS-B")
    return np.asarray(result.x)


def _example(record: dict[str, Any]) -> Example:
    passing = np.zeros(len(record["kinds"]), dtype=bool)
    passing[record["passing"]] = True
    return Example(np.array(record["columns"]), record["kinds"], passing)


def _rounded(names: Iterable[str], weights: NDArray[np.float64]) -> dict[str, float]:
    return {name: round(float(weight), 4) for name, weight in zip(names, weights, strict=True)}


if __name__ == "__main__":
    main()
