"""Folders to choose from, and the pictures in them."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Query
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from starlette.responses import Response

from ..desk import Desk
from .common import Thumbnail
from .route import NEEDS_TOKEN, TAGS, json_response

JPEG: dict[int | str, dict[str, Any]] = {200: {"content": {"image/jpeg": {}}}}


class ListedFolder(BaseModel):
    name: str
    path: str
    pictures: int


class FoldersResponse(BaseModel):
    path: str
    parent: str | None = None
    folders: list[ListedFolder]
    pictures: int


class DatasetThumbnail(Thumbnail):
    width: int
    height: int
    caption: str


class DatasetResponse(BaseModel):
    folder: str
    pictures: int
    captions: int
    thumbnails: list[DatasetThumbnail] = Field(description="The first ones.")
    problems: list[str] = Field(description="A sentence about each file that can't be used.")


def routes(desk: Desk, route_class: type[APIRoute]) -> APIRouter:
    """``folders``, ``datasets`` and ``pictures``."""
    router = APIRouter(route_class=route_class, tags=TAGS)

    @router.get(
        "/folders", response_model=FoldersResponse, summary="List folders to choose from", openapi_extra=NEEDS_TOKEN
    )
    def folders(path: str = "") -> Response:
        """Without `path`, the allowed roots."""
        return json_response(desk.datasets.listing(path))

    @router.get(
        "/datasets",
        response_model=DatasetResponse,
        summary="Scan a folder of pictures as a dataset",
        openapi_extra=NEEDS_TOKEN,
    )
    def datasets(
        folder: str,
        count: int = Query(24, ge=0, le=2000, description="Thumbnails in the answer."),
        linked_folder: str = Query("", description="The recipe's `dataset.linked_folder`: links may lead there, too."),
    ) -> Response:
        """A folder that a local user names becomes an allowed root."""
        return json_response(desk.datasets.open(folder, count, linked_folder))

    @router.get("/pictures/{token}", responses=JPEG, summary="Get a thumbnail")
    def picture(
        token: str, side: int = Query(256, ge=1, le=4096, description="Its longer side; at most 512 pixels are sent.")
    ) -> Response:
        """A JPEG. Other answers name its path."""
        data = desk.thumbnails.jpeg(token, side)
        return Response(data, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=86400"})

    return router
