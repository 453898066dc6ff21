"""The real worker process, with a real bundle, behind the supervisor."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np

from risk_lsp.model.window_memory import WindowMemory
from risk_lsp.risk.engine import DiskCache, Engine
from risk_lsp.risk.engine_worker import EngineScorer
from risk_lsp.risk.risk_map import RiskMap
from risk_lsp.risk.span_risk import WORKER_COMMAND, WritingTask, texts_from_arrays
from risk_lsp.risk.writer import Writer
from risk_lsp.worker.supervisor import Supervisor, WorkerState
from tests.probe.tiny import SAMPLE

PATIENCE = 120.0


def options(bundle: Path) -> dict[str, Any]:
    return {"bundle": str(bundle), "device": "cpu", "threads": 1}


async def test_the_worker_scores_as_the_engine_does_in_process(bundles: dict[str, Path]) -> None:
    text = SAMPLE + "s = '🙂\ud800'\r\n"
    supervisor = Supervisor(options(bundles["hazard"]), command=WORKER_COMMAND)
    await supervisor.start()
    try:
        scored = await asyncio.wait_for(supervisor.score(text, "python"), PATIENCE)
        description = supervisor.description
    finally:
        await supervisor.stop()

    engine = Engine.load(bundles["hazard"])
    theirs, ours = RiskMap.from_arrays(scored.header, scored.arrays), engine.score(text)
    assert isinstance(ours, RiskMap)
    assert description == engine.describe()
    np.testing.assert_array_equal(theirs.starts, ours.starts)
    np.testing.assert_allclose(theirs.hazards, ours.hazards, rtol=1e-4, atol=1e-6)
    assert theirs.calibration == ours.calibration


async def test_a_missing_bundle_fails_the_worker_with_the_reason(tmp_path: Path) -> None:
    supervisor = Supervisor(options(tmp_path / "nowhere"), command=WORKER_COMMAND)
    failed = asyncio.Event()
    supervisor.on_change(lambda state, _: failed.set() if state is WorkerState.FAILED else None)
    await supervisor.start()
    try:
        await asyncio.wait_for(failed.wait(), PATIENCE)

        assert supervisor.failure is not None
        assert supervisor.failure.message == f"no probe bundle at {tmp_path / 'nowhere'}"
        assert "`bundle` setting" in supervisor.failure.hint
    finally:
        await supervisor.stop()


class Opened:
    """What a worker that is started anew keeps in a folder, and how many tokens its model ran."""

    def __init__(self, bundle: Path, folder: Path) -> None:
        self._memory = WindowMemory(1 << 20)
        self._scorer = EngineScorer(Engine.load(bundle), self._memory, DiskCache(folder))

    def read(self, text: str) -> tuple[int, dict[str, Any]]:
        before = self._memory.tokens_run
        _, arrays = self._scorer.score(text, "python", 0, lambda _: None)
        return self._memory.tokens_run - before, arrays


def test_a_file_that_is_opened_again_is_known_without_a_run(bundles: dict[str, Path], tmp_path: Path) -> None:
    ran, first = Opened(bundles["hazard"], tmp_path).read(SAMPLE)
    again, second = Opened(bundles["hazard"], tmp_path).read(SAMPLE)

    assert (ran > 0, again) == (True, 0)
    assert first.keys() == second.keys()
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_what_somebody_types_is_not_kept_on_disk(bundles: dict[str, Path], tmp_path: Path) -> None:
    worker = Opened(bundles["hazard"], tmp_path)
    for text in (SAMPLE, SAMPLE + "x", SAMPLE + "x = 1"):
        worker.read(text)

    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1


async def test_the_worker_writes_as_the_writer_does_in_process(bundles: dict[str, Path]) -> None:
    place = len(SAMPLE) // 4
    task = WritingTask(SAMPLE[:place], place, place, "line", count=3, max_tokens=12)
    supervisor = Supervisor({**options(bundles["lines"]), "writes": True}, command=WORKER_COMMAND)
    await supervisor.start()
    try:
        reply = await asyncio.wait_for(supervisor.ask("write", task.to_json()), PATIENCE)
    finally:
        await supervisor.stop()

    theirs = texts_from_arrays(reply.header, reply.arrays)
    ours = Writer(Engine.load(bundles["lines"], whole_model=True)).write(task)
    assert ours and [each.text for each in theirs] == [each.text for each in ours]
    np.testing.assert_allclose([each.probability for each in theirs], [each.probability for each in ours], rtol=1e-3)
