"""How every route answers: the guard first, then the handler; errors as one sentence in JSON."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Coroutine
from enum import Enum
from typing import Any

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from ..desk import DeskError, NotAllowed, NotFound, NotNow
from ..errors import SdftError
from .guard import JSON, Guard, Refused

STATUS: tuple[tuple[type[Exception], int], ...] = ((NotAllowed, 403), (NotFound, 404), (NotNow, 409), (DeskError, 400))
HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}
TAGS: list[str | Enum] = ["Fine-tune"]

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def guarded(guard: Guard, content: str = JSON) -> type[APIRoute]:
    """The class of routes behind this guard, whose POST requests have bodies of the type ``content``.

    It stands around the whole handler: FastAPI reads a request's body before its dependencies, and a request that isn't
    to be answered shall not learn whether its body was right.
    """

    class Guarded(APIRoute):
        def get_route_handler(self) -> Handler:
            handle = super().get_route_handler()

            async def answer(request: Request) -> Response:
                try:
                    await guard.check(request, content)
                    response: Response = await handle(request)
                except Refused as refused:
                    return failed(refused.status, refused.detail, refused.headers)
                except Exception as error:
                    return _told(error)
                for name, value in HEADERS.items():
                    response.headers.setdefault(name, value)
                return response

            return answer

    return Guarded


def failed(status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    return answered({"detail": detail}, status, headers)


def answered(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """JSON. It has no NaN and no infinity: null stands for them."""
    try:
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except ValueError:
        text = json.dumps(_finite(content), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # A name may hold half of a surrogate pair, which is no UTF-8.
    data = text.encode("utf-8", "replace")
    return Response(data, status, {**HEADERS, **(headers or {})}, "application/json")


def _told(error: Exception) -> Response:
    """An error as an answer. Raises on what is a fault of the program, once it is logged as one."""
    for kind, status in STATUS:
        if isinstance(error, kind):
            return failed(status, str(error))
    if isinstance(error, RequestValidationError):
        return failed(400, _wrong(error))
    if isinstance(error, HTTPException):
        return failed(error.status_code, str(error.detail), dict(error.headers or {}))
    if isinstance(error, SdftError) and isinstance(error, ValueError | RuntimeError):
        return failed(400 if isinstance(error, ValueError) else 409, str(error))
    if isinstance(error, RecursionError):
        return failed(400, "The request is nested too deeply: send a recipe as GET schema gives it.")
    logging.getLogger(__name__).error("A request failed.", exc_info=error)
    if isinstance(error, ImportError):
        return failed(503, f"A package is missing ({error.name}): install what the Fine-tune tab asks for.")
    return failed(500, f"Unexpected {type(error).__name__}; the console of the server says where it happened.")


def _wrong(error: RequestValidationError) -> str:
    """The first thing that is wrong with a request, as a sentence."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first.get("loc", ()) if part not in ("body", "query", "path"))
    what = str(first.get("msg", "it can't be read")).rstrip(".")
    return f"{where or 'The request'}: {what}; see the API's description at /docs."


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
