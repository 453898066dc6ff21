"""Sessions of valid, nearly valid and senseless messages: the server lives, and answers every request once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.attacks.fuzz_sessions import fuzz_sessions


@pytest.mark.parametrize("pull", [False, True], ids=["push", "pull"])
async def test_every_request_of_a_senseless_session_is_answered_once(tmp_path: Path, pull: bool, long: bool) -> None:
    assert await fuzz_sessions(messages=5_000 if long else 800, seed=1, folder=tmp_path, pull=pull) > 100
