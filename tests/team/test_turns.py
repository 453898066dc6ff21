"""Whose turn it is: equal time for people who wait, and nobody's requests hold the model once they are given up."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter

import pytest

from risk_lsp.team.admission import Allowance, PersonLimits, TooMuch, Turns


async def serve(turns: Turns, person: str, seconds: float, served: Counter[str]) -> None:
    """One request that takes the model for a while."""
    async with turns.turn(person):
        await asyncio.sleep(seconds)
        served[person] += 1


async def keep_asking(turns: Turns, person: str, at_a_time: int, seconds: float, served: Counter[str]) -> None:
    """Always have so many requests wait."""

    async def ask() -> None:
        while True:
            await serve(turns, person, seconds, served)

    await asyncio.gather(*(ask() for _ in range(at_a_time)))


async def run_for(seconds: float, *work: asyncio.Task[None]) -> None:
    """Let tasks run, then end them."""
    await asyncio.sleep(seconds)
    for task in work:
        task.cancel()
    await asyncio.gather(*work, return_exceptions=True)


async def test_who_asks_more_gets_no_more() -> None:
    turns, served = Turns(PersonLimits()), Counter[str]()
    people = {"greedy": 8, "anna": 1, "ben": 1}
    tasks = [asyncio.ensure_future(keep_asking(turns, name, count, 0.005, served)) for name, count in people.items()]
    await run_for(1.5, *tasks)
    assert max(served.values()) <= 1.5 * min(served.values())


async def test_time_is_shared_not_requests() -> None:
    turns, served = Turns(PersonLimits()), Counter[str]()
    long = asyncio.ensure_future(keep_asking(turns, "long", 2, 0.04, served))
    short = asyncio.ensure_future(keep_asking(turns, "short", 2, 0.01, served))
    await run_for(1.5, long, short)
    assert served["short"] >= 2 * served["long"]


async def test_who_was_idle_has_no_claim_to_what_was_missed() -> None:
    turns, served = Turns(PersonLimits()), Counter[str]()
    busy = asyncio.ensure_future(keep_asking(turns, "busy", 1, 0.01, served))
    await asyncio.sleep(0.5)
    before = served["busy"]
    late = asyncio.ensure_future(keep_asking(turns, "late", 4, 0.01, served))
    await run_for(0.6, busy, late)
    assert served["busy"] - before >= 0.6 * served["late"]


async def test_time_that_nobody_else_wanted_is_not_held_against_a_person() -> None:
    turns, served = Turns(PersonLimits()), Counter[str]()
    await serve(turns, "early", 0.5, served)
    served.clear()
    tasks = [asyncio.ensure_future(keep_asking(turns, name, 2, 0.01, served)) for name in ("late", "early")]
    await run_for(0.6, *tasks)
    assert max(served.values()) <= 1.6 * served["early"]


async def test_of_one_person_s_requests_the_newest_is_the_next() -> None:
    turns, order = Turns(PersonLimits()), list[int]()

    async def ask(number: int) -> None:
        async with turns.turn("anna"):
            order.append(number)

    async with turns.turn("ben"):
        asking = [asyncio.ensure_future(ask(number)) for number in range(3)]
        await asyncio.sleep(0)
    await asyncio.gather(*asking)
    assert order == [2, 1, 0]


async def test_a_request_that_is_given_up_lets_the_next_one_go() -> None:
    turns, served = Turns(PersonLimits()), Counter[str]()
    async with turns.turn("anna"):
        given_up = asyncio.ensure_future(serve(turns, "ben", 10.0, served))
        next_one = asyncio.ensure_future(serve(turns, "carla", 0.0, served))
        await asyncio.sleep(0)
        given_up.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await given_up
    await asyncio.wait_for(next_one, 1)
    assert served == Counter(carla=1)
    assert turns.waiting == 0


async def test_a_request_that_is_given_up_as_it_is_called_lets_the_next_one_go() -> None:
    turns, served = Turns(PersonLimits()), Counter[str]()
    called = asyncio.ensure_future(serve(turns, "ben", 10.0, served))
    await asyncio.sleep(0)
    called.cancel()
    await asyncio.wait_for(serve(turns, "anna", 0.0, served), 1)
    assert served == Counter(anna=1)


async def test_more_than_may_wait_are_refused_with_a_time_to_come_back() -> None:
    turns, served = Turns(PersonLimits(waiting=2)), Counter[str]()
    async with turns.turn("ben"):
        waiting = [asyncio.ensure_future(serve(turns, "anna", 0.0, served)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(TooMuch) as refused:
            await serve(turns, "anna", 0.0, served)
    await asyncio.gather(*waiting)
    assert refused.value.seconds >= 1


def test_tokens_that_were_read_count_against_the_next_request() -> None:
    allowance = Allowance(PersonLimits(tokens_per_minute=60))
    allowance.begin()
    allowance.read(120)
    with pytest.raises(TooMuch) as refused:
        allowance.begin()
    assert 55 <= refused.value.seconds <= 61
