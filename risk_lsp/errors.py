"""The errors that people see: each names the thing that is wrong and the way out. What nobody expects is logged."""

from __future__ import annotations

import logging
import traceback

logger = logging.getLogger(__name__)


class RiskError(Exception):
    """Base of every error that is shown to a person.

    `message` says what is wrong and names the thing; `hint` says what to do next.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class BadInput(RiskError):
    """A file, an argument or a record that cannot be scored."""


class BundleError(RiskError):
    """A probe bundle that is missing, damaged or does not belong to its model."""


class ModelError(RiskError):
    """A code model that cannot be loaded or run."""


class WorkerError(RiskError):
    """The worker process that hosts the model failed or went away."""


def needs_extra(name: str, error: ModuleNotFoundError) -> ModelError:
    """What to say where a model needs libraries that the embedded default does without."""
    return ModelError(f"the model {name} needs {error.name}, which is not installed", "pip install 'risk-lsp[models]'")


def first_line(error: BaseException) -> str:
    """An exception in one line of at most 200 characters."""
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:200]


class RepairError(RiskError):
    """A repair that cannot be had; the hint says what to do next."""


def log_failure(what: str, error: BaseException) -> None:
    """Log where an unexpected exception came from. Its message is left out: it may quote the user's document."""
    frames = [f"{frame.f_code.co_filename}:{line}" for frame, line in traceback.walk_tb(error.__traceback__)]
    logger.error("%s failed: %s at %s", what, type(error).__name__, " < ".join(reversed(frames)))
