"""Folders to choose from, and the pictures in them."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Query
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from ..desk import Desk
from . import shapes
from .guard import Guard
from .route import TAGS, answered

JPEG: dict[int | str, dict[str, Any]] = {200: {"content": {"image/jpeg": {}}}}


def routes(desk: Desk, guard: Guard, kind: type[APIRoute]) -> APIRouter:
    """``folders``, ``datasets`` and ``pictures``."""
    router = APIRouter(route_class=kind, tags=TAGS)

    @router.get("/folders", response_model=shapes.FolderListing, summary="Folders to choose from")
    def folders(request: Request, path: str = "") -> Response:
        """Without a path the allowed roots. Needs the token (or a password): a local user may look anywhere."""
        guard.need_token(request)
        return answered(desk.datasets.listing(path))

    @router.get("/datasets", response_model=shapes.DatasetTold, summary="A folder of pictures as a dataset")
    def datasets(request: Request, folder: str, count: int = Query(24, ge=0, le=2000)) -> Response:
        """Counts, the first pictures small, and a sentence about each file that can't be used. Needs the token.

        A folder that a local user names is remembered as allowed.
        """
        guard.need_token(request)
        return answered(desk.datasets.open(folder, count))

    @router.get("/pictures/{token}", responses=JPEG, summary="A small picture")
    def picture(token: str, side: int = Query(256, ge=1, le=4096)) -> Response:
        """JPEG of at most 512 pixels a side. Tokens come with ``datasets``."""
        data = desk.thumbnails.jpeg(token, side)
        return Response(data, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=86400"})

    return router
