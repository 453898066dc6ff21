"""A laptop on battery has better things to do first."""

from __future__ import annotations

import contextlib
import os

import psutil

_NICENESS = 10


def yield_on_battery() -> bool:
    """Lower this process's priority if the machine runs on battery; whether it does. False where no platform tells."""
    battery = psutil.sensors_battery() if hasattr(psutil, "sensors_battery") else None
    if battery is None or battery.power_plugged is not False:
        return False
    with contextlib.suppress(OSError):
        os.nice(_NICENESS)
    return True
