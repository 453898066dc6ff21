"""The wall around every handler: whatever goes wrong inside becomes one error response and one log line."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable
from typing import Any

from pygls.exceptions import JsonRpcException, JsonRpcInternalError

from risk_lsp.errors import RiskError

REQUEST_FAILED = -32803

logger = logging.getLogger(__name__)


def barrier(name: str, handler: Callable[..., Any]) -> Callable[..., Any]:
    """The handler with its exceptions turned into JSON-RPC errors.

    A handler may be a function, a coroutine function, or a generator function in pygls's sense: it runs at once up to
    its `yield handler, args, kwargs`, and goes on with that handler's result.

    Errors meant for people keep their message; of others the response says which handler failed, and the log where.
    """
    if inspect.iscoroutinefunction(handler):

        @functools.wraps(handler)
        async def guarded_async(*args: Any) -> Any:
            try:
                return await handler(*args)
            except Exception as error:
                raise _as_response(name, error) from None

        return guarded_async

    if inspect.isgeneratorfunction(handler):

        @functools.wraps(handler)
        def guarded_generator(*args: Any) -> Any:
            try:
                return (yield from handler(*args))
            except Exception as error:
                raise _as_response(name, error) from None

        return guarded_generator

    @functools.wraps(handler)
    def guarded(*args: Any) -> Any:
        try:
            return handler(*args)
        except Exception as error:
            raise _as_response(name, error) from None

    return guarded


def log_failure(what: str, error: BaseException) -> None:
    """Log where an unexpected exception came from. Its message is left out: it may quote the user's document."""
    frames = []
    trace = error.__traceback__
    while trace is not None:
        frames.append(f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}")
        trace = trace.tb_next
    logger.error("%s failed: %s at %s", what, type(error).__name__, " < ".join(reversed(frames)))


def _as_response(name: str, error: Exception) -> JsonRpcException:
    if isinstance(error, JsonRpcException):
        return error
    if isinstance(error, RiskError):
        return JsonRpcException(str(error), REQUEST_FAILED)
    log_failure(name, error)
    return JsonRpcInternalError(f"{name}: internal error ({type(error).__name__}); the server's log says where")
