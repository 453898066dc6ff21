"""Whatever goes wrong in a handler becomes one error without the user's text."""

from __future__ import annotations

import logging
from collections.abc import Generator

import pytest
from pygls.exceptions import JsonRpcException, JsonRpcInvalidParams

from risk_lsp.errors import BadInput
from risk_lsp.server.wire.connection import REQUEST_FAILED
from risk_lsp.server.wire.protocol import barrier


def failing(error: Exception) -> JsonRpcException:
    """What the barrier makes of an error."""

    def handler(_: object) -> None:
        raise error

    with pytest.raises(JsonRpcException) as caught:
        barrier("riskLsp/test", handler)(None)
    return caught.value


def test_an_unexpected_exception_is_named_by_its_type_alone(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        response = failing(ValueError("secret = 1"))
    assert response.code == -32603
    assert response.message == "riskLsp/test: internal error (ValueError); the server's log says where"
    assert response.data is None
    (record,) = caplog.records
    assert "test_barrier.py" in record.getMessage()
    assert "secret" not in record.getMessage()


def test_an_error_for_people_keeps_its_message() -> None:
    response = failing(BadInput("no such line", "choose another"))
    assert (response.code, response.message) == (REQUEST_FAILED, "no such line (choose another)")


def test_a_protocol_error_passes_unchanged() -> None:
    error = JsonRpcInvalidParams("params need a uri")
    assert failing(error) is error


async def test_coroutines_are_guarded() -> None:
    async def handler() -> None:
        raise KeyError("secret")

    with pytest.raises(JsonRpcException, match="internal error"):
        await barrier("riskLsp/test", handler)()


def test_generators_are_guarded_and_pass_on_their_steps() -> None:
    def handler() -> Generator[str, str, str]:
        answer = yield "step"
        if not answer:
            raise KeyError("secret")
        return answer

    steps = barrier("riskLsp/test", handler)()
    assert next(steps) == "step"
    with pytest.raises(StopIteration) as done:
        steps.send("result")
    assert done.value.value == "result"
    steps = barrier("riskLsp/test", handler)()
    next(steps)
    with pytest.raises(JsonRpcException, match="internal error"):
        steps.send("")
