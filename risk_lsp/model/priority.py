"""The model steps back behind the editor and what people started, and further on a laptop that runs on battery."""

from __future__ import annotations

import contextlib
import os

import psutil

_NICENESS = 5  # hovers, and what else waits for a core, come first; where nothing else runs it costs nothing
_NICENESS_ON_BATTERY = 10


def step_back() -> int:
    """Lower this process's priority where the platform lets it; returns by how much it was asked to."""
    niceness = _NICENESS_ON_BATTERY if _on_battery() else _NICENESS
    if hasattr(os, "nice"):
        with contextlib.suppress(OSError):
            os.nice(niceness)
    return niceness


def _on_battery() -> bool:
    """False where no platform tells."""
    battery = psutil.sensors_battery() if hasattr(psutil, "sensors_battery") else None
    return battery is not None and battery.power_plugged is False
