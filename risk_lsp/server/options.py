"""What the command line decides about the server."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True)
class ServerOptions:
    """Values from the command line; None leaves a setting to the client. They win over the client's settings."""

    bundle: str | None = None
    threads: int | None = None
    device: str | None = None
    dtype: str | None = None
    log_level: str = "warning"
    data_folder: str | None = None  # where remembered lines are kept, by default in the user's data folder

    def settings(self) -> dict[str, Any]:
        """The settings that were given, by the names that editors use."""
        names = [item.name for item in fields(self) if item.name not in ("log_level", "data_folder")]
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}
