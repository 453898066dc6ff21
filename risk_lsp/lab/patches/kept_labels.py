"""Labelled programs by the labels of earlier builds alone; nothing is run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from risk_lsp.lab.patches.build_inputs import Inputs
from risk_lsp.lab.patches.known_fixes import injected_samples, reference_sample
from risk_lsp.lab.patches.labels import fixed_by, labelled_record, record_of, sample_id
from risk_lsp.lab.patches.programs import Sample
from risk_lsp.sandbox.verdicts import Problem


def kept_records(inputs: Inputs, known: Mapping[str, dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The records that `known`, labels by the ids of programs, tells of the inputs, as a build that runs them has them.

    Labels of programs that the inputs lack count for nothing.
    """
    for name, sample in inputs.samples.items():
        if name in known:
            yield _record(inputs.problems[sample.task_id], sample, known[name])
    for problem, broken, fixed in inputs.repairs:
        if (label := known.get(sample_id(broken))) is not None:
            yield _record(problem, broken, label)
            yield labelled_record(problem, fixed, passed=True)
    for task in inputs.reference_tasks(0, (), known, only_known=True):
        yield labelled_record(task.problem, reference_sample(task.problem), passed=True)
        for sample in injected_samples(task):
            if (label := task.known.get(sample_id(sample))) is not None:
                yield _record(task.problem, sample, label)


def _record(problem: Problem, sample: Sample, label: dict[str, Any]) -> dict[str, Any]:
    if label["passed"]:
        return labelled_record(problem, sample, passed=True)
    return record_of(problem, sample, label, fixed_by(problem, sample, label))
