"""What a hostile client sends to a host, and the status that it gets: over real sockets, to a real process."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.team.hosts import PROGRAM, RunningHost, edited, risks_in, running_host, whole

MOST = 20_000  # characters, see the fixture `host`


@pytest.fixture(scope="module")
def strict_host(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHost]:
    """A host that loses patience after a second, and takes one waiting request and few a minute."""
    options = ("--request-seconds", "1", "--most-waiting", "1", "--most-requests-per-minute", "20", "--threads", "1")
    with running_host(tmp_path_factory.mktemp("strict"), tiny_bundle, *options) as running:
        yield running


def sent(host: RunningHost, *pieces: bytes, pause: float = 0.0) -> bytes:
    """What a host answers to raw bytes, sent piece by piece, until it closes the connection."""
    answer = b""
    with socket.create_connection(("127.0.0.1", host.port), timeout=30) as connection:
        try:
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(pause)
            while block := connection.recv(1 << 16):
                answer += block
        except (ConnectionResetError, BrokenPipeError):
            pass
    return answer


def head(host: RunningHost, *lines: str, path: str = "/v1/score") -> bytes:
    """The head of a POST request of Anna's."""
    key = host.keys["anna"]
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {key}", *lines, "", ""]).encode()


# Keys


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer risk-guess", "Basic YW5uYTpwdw==", "Bearer " + "x" * 5000],
)
def test_a_key_that_is_none_is_401(host: RunningHost, authorization: str) -> None:
    with httpx2.Client(base_url=host.url, trust_env=False) as client:
        response = client.post("/v1/score", json=whole(PROGRAM), headers={"Authorization": authorization})
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"


def test_the_hash_of_a_key_is_no_key(host: RunningHost) -> None:
    known = sha256(host.keys["anna"].encode()).hexdigest()
    assert known in (host.folder / "keys").read_text()
    with httpx2.Client(base_url=host.url, trust_env=False) as client:
        assert client.get("/v1/model", headers={"Authorization": f"Bearer {known}"}).status_code == 401


def test_a_key_for_the_metrics_scores_nothing(host: RunningHost) -> None:
    with host.client("metrics") as client:
        assert client.post("/v1/score", json=whole(PROGRAM)).status_code == 403


def test_a_person_s_key_reads_no_metrics(anna: httpx2.Client) -> None:
    assert anna.get("/metrics").status_code == 403


def test_health_tells_a_stranger_nothing_but_the_state(host: RunningHost) -> None:
    with httpx2.Client(base_url=host.url, trust_env=False) as client:
        assert set(client.get("/healthz").json()) == {"state"}


# Sizes


def test_a_body_that_says_it_is_too_long_is_413_before_it_is_sent(host: RunningHost) -> None:
    answer = sent(host, head(host, "Content-Length: 999999999999"))
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_a_body_that_does_not_say_how_long_it_is_is_413_when_it_is_too_long(host: RunningHost) -> None:
    block = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    answer = sent(host, head(host, "Transfer-Encoding: chunked"), *[block] * 40)
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_a_text_over_the_limit_is_413(anna: httpx2.Client) -> None:
    assert anna.post("/v1/score", json=whole("x" * (MOST + 1), 1, "long")).status_code == 413


def test_edits_that_make_a_text_too_long_are_413_and_leave_it_as_it_was(anna: httpx2.Client) -> None:
    anna.post("/v1/score", json=whole("x = 1\n", 1, "grown"))
    assert anna.post("/v1/score", json=edited([[0, 0, "y" * MOST]], 2, 1, "grown")).status_code == 413
    assert risks_in(anna.post("/v1/score", json=edited([], 2, 1, "grown"))).text_length == 6


def test_questions_over_long_texts_are_413(anna: httpx2.Client) -> None:
    asked = {"texts": ["x" * 1000] * 64, "language_id": "python"}
    assert anna.post("/v1/questions", json={"question": "risks", "parameters": asked}).status_code == 413


def test_a_compressed_body_is_415(anna: httpx2.Client) -> None:
    assert anna.post("/v1/score", content=b"x", headers={"Content-Encoding": "gzip"}).status_code == 415


def test_an_endless_head_is_refused(host: RunningHost) -> None:
    answer = sent(host, b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 100_000)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4")


# Slowness


def test_a_head_that_dawdles_is_408_and_closed(strict_host: RunningHost) -> None:
    began = time.monotonic()
    answer = sent(strict_host, *[b"GET /healthz HTTP/1.1\r\n", *[b"X: y\r\n"] * 8], pause=0.3)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - began < 10


def test_a_connection_that_says_nothing_is_closed(strict_host: RunningHost) -> None:
    assert sent(strict_host).startswith(b"HTTP/1.1 408 ")


def test_a_body_that_dawdles_is_408(strict_host: RunningHost) -> None:
    answer = sent(strict_host, head(strict_host, "Content-Length: 1000"), *[b"x"] * 6, pause=0.3)
    assert answer.startswith(b"HTTP/1.1 408 ")


def test_a_refused_body_that_goes_on_does_not_hold_the_connection(strict_host: RunningHost) -> None:
    began = time.monotonic()
    sent(strict_host, b"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n", *[b"x"] * 20, pause=0.3)
    assert time.monotonic() - began < 15


def test_dawdlers_keep_nobody_else_waiting(strict_host: RunningHost) -> None:
    connections = [socket.create_connection(("127.0.0.1", strict_host.port)) for _ in range(200)]
    try:
        for connection in connections:
            connection.sendall(b"POST /v1/score HTTP/1.1\r\nContent-Length: 9")
        with strict_host.client() as client:
            assert client.get("/v1/model", timeout=5).status_code == 200
    finally:
        for connection in connections:
            connection.close()


# Form


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"document": "a"}',
        json.dumps({**whole(PROGRAM), "edits": []}).encode(),
        json.dumps({**whole(PROGRAM), "text": None}).encode(),
        json.dumps({**whole(PROGRAM), "version": -1}).encode(),
        json.dumps({**whole(PROGRAM), "version": True}).encode(),
        json.dumps({**whole(PROGRAM), "version": 1e300}).encode(),
        json.dumps({**whole(PROGRAM), "at": "0"}).encode(),
        json.dumps({**whole(PROGRAM), "at": float("nan")}).encode(),
        json.dumps({**whole(PROGRAM), "document": "x" * 1000}).encode(),
        json.dumps({**whole(PROGRAM), "language_id": {"a": 1}}).encode(),
    ],
    ids=range(17),
)
def test_a_request_that_is_none_is_400(anna: httpx2.Client, body: bytes) -> None:
    response = anna.post("/v1/score", content=body)
    assert response.status_code == 400
    assert set(response.json()) == {"message", "hint"}


@pytest.mark.parametrize(
    "edits",
    [
        5,
        "edits",
        {"0": [0, 0, ""]},
        [5],
        [[]],
        [[0, 0]],
        [[0, 0, 5]],
        [[0, 0, "x", 1]],
        [["0", 0, "x"]],
        [[0.5, 1, "x"]],
        [[True, 1, "x"]],
        [[-1, 0, "x"]],
        [[2, 1, "x"]],
        [[0, 10**9, "x"]],
        [[0, 10**400, "x"]],
        [[0, 0, ""]] * 300,
    ],
    ids=range(16),
)
def test_edits_that_are_none_are_400_and_leave_the_text_as_it_was(anna: httpx2.Client, edits: Any) -> None:
    name = f"malformed {json.dumps(edits)[:60]}"
    anna.post("/v1/score", json=whole("x = 1\n", 1, name))
    assert anna.post("/v1/score", json=edited(edits, 2, 1, name)).status_code == 400
    assert risks_in(anna.post("/v1/score", json=edited([], 2, 1, name))).text_length == 6


@pytest.mark.parametrize(
    "asked",
    [
        {"question": "score", "parameters": {"owner": "ben", "text": "x", "language_id": "python", "at": 0}},
        {"question": "write", "parameters": {}},
        {"question": ["risks"], "parameters": {}},
        {"question": "risks", "parameters": None},
        {"question": "risks", "parameters": {"texts": "x", "language_id": "python"}},
        {"question": "risks", "parameters": {"texts": ["x"] * 100, "language_id": "python"}},
        {"question": "infill", "parameters": {"text": "x", "spans": [[0, 9]], "count": 1, "max_tokens": 1}},
        {"question": "infill", "parameters": {"text": "x", "spans": [[0, 1]], "count": 1, "max_tokens": 10**6}},
        {"question": "infill", "parameters": {"text": "x", "spans": [[0, 1]], "count": 10**6, "max_tokens": 1}},
        {"question": "alternatives", "parameters": {"text": "x", "language_id": "python", "span": [1, 0], "top": 1}},
        {"question": "preferences", "parameters": {"text": "x", "variants": [1]}},
    ],
    ids=range(11),
)
def test_a_question_that_is_none_is_400(anna: httpx2.Client, asked: Any) -> None:
    assert anna.post("/v1/questions", json=asked).status_code == 400


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1",
        "/v1/score/",
        "//v1/score",
        "/v1/../metrics",
        "/v1/%2e%2e/metrics",
        "/v1/score%00",
        "/V1/SCORE",
        "/../../etc/passwd",
        "http://other/v1/score/x",
    ],
)
def test_a_path_that_is_none_is_404(host: RunningHost, path: str) -> None:
    answer = sent(host, head(host, "Content-Length: 0", "Connection: close", path=path))
    assert answer.startswith(b"HTTP/1.1 404 ")


def test_another_method_is_405(anna: httpx2.Client) -> None:
    assert anna.get("/v1/score").status_code == 405
    assert anna.post("/metrics").status_code == 405


def test_a_document_s_name_is_no_path(host: RunningHost, anna: httpx2.Client) -> None:
    before = sorted(host.folder.rglob("*"))
    assert anna.post("/v1/score", json=whole(PROGRAM, 1, "../../../../tmp/evil")).status_code == 200
    assert sorted(host.folder.rglob("*")) == before


def test_what_is_no_http_is_400(host: RunningHost) -> None:
    assert sent(host, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello\r\n\r\n").startswith(b"HTTP/1.1 400 ")


# Again and again


def test_a_request_that_is_sent_again_is_409(anna: httpx2.Client) -> None:
    opened, changed = whole(PROGRAM, 1, "replayed"), edited([[0, 0, "#"]], 2, 1, "replayed")
    assert [anna.post("/v1/score", json=each).status_code for each in (opened, changed)] == [200, 200]
    assert [anna.post("/v1/score", json=each).status_code for each in (opened, changed)] == [409, 409]
    assert risks_in(anna.post("/v1/score", json=edited([], 3, 2, "replayed"))).text_length == len(PROGRAM) + 1


def test_more_requests_than_may_wait_are_429_with_a_time_to_come_back(strict_host: RunningHost) -> None:
    statuses: list[int] = []
    pauses: list[str] = []

    def ask(number: int) -> None:
        with strict_host.client("ben") as client:
            response = client.post("/v1/score", json=whole(PROGRAM * 300, 1, f"together {number}"))
            statuses.append(response.status_code)
            if response.status_code == 429:
                pauses.append(response.headers["retry-after"])

    asking = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    for each in asking:
        each.start()
    for each in asking:
        each.join()
    assert statuses.count(200) >= 1 and statuses.count(429) >= 1
    assert len(statuses) == statuses.count(200) + statuses.count(429)
    assert all(int(pause) >= 1 for pause in pauses)


def test_too_many_requests_in_a_minute_are_429_for_their_sender_alone(strict_host: RunningHost) -> None:
    with strict_host.client("ben") as greedy, strict_host.client("anna") as modest:
        refused = [
            each for each in (greedy.post("/v1/score", content=b"{}") for _ in range(30)) if each.status_code == 429
        ]
        assert refused
        assert int(refused[0].headers["retry-after"]) >= 1
        assert modest.post("/v1/score", json=whole(PROGRAM, 1, "modest")).status_code == 200


def test_a_newer_version_takes_the_place_of_one_that_waits(host: RunningHost) -> None:
    statuses: dict[int, int] = {}

    def ask(version: int) -> None:
        with host.client("ben") as client:
            text = PROGRAM * 150 + "#" * version
            statuses[version] = client.post("/v1/score", json=whole(text, version, "typed")).status_code

    asking = [threading.Thread(target=ask, args=(version,)) for version in (1, 2, 3)]
    for each in asking:
        each.start()
        time.sleep(0.15)
    for each in asking:
        each.join()
    assert statuses[3] == 200
    assert set(statuses.values()) <= {200, 409}


def test_the_log_holds_nothing_of_what_attackers_sent(host: RunningHost) -> None:
    sent(host, b"GET /secret-path HTTP/9.9\r\nsecret-header\r\n\r\n")
    with host.client() as client:
        client.post("/v1/score", content=b'{"secret-body')
    assert host.log.read_text().splitlines() == [f"listening on {host.url}"]
