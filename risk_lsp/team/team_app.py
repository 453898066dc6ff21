"""The ASGI application of a team's host: who asks is known, what is asked is checked and bounded, the model answers."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from risk_lsp import __version__
from risk_lsp.errors import BadInput, RiskError, log_failure
from risk_lsp.team.admission import METRICS, PERSON, Allowance, Holder, KeyRing, PersonLimits, TooMuch, Turns
from risk_lsp.team.host_figures import Figures
from risk_lsp.team.host_requests import (
    OtherVersion,
    PersonTexts,
    TooLarge,
    parse_question,
    parse_score,
)
from risk_lsp.team.shared_model import SharedModel
from risk_lsp.worker.messages import Message, ScoredArrays, pack
from risk_lsp.worker.supervisor import Supervisor

ANSWER_TYPE = "application/vnd.risk-lsp.frame"
_SUPERSEDED = ("a newer version of this document came meanwhile", "its answer is the one to wait for")
_GONE = 499  # nobody reads it: the client has closed the connection


class _Refusal(Exception):
    """A request is answered with a status and nothing else is done."""

    def __init__(self, status: int, message: str, hint: str = "", headers: dict[str, str] | None = None) -> None:
        self.status, self.message, self.hint, self.headers = status, message, hint, headers or {}


class TeamHost:
    """Answers the requests of several people with one model. Texts are kept in memory alone, each person's apart.

    `writes`: whether the model may be asked to write. `request_seconds`: that a request's body may take to arrive.
    `batch_tokens`: as in SharedModel.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        keys: KeyRing,
        limits: PersonLimits,
        *,
        writes: bool = False,
        request_seconds: float = 20.0,
        batch_tokens: int | None = None,
    ) -> None:
        self._supervisor = supervisor
        self._keys = keys
        self._limits = limits
        self._writes = writes
        self._request_seconds = request_seconds
        self._turns = Turns(limits)
        self._figures = Figures(self._turns)
        self._shared = SharedModel(supervisor, self._turns, self._figures, batch_tokens)
        self._texts: defaultdict[str, PersonTexts] = defaultdict(lambda: PersonTexts(limits))
        self._allowances: defaultdict[str, Allowance] = defaultdict(lambda: Allowance(limits))
        self._scoring: dict[tuple[str, str], asyncio.Task[ScoredArrays]] = {}

    def application(self) -> Starlette:
        """The ASGI application; its life is the worker's."""

        @asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            await self._supervisor.start()
            yield
            await self._supervisor.stop()

        application = Starlette(
            routes=[
                Route("/v1/score", self._guard(self._score), methods=["POST"]),
                Route("/v1/questions", self._guard(self._question), methods=["POST"]),
                Route("/v1/model", self._guard(self._model), methods=["GET"]),
                Route("/healthz", self._guard(self._health), methods=["GET"]),
                Route("/metrics", self._guard(self._metrics), methods=["GET"]),
            ],
            lifespan=lifespan,
        )
        application.router.redirect_slashes = False  # one path for one thing
        return application

    def _guard(self, handle: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        """The handler whose errors are answers. No error's text is logged: it may quote what a person wrote."""

        async def answer(request: Request) -> Response:
            began, path = time.monotonic(), request.url.path
            try:
                response = await handle(request)
            except _Refusal as refusal:
                response = _error_response(refusal.status, refusal.message, refusal.hint, refusal.headers)
            except TooMuch as error:
                response = _error_response(429, error.message, error.hint, {"Retry-After": str(error.seconds)})
            except TooLarge as error:
                response = _error_response(413, error.message, error.hint)
            except OtherVersion as error:
                response = _error_response(409, error.message, error.hint, version=error.version)
            except ClientDisconnect:
                response = Response(status_code=_GONE)
            except Exception as error:
                log_failure(f"a request to {path}", error)
                response = _error_response(500, "the host failed over this request", "its log says where")
            self._figures.requests.labels(path, str(response.status_code)).inc()
            self._figures.seconds.labels(path).observe(time.monotonic() - began)
            return response

        return answer

    # What is answered

    async def _score(self, request: Request) -> Response:
        person = self._holder(request, PERSON).name
        self._allowances[person].begin()
        try:
            asked = parse_score(await self._body(request))
            self._turns.check(person)  # a version that is taken cannot be sent again
            text = self._texts[person].take(asked)
        except BadInput as error:
            raise _Refusal(400, error.message, error.hint) from error
        parameters = {"owner": person, "text": text, "language_id": asked.language_id, "at": min(asked.at, len(text))}
        parts: asyncio.Queue[ScoredArrays] = asyncio.Queue()

        async def score() -> ScoredArrays:
            scored = await self._shared.ask(person, "score", parameters, parts.put_nowait)
            tokens = len(scored.arrays["starts"])
            self._allowances[person].read(tokens)
            self._figures.tokens.inc(tokens)
            return scored

        return await _respond(request, self._newest(person, asked.document, score()), parts)

    async def _question(self, request: Request) -> Response:
        person = self._holder(request, PERSON).name
        self._allowances[person].begin()
        try:
            question, parameters = parse_question(await self._body(request), self._limits, writes=self._writes)
        except BadInput as error:
            raise _Refusal(400, error.message, error.hint) from error
        parts: asyncio.Queue[ScoredArrays] = asyncio.Queue()
        job = asyncio.ensure_future(self._shared.ask(person, question, parameters, parts.put_nowait))
        return await _respond(request, job, parts)

    async def _model(self, request: Request) -> Response:
        self._holder(request, PERSON)
        if not self._shared.is_ready():
            raise _Refusal(503, "the host's model is loading", "ask again in a moment", {"Retry-After": "1"})
        limits = {"characters": self._limits.characters, "documents": self._limits.documents}
        about = {"description": self._supervisor.description, "limits": limits, "writes": self._writes}
        return JSONResponse({**about, "version": __version__})

    async def _health(self, _: Request) -> Response:
        return JSONResponse({"state": self._supervisor.state.value}, 200 if self._shared.is_ready() else 503)

    async def _metrics(self, request: Request) -> Response:
        self._holder(request, METRICS)
        return Response(generate_latest(self._figures.registry), media_type=CONTENT_TYPE_LATEST)

    # How

    def _holder(self, request: Request, role: str) -> Holder:
        """Whose key came along. A key of another role is known, but not for this."""
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        holder = self._keys.holder_of(key.strip()) if scheme.lower() == "bearer" else None
        if holder is None:
            way_out = "ask whoever runs the host for a key, and send it as Authorization: Bearer KEY"
            raise _Refusal(401, "no key, or one that this host does not know", way_out, {"WWW-Authenticate": "Bearer"})
        if holder.role != role:
            raise _Refusal(403, f"this key is not for {request.url.path}", f"use one for the role {role}")
        return holder

    async def _body(self, request: Request) -> bytes:
        """The body of a request, which may be neither long nor slow."""
        most = self._limits.body_bytes
        too_long = TooLarge(f"the request is longer than {most:,} bytes", "send a shorter text, or edits")
        length = request.headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > most:
            raise too_long
        if request.headers.get("content-encoding", "identity") != "identity":
            raise _Refusal(415, "the request is compressed", "send it as it is")
        body = bytearray()

        async def receive_all() -> None:
            async for block in request.stream():
                body.extend(block)
                if len(body) > most:
                    raise too_long

        try:
            await asyncio.wait_for(receive_all(), self._request_seconds)
        except asyncio.TimeoutError as error:
            late = f"the request took longer than {self._request_seconds:g} s to arrive"
            raise _Refusal(408, late, "send it again") from error
        return bytes(body)

    def _newest(
        self, person: str, document: str, work: Coroutine[Any, Any, ScoredArrays]
    ) -> asyncio.Task[ScoredArrays]:
        """The work on the newest version of a document: that on the one before it is given up."""
        key = (person, document)
        older = self._scoring.get(key)
        if older is not None:
            older.cancel()
        job = self._scoring[key] = asyncio.ensure_future(work)

        def forget(_: object) -> None:
            if self._scoring.get(key) is job:
                del self._scoring[key]

        job.add_done_callback(forget)
        return job


async def _respond(request: Request, job: asyncio.Future[ScoredArrays], parts: asyncio.Queue[ScoredArrays]) -> Response:
    """The answer with the result of a job, which is given up when the client goes away.

    What is known before the whole is sent before it, in frames of its own.
    """

    async def wait_until_gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    gone, part = asyncio.ensure_future(wait_until_gone()), asyncio.ensure_future(parts.get())
    try:
        any_of: set[asyncio.Future[Any]] = {job, part, gone}
        await asyncio.wait(any_of, return_when=asyncio.FIRST_COMPLETED)
    finally:
        gone.cancel()
        part.cancel()
    if not job.done():
        if part.done() and not part.cancelled():
            return StreamingResponse(_frames(job, part.result(), parts), media_type=ANSWER_TYPE)
        job.cancel()
        raise ClientDisconnect
    try:
        return Response(_frame("result", job.result()), media_type=ANSWER_TYPE)
    except asyncio.CancelledError as error:
        raise _Refusal(409, *_SUPERSEDED) from error
    except TooMuch:
        raise
    except BadInput as error:
        raise _Refusal(422, error.message, error.hint) from error
    except RiskError as error:
        raise _Refusal(503, error.message, error.hint, {"Retry-After": "1"}) from error


async def _frames(
    job: asyncio.Future[ScoredArrays], first: ScoredArrays, parts: asyncio.Queue[ScoredArrays]
) -> AsyncIterator[bytes]:
    """Frames of parts, and in the end that of the whole, or of an error."""
    part: ScoredArrays | None = first
    try:
        while part is not None:
            yield _frame("part", part)
            following = asyncio.ensure_future(parts.get())
            either: set[asyncio.Future[Any]] = {job, following}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            part = following.result() if following.done() and not job.done() else None
            following.cancel()
        failure = None if job.cancelled() else job.exception()
        if failure is None and not job.cancelled():
            yield _frame("result", job.result())
        else:
            message, hint = (failure.message, failure.hint) if isinstance(failure, RiskError) else _SUPERSEDED
            about = {"message": message, "hint": hint, "refused": isinstance(failure, BadInput)}
            yield pack(Message("error", {"id": 0, **about}))
    finally:
        job.cancel()


def _frame(kind: str, scored: ScoredArrays) -> bytes:
    return pack(Message(kind, {"id": 0, "header": scored.header}, scored.arrays))


def _error_response(
    status: int, message: str, hint: str, headers: dict[str, str] | None = None, **more: object
) -> JSONResponse:
    return JSONResponse({"message": message, "hint": hint, **more}, status, headers)
