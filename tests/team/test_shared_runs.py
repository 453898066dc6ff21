"""Short texts of several people share runs of the model: each gets what it gets alone, and bears its part."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from tokenizers import Tokenizer

from risk_lsp.errors import RiskError
from risk_lsp.model import host as hosts
from risk_lsp.model.code_model import CodeModel
from risk_lsp.probe.manifest import default_bundle_path, read_manifest, write_manifest
from risk_lsp.risk.engine import Engine
from risk_lsp.risk.risk_map import RiskMap
from risk_lsp.team.admission import LeftOut, PersonLimits, Turns, add_key
from risk_lsp.team.team_worker import TeamScorer, answers_in
from risk_lsp.worker.messages import ScoredArrays
from tests.bundles import save_tiny_bundle
from tests.team.hosts import PROGRAM, RunningHost, edited, risks_in, running_host, whole

PLENTY = 1 << 30
NAMES = ("total", "share", "limit")
TEXTS = [PROGRAM.replace("area", name).replace("width", f"{name}_width") for name in NAMES]
LONG = "".join(PROGRAM.replace("area", f"area_{number}") for number in range(200))


def asked(text: str, owner: str) -> dict[str, Any]:
    return {"owner": owner, "text": text, "language_id": "python", "at": 0}


class Asked:
    """The worker's scorer, asked for several texts at once; `runs` has the tokens of each text in each run so far."""

    def __init__(self, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.scorer = TeamScorer(Engine.load(bundle, dtype="float32", threads=1), PLENTY)
        self.runs: list[list[int]] = []
        self.left: list[list[int]] = []
        self.shared = 0
        host: Any = self.scorer._engine.model.host
        extend = host.extend

        def counted(sequences: Any, *args: Any, **options: Any) -> Any:
            self.runs.append([len(each) for each in sequences])
            return extend(sequences, *args, **options)

        monkeypatch.setattr(host, "extend", counted)

    def scores(self, texts: dict[str, str], most_tokens: int = 4096) -> dict[str, RiskMap | RiskError]:
        """What people get who ask together: by person, from their texts."""

        def note(part: Any) -> None:
            self.left = part[0]["left"]

        parameters = {"asked": [asked(text, owner) for owner, text in texts.items()], "most_tokens": most_tokens}
        header, arrays = self.scorer.answer("scores", parameters, note)
        self.shared = header["shared"]
        people = list(texts)
        return {
            people[index]: RiskMap.from_arrays(*found) if isinstance(found, ScoredArrays) else found
            for index, (_, found) in answers_in(ScoredArrays(header, arrays)).items()
        }


@pytest.fixture(params=["numpy", "torch", "transformers"])
def together(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Asked:
    """With the built-in model, run by each of the three."""
    if request.param == "torch":
        monkeypatch.setattr(hosts, "MOST_BYTES_OF_NUMPY", 0)
    if request.param == "transformers":
        monkeypatch.setattr(hosts, "decoder_shape", lambda config: None)
    return Asked(default_bundle_path(), monkeypatch)


def assert_as_alone(found: RiskMap | RiskError, text: str) -> None:
    assert isinstance(found, RiskMap)
    alone = Engine.load(default_bundle_path(), dtype="float32", threads=1).score(text)
    assert np.abs(found.token_probabilities() - alone.token_probabilities()).max() < 0.001


def test_texts_of_several_people_are_read_in_one_run_and_get_what_they_get_alone(together: Asked) -> None:
    found = together.scores(dict(zip(NAMES, TEXTS, strict=True)))
    assert [len(run) for run in together.runs] == [3]
    for name, text in zip(NAMES, TEXTS, strict=True):
        assert_as_alone(found[name], text)


def test_of_edited_texts_the_shared_run_has_what_follows_the_edits(together: Asked) -> None:
    before = dict(zip(NAMES, TEXTS, strict=True))
    together.scores(before)
    after = {name: text.replace("return None", "return 0") for name, text in before.items()}
    found = together.scores(after)
    first, second = together.runs
    assert len(second) == 3
    assert all(2 * fewer < all_tokens for fewer, all_tokens in zip(second, first, strict=True))
    for name, text in after.items():
        assert_as_alone(found[name], text)


def test_a_text_that_does_not_fit_is_left_out_and_told_so_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = Asked(default_bundle_path(), monkeypatch)
    found = together.scores({"anna": TEXTS[0], "long": LONG, "ben": TEXTS[1]}, most_tokens=400)
    assert set(found) == {"anna", "ben"}
    ((index, tokens),) = together.left
    assert index == 1 and tokens > 400


def test_a_long_text_whose_turn_it_is_is_read_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    together = Asked(default_bundle_path(), monkeypatch)
    parts: list[dict[str, Any]] = []
    parameters = {"asked": [asked(LONG, "long"), asked(TEXTS[0], "anna")], "most_tokens": 400}
    header, _ = together.scorer.answer("scores", parameters, lambda part: parts.append(part[0]))
    assert [index for index, *_ in header["scores"]] == [0]
    assert [index for index, _ in parts[0]["left"]] == [1]
    assert len(parts) > 1  # what is known of the long text, before the whole


def test_a_text_that_the_model_cannot_read_fails_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = save_tiny_bundle(tmp_path)
    tokenizer = Tokenizer.from_file(str(bundle / "model" / "tokenizer.json"))
    tokenizer.add_tokens([f"UNKNOWN{number}" for number in range(9)])
    tokenizer.save(str(bundle / "model" / "tokenizer.json"))
    manifest = read_manifest(bundle)
    identity = replace(manifest.host, tokenizer_hash=CodeModel.load(bundle / "model").tokenizer_hash)
    write_manifest(replace(manifest, host=identity), bundle)
    together = Asked(bundle, monkeypatch)

    found = together.scores({"anna": "x = 1\n", "ben": "UNKNOWN8 = 1\n", "carla": "y = 2\n"})

    assert isinstance(found["ben"], RiskError) and "does not know" in found["ben"].message
    assert isinstance(found["anna"], RiskMap) and isinstance(found["carla"], RiskMap)
    assert together.shared == 2


def test_texts_whose_shared_run_fails_are_read_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    together = Asked(default_bundle_path(), monkeypatch)
    host: Any = together.scorer._engine.model.host
    extend = host.extend

    def run_out_of_memory(sequences: Any, *args: Any, **options: Any) -> Any:
        if len(sequences) > 1:
            raise MemoryError
        return extend(sequences, *args, **options)

    monkeypatch.setattr(host, "extend", run_out_of_memory)
    found = together.scores({"anna": TEXTS[0], "ben": TEXTS[1]})
    assert together.shared == 0
    assert_as_alone(found["anna"], TEXTS[0])
    assert_as_alone(found["ben"], TEXTS[1])


def test_what_one_person_had_read_is_read_again_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    together = Asked(default_bundle_path(), monkeypatch)
    together.scores({"anna": TEXTS[0], "ben": TEXTS[0]})
    together.scores({"carla": TEXTS[0], "dora": TEXTS[0]})
    assert together.runs[0] == together.runs[1]


def type_on(host: RunningHost, name: str) -> None:
    """Open a text and edit it six times; the last answer has to be right."""
    text = PROGRAM.replace("area", name)
    with host.client(name) as client:
        client.post("/v1/score", json=whole(text)).raise_for_status()
        for version in range(2, 8):
            response = client.post("/v1/score", json=edited([[0, 0, "#\n"]], version, version - 1))
            text = "#\n" + text
            last = risks_in(response)
    assert_as_alone(last, text)


def leave_again_and_again(host: RunningHost, name: str) -> None:
    """Ask, and go away before the answer, many times."""
    for version in range(1, 40):
        with host.client(name) as client, contextlib.suppress(httpx2.TimeoutException):
            client.post("/v1/score", json=whole(PROGRAM + "#" * version, version), timeout=0.03)


@pytest.fixture
def sharing_host(tmp_path: Path) -> Iterator[RunningHost]:
    """A host whose runs are shared, with keys for four more people."""
    with running_host(tmp_path, default_bundle_path(), "--threads", "1", "--batch-tokens", "4096") as host:
        for number in range(4):
            host.keys[f"person{number}"] = add_key(tmp_path / "keys", f"person{number}")
        time.sleep(1.1)  # the host looks once a second
        yield host


def shared_scores(host: RunningHost) -> float:
    """How many scores shared runs so far."""
    with host.client("metrics") as reader:
        figures = reader.get("/metrics").text
    (line,) = [line for line in figures.splitlines() if line.startswith("risk_lsp_host_shared_scores_total ")]
    return float(line.split()[1])


def test_people_who_wait_share_runs_of_a_host_and_get_what_they_get_alone(sharing_host: RunningHost) -> None:
    people = [f"person{number}" for number in range(4)]
    with ThreadPoolExecutor(len(people)) as threads:
        list(threads.map(lambda name: type_on(sharing_host, name), people))
    assert shared_scores(sharing_host) >= 4


def test_who_leaves_during_shared_runs_takes_no_answer_from_the_others(sharing_host: RunningHost) -> None:
    with ThreadPoolExecutor(4) as threads:
        leaving = [threads.submit(leave_again_and_again, sharing_host, name) for name in ("anna", "ben")]
        typing = [threads.submit(type_on, sharing_host, name) for name in ("person0", "person1")]
        for each in (*typing, *leaving):
            each.result()
    assert "Traceback" not in sharing_host.log.read_text()


# Whose time it is


async def read(turns: Turns, person: str, weight: float, served: Counter[str], shared: list[int]) -> None:
    """A request of that many tokens, which rides with others or takes them along."""
    async with turns.turn(person, wish=weight) as ride:
        if not ride.drives:
            await ride.outcome
        else:
            riders = turns.take_along(ride, 3)
            every = [ride, *riders]
            shared.append(len(every))
            turns.split({each.person: each.wish for each in every})
            await asyncio.sleep(0.001 * sum(each.wish for each in every))
            for each in riders:
                if not each.outcome.done():
                    each.outcome.set_result(None)
        served[person] += int(weight)


async def test_who_asks_for_more_gets_no_more_of_shared_runs() -> None:
    turns, served, shared = Turns(PersonLimits()), Counter[str](), list[int]()

    async def keep_asking(person: str, weight: float) -> None:
        while True:
            await read(turns, person, weight, served, shared)

    people = [("greedy", 4.0)] * 6 + [(name, 1.0) for name in ("anna", "ben", "carla", "dora")] * 2
    tasks = [asyncio.ensure_future(keep_asking(*each)) for each in people]
    await asyncio.sleep(2)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert max(shared) == 4
    others = [served[name] for name in ("anna", "ben", "carla", "dora")]
    assert max(others) <= 1.2 * min(others)
    assert served["greedy"] <= 1.5 * min(others)


async def test_who_rides_and_gives_up_leaves_the_others_riding() -> None:
    turns, served, shared = Turns(PersonLimits()), Counter[str](), list[int]()
    async with turns.turn("first"):
        riding = [asyncio.ensure_future(read(turns, name, 50.0, served, shared)) for name in ("anna", "ben", "carla")]
        await asyncio.sleep(0)
    await asyncio.sleep(0.02)
    riding[1].cancel()
    await asyncio.wait(riding, timeout=5)
    assert shared == [3]
    assert served == Counter(anna=50, carla=50)


async def test_who_rides_waits_for_another_turn_if_the_driver_gives_up() -> None:
    turns = Turns(PersonLimits())
    taken = asyncio.Event()

    async def drive() -> None:
        async with turns.turn("driver", wish=1) as ride:
            await asyncio.sleep(0)
            turns.take_along(ride, 3)
            taken.set()
            await asyncio.sleep(60)

    async def ride_along() -> None:
        async with turns.turn("rider", wish=1) as ride:
            assert not ride.drives
            await ride.outcome

    driver, rider = asyncio.ensure_future(drive()), asyncio.ensure_future(ride_along())
    await taken.wait()
    driver.cancel()
    with pytest.raises(LeftOut):
        await asyncio.wait_for(rider, 5)
    async with turns.turn("rider") as ride:
        assert ride.drives
