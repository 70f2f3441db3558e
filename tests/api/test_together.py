"""Equal questions at the same time are answered once, and never with what was true before a change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sdft_ext.api.together import Together


def request(path: str = "/sdft/v1/runs", query: str = "", method: str = "GET") -> Request:
    return Request(
        {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query.encode(),
            "headers": [(b"host", b"127.0.0.1")],
            "scheme": "http",
            "server": ("127.0.0.1", 80),
        }
    )


class Work:
    """A handler that answers only when it is let go; ``begun`` counts how often it was asked."""

    def __init__(self, answer: Callable[[int], Response] = lambda number: Response(f"{number}")) -> None:
        self.begun, self.go, self.make = 0, asyncio.Event(), answer

    async def __call__(self, _: Request) -> Response:
        self.begun += 1
        number = self.begun
        await self.go.wait()
        return self.make(number)


def run(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with ThreadPoolExecutor(1) as thread:  # a browser of other tests keeps a loop running in this one
        thread.submit(asyncio.run, asyncio.wait_for(story(), 20)).result()


async def begin(*coroutines: Coroutine[Any, Any, Response]) -> list[asyncio.Task[Response]]:
    tasks = [asyncio.create_task(one) for one in coroutines]
    for _ in range(5):
        await asyncio.sleep(0)
    return tasks


def test_a_hundred_equal_questions_are_one() -> None:
    async def story() -> None:
        together, work = Together(), Work()
        asked = await begin(*(together.answer(request(), work) for _ in range(100)))
        other = await begin(together.answer(request(query="since=3"), work), together.answer(request("/other"), work))
        work.go.set()
        answers = await asyncio.gather(*asked)
        assert {one.body for one in answers} == {b"1"} and len({id(one.headers) for one in answers}) == 100
        assert [one.body for one in await asyncio.gather(*other)] == [b"2", b"3"]
        assert (await together.answer(request(), work)).body == b"4", "nothing is kept"

    run(story)


def test_after_a_change_the_answer_is_a_new_one() -> None:
    async def story() -> None:
        together, work, change = Together(), Work(), Work()
        change.go.set()
        (before,) = await begin(together.answer(request(), work))
        await together.answer(request(method="POST"), change)
        (after,) = await begin(together.answer(request(), work))
        work.go.set()
        assert ((await before).body, (await after).body) == (b"1", b"2")

    run(story)


def test_a_failure_is_everyones_and_is_not_kept() -> None:
    def fail(number: int) -> Response:
        if number == 1:
            raise OSError("gone")
        return Response("there")

    async def story() -> None:
        together, work = Together(), Work(fail)
        asked = await begin(*(together.answer(request(), work) for _ in range(3)))
        work.go.set()
        assert [type(one) for one in await asyncio.gather(*asked, return_exceptions=True)] == [OSError] * 3
        assert (await together.answer(request(), work)).body == b"there"

    run(story)


def test_one_that_stops_waiting_does_not_end_it_for_the_others() -> None:
    async def story() -> None:
        together, work = Together(), Work()
        first, second = await begin(together.answer(request(), work), together.answer(request(), work))
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        work.go.set()
        assert (await second).body == b"1"

    run(story)


def test_what_can_be_sent_only_once_is_made_for_each() -> None:
    async def story() -> None:
        together, work = Together(), Work(lambda number: JSONResponse(number))
        asked = await begin(together.answer(request(), work), together.answer(request(), work))
        work.go.set()
        assert [one.body for one in await asyncio.gather(*asked)] == [b"1", b"2"]

    run(story)
