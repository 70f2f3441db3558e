"""Reports of datasets, and what their findings offer: remove and put back, keep."""

from __future__ import annotations

from fastapi import APIRouter, Query
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from ..desk import Desk
from ..desk.dataset_report import MOST_AT_ONCE
from . import shapes
from .guard import Guard
from .route import TAGS, answered

OK = {"ok": True}


def routes(desk: Desk, guard: Guard, kind: type[APIRoute]) -> APIRouter:
    """``datasets/report…``, ``datasets/removed`` and ``datasets/restore``."""
    router = APIRouter(route_class=kind, tags=TAGS)
    _asked(router, desk)
    _changed(router, desk, guard)
    return router


def _asked(router: APIRouter, desk: Desk) -> None:
    @router.post("/datasets/report", response_model=shapes.Started, summary="Look at a recipe's dataset")
    def start(body: shapes.RecipeIn) -> Response:
        """Begins in the background. The same files and settings get the same report, without a second look."""
        return answered({"id": desk.datasets.report(body.recipe)})

    @router.get("/datasets/report/{id}", response_model=shapes.ReportTold, summary="A report, or how far it is")
    def report(id: str) -> Response:
        """Each finding comes with its first pictures; copies have a route of their own."""
        return answered(desk.reports.get(id).status())

    @router.get("/datasets/report/{id}/files", response_model=shapes.FilesTold, summary="Pictures behind a finding")
    def files(
        id: str, finding: int, start: int = Query(0, ge=0), count: int = Query(60, ge=1, le=MOST_AT_ONCE)
    ) -> Response:
        """Some of them, in their order."""
        return answered(desk.reports.get(id).files_of(finding, start, count))

    @router.get("/datasets/report/{id}/copies", response_model=shapes.CopiesTold, summary="Groups of copies")
    def copies(id: str, start: int = Query(0, ge=0), count: int = Query(20, ge=1, le=MOST_AT_ONCE)) -> Response:
        """Some of them; in each the picture to keep comes first."""
        return answered(desk.reports.get(id).duplicates(start, count))

    @router.post("/datasets/report/{id}/cancel", response_model=shapes.Ok, summary="Stop looking")
    def cancel(id: str, body: shapes.Empty) -> Response:
        desk.reports.cancel(id)
        return answered(OK)


def _changed(router: APIRouter, desk: Desk, guard: Guard) -> None:
    @router.post("/datasets/report/{id}/remove", response_model=shapes.RemovedTold, summary="Take files out")
    def remove(id: str, body: shapes.FilesIn) -> Response:
        """Moves them, with their captions and masks, to the trash of their dataset."""
        files = desk.reports.get(id).exact_duplicates() if body.exact else body.files
        if body.finding is not None:
            files = desk.reports.get(id).removable(body.finding)
        return answered({"removed": desk.reports.remove(id, files)})

    @router.post("/datasets/report/{id}/keep", response_model=shapes.Ok, summary="Copies that are wanted")
    def keep(id: str, body: shapes.KeepIn) -> Response:
        """They are no finding any more, until a further copy joins them."""
        desk.reports.keep(id, body.finding, body.undo)
        return answered(OK)

    @router.get("/datasets/removed", response_model=shapes.RemovalsTold, summary="The trash of a dataset")
    def removed(request: Request, folder: str) -> Response:
        """The newest first. Needs the token."""
        guard.need_token(request)
        return answered(desk.datasets.removals(folder))

    @router.post("/datasets/restore", response_model=shapes.Restored, summary="Put back what was removed")
    def restore(body: shapes.RestoreIn) -> Response:
        return answered({"files": desk.datasets.restore(body.folder, body.id)})
