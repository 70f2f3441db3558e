"""Equal questions that arrive at the same time are answered once: many pages poll the same routes.

Each answer takes turns with the run that trains in this process: a hundred pages that ask at once would take a hundred.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

from starlette.requests import Request
from starlette.responses import Response

Handle: TypeAlias = Callable[[Request], Coroutine[Any, Any, Response]]
_Question: TypeAlias = tuple[asyncio.AbstractEventLoop, str, str, int]


class Together:
    """Shares the answers of one app's GET routes, which depend on nothing but the address.

    A question that comes after a change was answered is never given an answer from before that change.
    """

    def __init__(self) -> None:
        self._asked: dict[_Question, asyncio.Task[Response]] = {}
        self._changes = 0

    async def answer(self, request: Request, handle: Handle) -> Response:
        """Answer a request; a GET by the answer that an equal one is waiting for, if there is one. Raises what
        ``handle`` raises.
        """
        if request.method != "GET":
            try:
                return await handle(request)
            finally:
                self._changes += 1
        question = (asyncio.get_running_loop(), request.url.path, request.url.query, self._changes)
        asked = self._asked.get(question)
        first = asked is None
        if asked is None:
            asked = self._asked[question] = asyncio.create_task(handle(request))
            asked.add_done_callback(lambda _: self._asked.pop(question, None))
        # Whoever stops waiting doesn't end it for the others.
        response = await asyncio.shield(asked)
        if type(response) is Response:  # a text in memory; each gets its own headers
            return Response(response.body, response.status_code, dict(response.headers))
        return response if first else await handle(request)
