"""Regularization pictures: the samplers, and jobs that are started, watched, paused and stopped."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Query
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from starlette.responses import Response

from ..desk import Desk
from .common import OK, EmptyRequest, NameResponse, OkResponse, Plain, Thumbnail
from .route import NEEDS_TOKEN, TAGS, json_response


class RegularizationRequest(BaseModel):
    prompts: list[str] = Field(description="Class prompts, such as a dog; the pictures take them in turn.")
    folder: str = Field("", description="Where the pictures go; empty for a folder of their own beside the runs.")
    count: int = 200
    seed: int = Field(1, description="Picture n has seed + n.")
    sampler: str
    negative: str = ""
    steps: int = 20
    guidance: float = 7.0
    width: int = 512
    height: int = 512
    clip_skip: int = Field(1, ge=1, le=12)
    at_once: int = Field(1, description="Pictures in one turn.")
    drop_duplicates: bool = True


class RegularizationResponse(BaseModel):
    name: str
    folder: str
    wanted: Plain = Field(description="Its settings.")
    state: Literal["waiting", "drawing", "paused", "finished", "stopped", "failed"] = Field(
        description="`paused` with a message: another model is loaded; the job waits for its own."
    )
    done: int
    total: int
    seconds_left: float
    message: str
    started: float
    newest: list[Thumbnail] = Field(description="At most 8.")


class RegularizationsResponse(BaseModel):
    samplers: list[str]
    jobs: list[RegularizationResponse] = Field(description="Newest first.")


def routes(desk: Desk, route_class: type[APIRoute]) -> APIRouter:
    """Everything below ``regularization``."""
    router, work = APIRouter(route_class=route_class, tags=TAGS), desk.regularization

    @router.get(
        "/regularization",
        response_model=RegularizationsResponse,
        summary="List samplers and jobs",
        openapi_extra=NEEDS_TOKEN,
    )
    def every(folder: str = Query("", description="Only jobs that draw into this folder.")) -> Response:
        return json_response(work.list(folder))

    @router.post("/regularization", response_model=NameResponse, summary="Draw regularization pictures")
    def start(body: RegularizationRequest) -> Response:
        """Queued like a run. The same settings in the same folder are the same job: a larger `count` draws what is
        missing. 409 while it waits or draws.
        """
        values: dict[str, Any] = dict(body)
        return json_response({"name": work.start(values, values.pop("folder"))})

    @router.get("/regularization/{name}", response_model=RegularizationResponse, summary="Get a job")
    def one(name: str) -> Response:
        """How far it is, and its newest pictures."""
        return json_response(work.one(name))

    @router.post("/regularization/{name}/pause", response_model=OkResponse, summary="Pause a job")
    def pause(name: str, body: EmptyRequest) -> Response:
        """After the picture that is being drawn."""
        work.pause(name)
        return json_response(OK)

    @router.post("/regularization/{name}/resume", response_model=OkResponse, summary="Resume a job")
    def resume(name: str, body: EmptyRequest) -> Response:
        """A paused one goes on at once; one that was stopped or killed, or has failed, is queued."""
        work.resume(name)
        return json_response(OK)

    @router.post("/regularization/{name}/stop", response_model=OkResponse, summary="Stop a job")
    def stop(name: str, body: EmptyRequest) -> Response:
        """After the picture that is being drawn; a waiting one leaves the queue."""
        work.stop(name)
        return json_response(OK)

    return router
