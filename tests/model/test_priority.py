"""The worker steps back on a laptop that runs on battery, where the platform tells."""

from __future__ import annotations

import os
from types import SimpleNamespace

import psutil
import pytest

from risk_lsp.model.priority import yield_on_battery


@pytest.mark.parametrize(("plugged", "lowered"), [(False, True), (True, False), (None, False)])
def test_priority_is_lowered_on_battery_alone(
    monkeypatch: pytest.MonkeyPatch, plugged: bool | None, lowered: bool
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(os, "nice", asked.append)
    monkeypatch.setattr(psutil, "sensors_battery", lambda: SimpleNamespace(power_plugged=plugged))

    assert yield_on_battery() is lowered and bool(asked) is lowered


def test_a_machine_without_a_battery_keeps_its_priority(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "sensors_battery", lambda: None)

    assert yield_on_battery() is False
