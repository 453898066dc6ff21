"""Sessions of valid, nearly valid and senseless messages: the server lives, and answers every request once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.attacks.fuzz_sessions import fuzz_sessions
from tests.attacks.fuzz_writing import fuzz_writing


@pytest.mark.parametrize("pull", [False, True], ids=["push", "pull"])
async def test_every_request_of_a_senseless_session_is_answered_once(tmp_path: Path, pull: bool, long: bool) -> None:
    assert await fuzz_sessions(messages=5_000 if long else 800, seed=1, folder=tmp_path, pull=pull) > 100


async def test_nothing_is_offered_for_a_text_that_somebody_has_typed_on(tmp_path: Path, long: bool) -> None:
    assert await fuzz_writing(steps=4_000 if long else 600, seed=1, folder=tmp_path) > 0
