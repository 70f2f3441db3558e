"""The page's own code, guarded like the rest: whoever may not use the WebUI can't read it either."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from .route import TAGS, error_response

TYPES = {
    ".mjs": "text/javascript; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".txt": "text/plain; charset=utf-8",
}
"""The files that a page may consist of; nothing else is served."""
NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*")


def routes(folder: Path, route_class: type[APIRoute]) -> APIRouter:
    """``/sdft/page/…``."""
    router = APIRouter(route_class=route_class, tags=TAGS)

    @router.get("/sdft/page/{path:path}", include_in_schema=False)
    def page(path: str, request: Request) -> Response:
        """A file of the page; the browser asks each time, and gets 304 where it has the newest one."""
        file = folder / path
        if not NAME.fullmatch(path) or file.suffix not in TYPES or not file.is_file():
            return error_response(404, "The page has no such file: reload it.")
        if folder.resolve() not in file.resolve().parents:
            return error_response(404, "The page has no such file: reload it.")
        data = file.read_bytes()
        headers = {"ETag": f'"{hashlib.sha256(data).hexdigest()[:32]}"', "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        return Response(data, headers=headers, media_type=TYPES[file.suffix])

    return router
