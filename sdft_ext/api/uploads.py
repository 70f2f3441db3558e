"""Pictures sent to a dataset: begin, one request a file, finish."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from fastapi import APIRouter, Query
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from ..desk import Desk, DeskError
from .common import OK, EmptyRequest, OkResponse
from .guard import Refused
from .route import TAGS, json_response

BLOCK = 2**20
"""Bytes that are gathered before they are written."""
BLOCK_SECONDS = 120.0
"""In which so many bytes, or the rest of a file, must have arrived."""


class UploadRequest(BaseModel):
    folder: str = Field("", description="An allowed folder, whose last part is made if necessary; empty for a new one.")
    name: str = Field("", description="Of the new folder, in `datasets` beside the runs.")


class UploadResponse(BaseModel):
    id: str
    folder: str


class FileResponse(BaseModel):
    taken: bool = Field(description="False for what is left out: hidden files and other kinds.")


class FinishedResponse(BaseModel):
    folder: str
    pictures: int
    captions: int
    same: int = Field(description="Files that were there already, byte for byte.")
    renamed: int = Field(description="Pictures that got a number, as their name is another picture's.")
    refused: list[str] = Field(description="A sentence about each refused file.")


def routes(desk: Desk, route_class: type[APIRoute], bytes_route_class: type[APIRoute]) -> APIRouter:
    """``datasets/uploads…``; the files themselves come as plain bytes (``bytes_route_class``)."""
    router = APIRouter(tags=TAGS)
    router.include_router(_json_routes(desk, route_class))
    files = APIRouter(route_class=bytes_route_class)

    @files.post("/datasets/uploads/{id}/files", response_model=FileResponse, summary="Send a file")
    async def file(
        request: Request, id: str, name: str = Query(description="The file's name; it may have folders before it.")
    ) -> Response:
        """The body is the file, with `Content-Type: application/octet-stream`: a picture (up to 256 MB), a caption (1
        MB), or a zip of both (16 GB). A refused file answers 400 with the reason; the upload goes on.
        """
        receiver = await run_in_threadpool(desk.uploads.receive, id, name)
        if receiver is None:
            return json_response({"taken": False})
        try:
            async for block in _blocks(request):
                await run_in_threadpool(receiver.write, block)
            await run_in_threadpool(receiver.end)
        except ClientDisconnect as error:
            raise DeskError("The browser stopped sending; send the file again.") from error
        finally:
            await run_in_threadpool(receiver.close)
        return json_response({"taken": True})

    router.include_router(files)
    return router


async def _blocks(request: Request) -> AsyncIterator[bytes]:
    """Yield a request's body in blocks. Raises Refused where one doesn't arrive in time: such a request would stay."""
    stream, ended = request.stream().__aiter__(), False

    async def block() -> bytes:
        nonlocal ended
        gathered = bytearray()
        while len(gathered) < BLOCK:
            try:
                gathered += await stream.__anext__()
            except StopAsyncIteration:
                ended = True
                break
        return bytes(gathered)

    while not ended:
        try:
            yield await asyncio.wait_for(block(), BLOCK_SECONDS)
        except asyncio.TimeoutError:
            raise Refused(408, "The file arrives too slowly, or not any more: send it again.") from None


def _json_routes(desk: Desk, route_class: type[APIRoute]) -> APIRouter:
    router = APIRouter(route_class=route_class)

    @router.post("/datasets/uploads", response_model=UploadResponse, summary="Begin an upload")
    def begin(body: UploadRequest) -> Response:
        """Until it is finished, nothing in the dataset changes. It is discarded after an hour without a file."""
        upload = desk.uploads.begin(body.folder, body.name)
        return json_response({"id": upload.id, "folder": str(upload.folder)})

    @router.post(
        "/datasets/uploads/{id}/finish", response_model=FinishedResponse, summary="Move the files into the dataset"
    )
    def finish(id: str, body: EmptyRequest) -> Response:
        """Nothing is overwritten."""
        return json_response(desk.uploads.finish(id))

    @router.post("/datasets/uploads/{id}/cancel", response_model=OkResponse, summary="Discard an upload")
    def cancel(id: str, body: EmptyRequest) -> Response:
        desk.uploads.cancel(id)
        return json_response(OK)

    return router
