"""The real worker process, with a real bundle, behind the supervisor."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np

from risk_lsp.model.supervisor import Supervisor, WorkerState
from risk_lsp.risk.engine import Engine
from risk_lsp.risk.risk_map import RiskMap
from risk_lsp.risk.transfer import risk_from_arrays
from tests.probe.tiny import SAMPLE

PATIENCE = 120.0


def options(bundle: Path) -> dict[str, Any]:
    return {"bundle": str(bundle), "device": "cpu", "threads": 1}


async def test_the_worker_scores_as_the_engine_does_in_process(bundles: dict[str, Path]) -> None:
    text = SAMPLE + "s = '🙂\ud800'\r\n"
    supervisor = Supervisor(options(bundles["hazard"]))
    await supervisor.start()
    try:
        scored = await asyncio.wait_for(supervisor.score(text, "python"), PATIENCE)
        description = supervisor.description
    finally:
        await supervisor.stop()

    engine = Engine.load(bundles["hazard"])
    theirs, ours = risk_from_arrays(scored.header, scored.arrays), engine.score(text)
    assert isinstance(theirs, RiskMap) and isinstance(ours, RiskMap)
    assert description == engine.describe()
    np.testing.assert_array_equal(theirs.starts, ours.starts)
    np.testing.assert_allclose(theirs.hazards, ours.hazards, rtol=1e-4, atol=1e-6)
    assert theirs.calibration == ours.calibration


async def test_a_missing_bundle_fails_the_worker_with_the_reason(tmp_path: Path) -> None:
    supervisor = Supervisor(options(tmp_path / "nowhere"))
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
