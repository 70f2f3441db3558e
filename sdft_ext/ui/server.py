"""The standalone page's HTTP: uvicorn's own, which waits only so long for the rest of a request, and what holds for
every answer of the server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from uvicorn.protocols.http.h11_impl import H11Protocol

from ..api.guard import Refused

HEADER_SECONDS = 20.0
"""In which a request's headers must have arrived, from its first byte on; a connection may stay silent so long too."""


class Sealed:
    """Answers only requests to names of this server, and gives every answer, errors included, the standard headers.

    ``check`` raises Refused for a foreign name, ``refused`` makes that an answer.
    """

    def __init__(
        self, app: Any, check: Callable[[Request], None], refused: Callable[[Refused], Any], headers: Mapping[str, str]
    ) -> None:
        self.app, self.check, self.refused, self.headers = app, check, refused, headers

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_sealed(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self.headers.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            self.check(Request(scope))
        except Refused as error:
            await self.refused(error)(scope, receive, send)
            return
        await self.app(scope, receive, send_sealed)


class ImpatientProtocol(H11Protocol):
    """Closes connections on which a request was begun and isn't continued: each of them takes a place."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before and self._late is not None:  # the headers are there
            self._late.cancel()
            self._late = None
        elif self._late is None and (self.cycle is None or self.cycle.response_complete):
            self._wait()

    def connection_lost(self, error: Exception | None) -> None:
        if self._late is not None:
            self._late.cancel()
        super().connection_lost(error)

    def _wait(self) -> None:
        self._late = self.loop.call_later(HEADER_SECONDS, self._give_up)

    def _give_up(self) -> None:
        self._late = None
        if not self.transport.is_closing() and (self.cycle is None or self.cycle.response_complete):
            self.transport.close()
