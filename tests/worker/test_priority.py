"""The worker steps back behind everything else, and further on a laptop that runs on battery."""

from __future__ import annotations

import os
from types import SimpleNamespace

import psutil
import pytest

from risk_lsp.risk.engine_worker import step_back


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What the system was asked to lower the priority by."""
    found: list[int] = []
    monkeypatch.setattr(os, "nice", found.append)
    return found


@pytest.mark.parametrize(("plugged", "niceness"), [(False, 10), (True, 5), (None, 5)])
def test_priority_is_lowered_further_on_battery(
    monkeypatch: pytest.MonkeyPatch, asked: list[int], plugged: bool | None, niceness: int
) -> None:
    monkeypatch.setattr(psutil, "sensors_battery", lambda: SimpleNamespace(power_plugged=plugged))

    assert step_back() == niceness
    assert asked == [niceness]


def test_a_machine_without_a_battery_is_like_one_that_is_plugged_in(
    monkeypatch: pytest.MonkeyPatch, asked: list[int]
) -> None:
    monkeypatch.setattr(psutil, "sensors_battery", lambda: None)

    assert step_back() == 5


def test_a_system_that_refuses_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "nice", refuse)

    step_back()
