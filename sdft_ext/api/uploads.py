"""Pictures sent to a dataset: begin, one request a file, finish."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from ..desk import Desk, DeskError
from . import shapes
from .route import TAGS, answered

BLOCK = 2**20
"""Bytes that are gathered before they are written."""


def routes(desk: Desk, kind: type[APIRoute], bytes_kind: type[APIRoute]) -> APIRouter:
    """``datasets/uploads…``; the files themselves come as plain bytes (``bytes_kind``)."""
    router = APIRouter(tags=TAGS)
    router.include_router(_told(desk, kind))
    files = APIRouter(route_class=bytes_kind)

    @files.post("/datasets/uploads/{id}/files", response_model=shapes.UploadedFile, summary="One file of an upload")
    async def file(request: Request, id: str, name: str) -> Response:
        """The body is the file: a picture, a caption, or a zip of both. ``name`` may have folders before it.

        ``taken`` is false for what is left out. A file that is refused answers 400 with the reason; the others stay.
        """
        receiver = await run_in_threadpool(desk.uploads.receive, id, name)
        if receiver is None:
            return answered({"taken": False})
        gathered = bytearray()
        try:
            async for chunk in request.stream():
                gathered += chunk
                if len(gathered) >= BLOCK:
                    await run_in_threadpool(receiver.write, bytes(gathered))
                    gathered.clear()
            await run_in_threadpool(receiver.write, bytes(gathered))
            await run_in_threadpool(receiver.end)
        except ClientDisconnect as error:
            raise DeskError("The browser stopped sending; send the file again.") from error
        finally:
            await run_in_threadpool(receiver.close)
        return answered({"taken": True})

    router.include_router(files)
    return router


def _told(desk: Desk, kind: type[APIRoute]) -> APIRouter:
    router = APIRouter(route_class=kind)

    @router.post("/datasets/uploads", response_model=shapes.UploadTold, summary="Begin an upload")
    def begin(body: shapes.UploadIn) -> Response:
        """Into a folder that may be used, or a new one beside the runs."""
        upload = desk.uploads.begin(body.folder, body.name)
        return answered({"id": upload.id, "folder": str(upload.folder)})

    @router.post("/datasets/uploads/{id}/finish", response_model=shapes.UploadDone, summary="Put it into the dataset")
    def finish(id: str, body: shapes.Empty) -> Response:
        """Nothing that is there is written over; a picture whose name is taken gets a number."""
        return answered(desk.uploads.finish(id))

    @router.post("/datasets/uploads/{id}/cancel", response_model=shapes.Ok, summary="Throw an upload away")
    def cancel(id: str, body: shapes.Empty) -> Response:
        desk.uploads.cancel(id)
        return answered({"ok": True})

    return router
