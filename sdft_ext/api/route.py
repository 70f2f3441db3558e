"""How every route answers: the guard first, then the handler; errors are one sentence in JSON."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import re
from collections.abc import Callable, Coroutine
from enum import Enum
from pathlib import Path
from typing import Any

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from ..desk import DeskError, NotAllowed, NotFound, NotNow
from ..errors import SdftError
from ..storage.json_file import replace_nonfinite
from ..storage.text import printable
from .guard import JSON, Guard, Refused
from .together import Together

STATUS: tuple[tuple[type[Exception], int], ...] = ((NotAllowed, 403), (NotFound, 404), (NotNow, 409), (DeskError, 400))
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'self'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
}
"""Of every answer: nothing of it is kept, guessed at, shown in another site's frame, or run as a page."""
MOST_BYTES = 32 * 2**20
"""Of a JSON body: the captions of thousands of pictures take a few."""
TOO_LARGE = f"The request is larger than {MOST_BYTES // 2**20} MB: send it in parts."
FULL_DISK = (errno.ENOSPC, errno.EDQUOT)
BODY_SECONDS = 30.0
"""In which a JSON body must have arrived whole."""
TAGS: list[str | Enum] = ["Fine-tune"]
NEEDS_TOKEN = {"x-needs-token": True}
"""``openapi_extra`` of a GET that needs the page's token, as a local user may look anywhere with it."""
PICTURE: dict[int | str, dict[str, Any]] = {200: {"content": {"image/png": {}}}}
"""``responses`` of a route that answers with a PNG."""

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def guarded_route_class(guard: Guard, together: Together, content: str = JSON) -> type[APIRoute]:
    """Make the class of routes behind this guard, whose POST requests have bodies of the type ``content``; equal
    questions are answered ``together``.

    The guard wraps the whole handler: FastAPI reads a request's body before its dependencies, and a request that is
    refused must not learn whether its body was valid.
    """

    class Guarded(APIRoute):
        def get_route_handler(self) -> Handler:
            handle, reads_anywhere = super().get_route_handler(), self.openapi_extra == NEEDS_TOKEN

            async def answer(request: Request) -> Response:
                try:
                    await guard.check(request, content)
                    if reads_anywhere:
                        guard.need_token(request)
                    if content == JSON:
                        await _read_body(request)
                    response = await together.answer(request, handle)
                except Refused as refused:
                    return error_response(refused.status, refused.detail, refused.headers)
                except Exception as error:
                    return _respond_to(error)
                for name, value in HEADERS.items():
                    response.headers.setdefault(name, value)
                return response

            return answer

    return Guarded


async def _read_body(request: Request) -> None:
    """Read a request's body; FastAPI then finds it read. Raises Refused where it is too large, or too slow to come."""
    if "content-length" not in request.headers and "transfer-encoding" not in request.headers:
        return  # it has none
    length = request.headers.get("content-length") or "0"
    if not re.fullmatch(r"[0-9]+", length):
        raise Refused(400, "The request's Content-Length is not a number: leave it out, or correct it.")
    digits = length.lstrip("0")
    if len(digits) > 18 or int(digits or 0) > MOST_BYTES:
        raise Refused(413, TOO_LARGE)

    async def read() -> bytes:
        data = bytearray()
        async for chunk in request.stream():
            data += chunk
            if len(data) > MOST_BYTES:
                raise Refused(413, TOO_LARGE)
        return bytes(data)

    try:
        request._body = await asyncio.wait_for(read(), BODY_SECONDS)
    except asyncio.TimeoutError:
        raise Refused(408, f"The request did not arrive whole in {BODY_SECONDS:.0f} seconds: send it again.") from None


def needs_token(route: APIRoute) -> bool:
    """Tell whether a route answers only requests with the page's token, or a password."""
    return route.openapi_extra == NEEDS_TOKEN or bool(route.methods - {"GET", "HEAD"})


def error_response(status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    """``{"detail": …}``: one sentence that says what happened and what to do."""
    return json_response({"detail": detail}, status, headers)


def json_response(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """An answer in JSON, which has no NaN and no infinity: they become null."""
    try:
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except ValueError:
        text = json.dumps(replace_nonfinite(content), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # A file name may hold half of a surrogate pair, which UTF-8 can't encode.
    data = text.encode("utf-8", "replace")
    return Response(data, status, {**HEADERS, **(headers or {})}, "application/json")


def _respond_to(error: Exception) -> Response:
    """An error as an answer; a fault of the program is logged, too."""
    for kind, status in STATUS:
        if isinstance(error, kind):
            return error_response(status, str(error))
    if isinstance(error, RequestValidationError):
        return error_response(400, _explain(error))
    if isinstance(error, HTTPException):
        return error_response(error.status_code, str(error.detail), dict(error.headers or {}))
    if isinstance(error, SdftError) and isinstance(error, ValueError | RuntimeError):
        return error_response(400 if isinstance(error, ValueError) else 409, str(error))
    if isinstance(error, OSError) and error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
        return error_response(400, f"A name in the request can't be used ({error.strerror}): choose another one.")
    if isinstance(error, RuntimeError) and "home directory" in str(error):
        return error_response(400, "A path in the request begins with ~ and a user that this computer doesn't have.")
    if isinstance(error, UnicodeError) or (isinstance(error, ValueError) and "null " in str(error)):
        return error_response(400, "A name in the request holds a character that no file name can hold: remove it.")
    if isinstance(error, RecursionError):
        return error_response(400, "The request is nested too deeply: send a recipe as GET schema gives it.")
    if isinstance(error, OSError) and error.errno is not None:
        return error_response(507 if error.errno in FULL_DISK else 500, _of_the_disk(error))
    logging.getLogger(__name__).error("A request failed.", exc_info=error)
    if isinstance(error, ImportError):
        return error_response(503, f"A package is missing ({error.name}): install what the Fine-tune tab asks for.")
    return error_response(500, f"Unexpected {type(error).__name__}; the server's console shows where.")


def _of_the_disk(error: OSError) -> str:
    """A sentence about a file that can't be read or written; the project's own sentences stand as they are."""
    if error.filename is None and ":" in str(error.strerror):
        return f"{error.strerror}."
    what = "A file" if error.filename is None else printable(error.filename)
    return (
        f"{what} can't be read or written ({error.strerror}): free space, or check the disk and the folder's "
        "permissions, and try again."
    )


def _explain(error: RequestValidationError) -> str:
    """A sentence on the first thing that is wrong with a request."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first.get("loc", ()) if part not in ("body", "query", "path"))
    what = str(first.get("msg", "it can't be read")).rstrip(".")
    return f"{where or 'The request'}: {what}; see docs/api.md."


def png(path: Path) -> Response:
    """Answer with a picture that a run has drawn."""
    return FileResponse(path, media_type="image/png", headers={"Cache-Control": "no-cache"})
