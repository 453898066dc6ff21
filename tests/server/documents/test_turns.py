"""Of those who wait for the model, the newest is served next, and nobody is forgotten."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from risk_lsp.server.documents.model_host import NewestFirst


class Queue:
    """Who had a turn, in order; each turn lasts until the test ends it."""

    def __init__(self) -> None:
        self.turns = NewestFirst()
        self.served: list[int] = []
        self.ends: dict[int, asyncio.Event] = {}
        self.inside = 0

    async def join(self, number: int) -> None:
        self.ends[number] = asyncio.Event()
        async with self.turns.turn():
            self.inside += 1
            assert self.inside == 1
            self.served.append(number)
            try:
                await self.ends[number].wait()
            finally:
                self.inside -= 1


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_the_newest_of_those_who_wait_is_next() -> None:
    queue = Queue()
    tasks = [asyncio.create_task(queue.join(number)) for number in range(4)]
    await settled()
    for end in queue.ends.values():
        end.set()
    await asyncio.gather(*tasks)
    assert queue.served == [0, 3, 2, 1]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 7)), max_size=20))
def test_whoever_leaves_while_waiting_or_inside_the_rest_are_served(moves: list[tuple[bool, int]]) -> None:
    async def play() -> None:
        queue = Queue()
        tasks = [asyncio.create_task(queue.join(number)) for number in range(8)]
        await settled()
        for is_end, number in moves:
            if is_end:
                queue.ends[number].set()
            else:
                tasks[number].cancel()
            if number % 2:  # at other times both happen before anybody runs
                await settled()
        for end in queue.ends.values():
            end.set()
        await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 60)
        assert {number for number, task in enumerate(tasks) if not task.cancelled()} <= set(queue.served)

    asyncio.run(play())
