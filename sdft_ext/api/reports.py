"""Reports of datasets, and what their findings offer: remove files and restore them, keep duplicates."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Query
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from starlette.responses import Response

from ..desk import Desk
from ..desk.dataset_report import MOST_AT_ONCE
from .common import OK, EmptyRequest, OkResponse, Plain, RecipeRequest, StartedResponse
from .route import NEEDS_TOKEN, TAGS, json_response


class ReportedFile(BaseModel):
    file: int = Field(description="Its number in the report.")
    name: str = Field(description="Below its concept's folder.")
    removed: bool
    picture: str | None = Field(
        None, description="Path of its thumbnail below `/sdft/v1/`; null for what is no picture."
    )
    width: int = 0
    height: int = 0
    bytes: int = 0
    caption: str = ""
    concept: int | None = Field(None, description="Its number in the recipe.")
    regularization: bool = False
    relation: str = Field("", description="In a group of duplicates: how it differs from the file to keep.")
    box: list[float] | None = Field(
        None, description="The part that the finding is about: left, top, right and bottom as shares of the sides."
    )


class Finding(BaseModel):
    number: int
    kind: str
    text: str
    concept: int | None = None
    facts: Plain
    count: int = Field(description="Files behind it.")
    files: list[ReportedFile] = Field(description="The first 12.")


class DuplicateGroup(BaseModel):
    number: int
    kind: str
    text: str
    concept: int | None = None
    kept: bool
    files: list[ReportedFile] = Field(description="The one to keep first.")


class DuplicateCounts(BaseModel):
    groups: int
    exact: int = Field(description="Files that could go.")


class DatasetReport(BaseModel):
    pictures: int
    concepts: list[Plain]
    buckets: list[Plain]
    batch_size: int
    left_over: dict[str, float] = Field(description="Showings left over in an epoch, by batch size.")
    figures: Plain
    histograms: Plain
    tags: list[dict[str, int]] = Field(description="The most frequent tags of each concept, with their counts.")
    showings_per_epoch: float
    steps_per_epoch: int
    copies: DuplicateCounts = Field(description="Duplicates.")
    findings: list[Finding] = Field(description="All but the duplicates.")
    problems: list[str]
    removed: int = Field(description="Files that were removed.")


class ReportResponse(BaseModel):
    id: str
    state: Literal["waiting", "reading", "inspecting", "comparing", "finished", "cancelled", "failed"] = Field(
        description="It reads names and headers, then inspects pixels (`done` of `total`)."
    )
    done: int
    total: int
    message: str
    report: DatasetReport | None = Field(None, description="Null until it is finished.")


class ReportFilesResponse(BaseModel):
    files: list[ReportedFile]
    total: int


class DuplicatesResponse(BaseModel):
    groups: list[DuplicateGroup]
    total: int


class RemoveFilesRequest(BaseModel):
    files: list[int] = Field([], description="Numbers of files in the report.")
    finding: int | None = Field(None, description="All files of a finding, by its number.")
    exact: bool = Field(False, description="All exact duplicates, except the one of each group that is kept.")


class ReportRemoval(BaseModel):
    folder: str
    id: str
    files: list[int]


class RemoveFilesResponse(BaseModel):
    removed: list[ReportRemoval]


class KeepDuplicatesRequest(BaseModel):
    finding: int
    undo: bool = Field(False, description="Report them again.")


class RemovedFile(BaseModel):
    name: str
    picture: str | None = None


class Removal(BaseModel):
    id: str
    time: float
    files: list[RemovedFile]
    count: int


class RemovalsResponse(BaseModel):
    folder: str
    removals: list[Removal] = Field(description="Newest first.")


class RestoreRequest(BaseModel):
    folder: str
    id: str = Field(description="Of the removal.")


class RestoreResponse(BaseModel):
    files: int = Field(description="How many are back in their places.")


def routes(desk: Desk, route_class: type[APIRoute]) -> APIRouter:
    """``datasets/report…``, ``datasets/removed`` and ``datasets/restore``."""
    router = APIRouter(route_class=route_class, tags=TAGS)
    _add_readings(router, desk)
    _add_changes(router, desk)
    return router


def _add_readings(router: APIRouter, desk: Desk) -> None:
    @router.post("/datasets/report", response_model=StartedResponse, summary="Begin a report of a recipe's dataset")
    def start(body: RecipeRequest) -> Response:
        """It is made in the background. The same files and settings get the same report, without a second look."""
        return json_response({"id": desk.datasets.report(body.recipe)})

    @router.get("/datasets/report/{id}", response_model=ReportResponse, summary="Get a report, or how far it is")
    def report(id: str) -> Response:
        """Duplicates have a route of their own."""
        return json_response(desk.reports.get(id).status())

    @router.get(
        "/datasets/report/{id}/files", response_model=ReportFilesResponse, summary="List the files of a finding"
    )
    def files(
        id: str, finding: int, start: int = Query(0, ge=0), count: int = Query(60, ge=1, le=MOST_AT_ONCE)
    ) -> Response:
        """`count` of them from `start` on."""
        return json_response(desk.reports.get(id).files_of(finding, start, count))

    @router.get("/datasets/report/{id}/copies", response_model=DuplicatesResponse, summary="List groups of duplicates")
    def copies(id: str, start: int = Query(0, ge=0), count: int = Query(20, ge=1, le=MOST_AT_ONCE)) -> Response:
        """`count` of them from `start` on."""
        return json_response(desk.reports.get(id).duplicates(start, count))

    @router.post("/datasets/report/{id}/cancel", response_model=OkResponse, summary="Cancel a report")
    def cancel(id: str, body: EmptyRequest) -> Response:
        desk.reports.cancel(id)
        return json_response(OK)


def _add_changes(router: APIRouter, desk: Desk) -> None:
    @router.post(
        "/datasets/report/{id}/remove", response_model=RemoveFilesResponse, summary="Remove files from a dataset"
    )
    def remove(id: str, body: RemoveFilesRequest) -> Response:
        """Files, with their captions and masks, are moved to `.sdft/trash` in their dataset's folder. 409 for a removed
        one.
        """
        files = desk.reports.get(id).exact_duplicates() if body.exact else body.files
        if body.finding is not None:
            files = desk.reports.get(id).removable(body.finding)
        return json_response({"removed": desk.reports.remove(id, files)})

    @router.post("/datasets/report/{id}/keep", response_model=OkResponse, summary="Keep duplicates")
    def keep(id: str, body: KeepDuplicatesRequest) -> Response:
        """No report finds them again, until another duplicate joins them."""
        desk.reports.keep(id, body.finding, body.undo)
        return json_response(OK)

    @router.get(
        "/datasets/removed",
        response_model=RemovalsResponse,
        summary="List what was removed from a dataset",
        openapi_extra=NEEDS_TOKEN,
    )
    def removed(folder: str) -> Response:
        return json_response(desk.datasets.removals(folder))

    @router.post("/datasets/restore", response_model=RestoreResponse, summary="Restore removed files")
    def restore(body: RestoreRequest) -> Response:
        """Nothing moves where a place is taken."""
        return json_response({"files": desk.datasets.restore(body.folder, body.id)})
