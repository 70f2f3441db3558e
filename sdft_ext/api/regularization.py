"""Regularization pictures: what can be drawn with, begin, watch, pause and stop."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from ..desk import Desk
from . import shapes
from .guard import Guard
from .route import TAGS, answered

OK = {"ok": True}


def routes(desk: Desk, guard: Guard, kind: type[APIRoute]) -> APIRouter:
    """Everything below ``regularization``."""
    router, work = APIRouter(route_class=kind, tags=TAGS), desk.regularization

    @router.get("/regularization", response_model=shapes.Regularizations, summary="Regularization pictures")
    def every(request: Request, folder: str = "") -> Response:
        """The host's samplers, and every job; with a folder those that draw there. Needs the token."""
        guard.need_token(request)
        return answered(work.list(folder))

    @router.post("/regularization", response_model=shapes.Named, summary="Draw regularization pictures")
    def start(body: shapes.RegularizationIn) -> Response:
        """Queued like a run. The same settings again draw only what is missing."""
        values: dict[str, Any] = dict(body)
        return answered({"name": work.start(values, values.pop("folder"))})

    @router.get("/regularization/{name}", response_model=shapes.RegularizationTold, summary="One job")
    def one(name: str) -> Response:
        """How far it is, and the newest pictures."""
        return answered(work.one(name))

    @router.post("/regularization/{name}/pause", response_model=shapes.Ok, summary="Hold it")
    def pause(name: str, body: shapes.Empty) -> Response:
        """After the picture that is being drawn."""
        work.pause(name)
        return answered(OK)

    @router.post("/regularization/{name}/resume", response_model=shapes.Ok, summary="Go on with it")
    def resume(name: str, body: shapes.Empty) -> Response:
        """After a pause at once; a stopped or failed one is queued. What is there isn't drawn again."""
        work.resume(name)
        return answered(OK)

    @router.post("/regularization/{name}/stop", response_model=shapes.Ok, summary="End it")
    def stop(name: str, body: shapes.Empty) -> Response:
        """After the picture that is being drawn; a waiting one leaves the queue."""
        work.stop(name)
        return answered(OK)

    return router
