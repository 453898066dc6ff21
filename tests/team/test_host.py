"""A host over real sockets: what it answers, how it ends, and that a person's texts stay with that person."""

from __future__ import annotations

import json
import signal
import ssl
import threading
import time
from pathlib import Path

import httpx2
import numpy as np
import pytest

from risk_lsp.probe.manifest import default_bundle_path
from risk_lsp.risk.engine import Engine
from risk_lsp.risk.span_risk import SpanRisk, WritingTask
from tests.conftest import FIXTURES
from tests.team.hosts import PROGRAM, RunningHost, edited, risks_in, running_host, tls_options, whole

PYTHON_FILES = sorted((FIXTURES.parents[1] / "examples").glob("*.py"))


def all_spans(risks: SpanRisk) -> tuple[list[int], list[int]]:
    """Spans from every token to the next, to the tenth after it, and to the end."""
    count = len(risks.starts)
    pairs = [(first, min(count - 1, first + more)) for first in range(count) for more in (0, 10, count)]
    return [int(risks.starts[first]) for first, _ in pairs], [int(risks.ends[last]) for _, last in pairs]


def test_probabilities_are_the_local_ones_within_a_thousandth(tmp_path: Path) -> None:
    local = Engine.load(default_bundle_path(), threads=1)
    with running_host(tmp_path, default_bundle_path(), "--threads", "1") as host, host.client() as client:
        for number, path in enumerate(PYTHON_FILES):
            text = path.read_text()
            mine = local.score(text)
            theirs = risks_in(client.post("/v1/score", json=whole(text, document=str(number))))
            starts, ends = all_spans(mine)
            assert np.abs(mine.probabilities(starts, ends) - theirs.probabilities(starts, ends)).max() < 0.001


def test_a_model_that_transformers_runs_is_served_as_it_is_locally(tmp_path: Path) -> None:
    from tests.bundles import save_tiny_bundle  # for torch

    bundle = save_tiny_bundle(tmp_path, "Starcoder2")
    mine = Engine.load(bundle, threads=1).score(PROGRAM)
    with running_host(tmp_path, bundle, "--threads", "1") as host, host.client() as client:
        theirs = risks_in(client.post("/v1/score", json=whole(PROGRAM)))
    assert np.abs(mine.token_probabilities() - theirs.token_probabilities()).max() < 0.001


def test_edits_give_what_the_whole_text_gives(anna: httpx2.Client) -> None:
    after = PROGRAM.replace("width", "w")
    edits = []
    place = PROGRAM.find("width")
    shown = PROGRAM
    while place >= 0:
        edits.append([place, place + len("width"), "w"])
        shown = shown[:place] + "w" + shown[place + len("width") :]
        place = shown.find("width")
    assert shown == after
    assert anna.post("/v1/score", json=whole(PROGRAM, 1, "edited")).status_code == 200
    by_edits = risks_in(anna.post("/v1/score", json=edited(edits, 2, 1, "edited")))
    by_text = risks_in(anna.post("/v1/score", json=whole(after, 1, "fresh")))
    assert by_edits.text_length == len(after)
    assert by_edits.hazards.tolist() == by_text.hazards.tolist()


def test_offsets_count_code_points_and_lone_surrogates_travel(anna: httpx2.Client) -> None:
    text = 'smile = "\U0001f600"\nhalf = "\udc80"\n'
    anna.post("/v1/score", json=whole("x", 1, "odd"))
    body = json.dumps(edited([[0, 1, text]], 2, 1, "odd"))
    risks = risks_in(anna.post("/v1/score", content=body))
    assert risks.text_length == len(text)


def test_hazards_travel_as_float16(anna: httpx2.Client) -> None:
    content = anna.post("/v1/score", json=whole(PROGRAM, 1, "halves")).content
    assert b'["hazards", "float16"' in content


def test_questions_of_the_worker_are_answered(anna: httpx2.Client) -> None:
    asked = {"text": PROGRAM, "language_id": "python", "span": [4, 8], "top": 3}
    response = anna.post("/v1/questions", json={"question": "alternatives", "parameters": asked})
    assert response.status_code == 200
    assert b'"alternatives"' in response.content


def test_a_host_writes_if_it_is_told_to(tmp_path: Path) -> None:
    task = WritingTask(PROGRAM, len(PROGRAM), len(PROGRAM), "line", max_tokens=8)
    asked = {"question": "write", "parameters": task.to_json()}
    with running_host(tmp_path, default_bundle_path(), "--threads", "1", "--writes") as host, host.client() as client:
        response = client.post("/v1/questions", json=asked)
    assert response.status_code == 200
    assert b'"texts"' in response.content


def test_a_person_hears_of_the_model_and_the_limits(anna: httpx2.Client) -> None:
    about = anna.get("/v1/model").json()
    assert about["description"]["name"] == "tiny"
    assert about["limits"]["characters"] == 20000


def test_the_metrics_count_and_name_nobody(host: RunningHost, anna: httpx2.Client) -> None:
    anna.post("/v1/score", json=whole(PROGRAM, 1, "counted"))
    with host.client("metrics") as reader:
        text = reader.get("/metrics").text
    assert 'risk_lsp_host_requests_total{path="/v1/score",status="200"}' in text
    assert "anna" not in text


def test_a_document_of_another_person_does_not_exist(anna: httpx2.Client, ben: httpx2.Client) -> None:
    anna.post("/v1/score", json=whole(PROGRAM, 1, "private"))
    of_another = ben.post("/v1/score", json=edited([], 2, 1, "private"))
    of_nobody = ben.post("/v1/score", json=edited([], 2, 1, "never opened"))
    assert of_another.status_code == of_nobody.status_code == 409
    assert of_another.json() == of_nobody.json()


def test_nothing_of_a_text_is_logged_or_written(host: RunningHost, anna: httpx2.Client) -> None:
    secret = "confidential_name"
    anna.post("/v1/score", json=whole(f"{secret} = 1\n", 1, "secret"))
    anna.post("/v1/score", json=edited([[99999, 99999, secret]], 2, 1, "secret"))
    anna.post("/v1/score", content=f'{{"text": "{secret}'.encode())
    written = [path for path in host.folder.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
    assert written == []


def test_a_new_key_replaces_the_old_one_at_once(host: RunningHost, anna: httpx2.Client) -> None:
    keys = host.folder / "keys"
    before = keys.read_text()
    try:
        keys.write_text("".join(line for line in before.splitlines(True) if " anna " not in line))
        time.sleep(1.1)  # the host looks once a second
        assert anna.get("/v1/model").status_code == 401
    finally:
        keys.write_text(before)
        time.sleep(1.1)
    assert anna.get("/v1/model").status_code == 200


def test_what_is_under_way_at_the_end_is_answered(tiny_bundle: Path, tmp_path: Path) -> None:
    with running_host(tmp_path, tiny_bundle, "--threads", "1") as host:
        answers: list[int] = []

        def ask() -> None:
            with host.client() as client:
                answers.append(client.post("/v1/score", json=whole(PROGRAM * 150)).status_code)

        asking = threading.Thread(target=ask)
        asking.start()
        time.sleep(0.3)
        assert host.stop() == 0
        asking.join()
    assert answers == [200]


def test_a_bundle_that_cannot_be_loaded_ends_the_host_with_the_reason(tmp_path: Path) -> None:
    host = RunningHost(tmp_path, tmp_path)
    assert host.process.wait(60) == 2
    assert "error: " in host.log.read_text()


def test_others_cannot_reach_a_host_without_tls(tiny_bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="--without-tls"):
        RunningHost(tmp_path, tiny_bundle, listen="0.0.0.0:0").wait_until_ready()


def test_a_host_speaks_tls(tiny_bundle: Path, tmp_path: Path) -> None:
    options = tls_options(tmp_path)
    host = RunningHost(tmp_path, tiny_bundle, *options)
    try:
        context = ssl.create_default_context(cafile=str(tmp_path / "authority.pem"))
        with host.client(verify=context) as client:
            assert client.get("/healthz").status_code in (200, 503)
        with host.client() as stranger, pytest.raises(httpx2.ConnectError):
            stranger.get("/healthz")
    finally:
        host.stop(signal.SIGKILL)


def test_a_long_text_lets_a_short_one_of_another_person_go_first(tmp_path: Path) -> None:
    functions = "".join(PROGRAM.replace("area", f"area_{number}") for number in range(700))
    ended: dict[str, float] = {}
    with running_host(tmp_path, default_bundle_path(), "--threads", "1") as host:

        def ask(name: str, text: str) -> None:
            with host.client(name) as client:
                assert client.post("/v1/score", json=whole(text)).status_code == 200
                ended[name] = time.monotonic()

        long = threading.Thread(target=ask, args=("anna", functions))
        long.start()
        time.sleep(0.5)
        ask("ben", PROGRAM)
        long.join()
        risks = Engine.load(default_bundle_path(), threads=1).score(functions)
        with host.client("anna") as client:
            again = risks_in(client.post("/v1/score", json=edited([], 2, 1)))
    assert ended["ben"] < ended["anna"]
    assert np.abs(again.token_probabilities() - risks.token_probabilities()).max() < 0.001
