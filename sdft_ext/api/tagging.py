"""Automatic captions: the taggers, a look at pictures, what the captions would become, and the edit."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from starlette.responses import Response

from ..desk import Desk
from ..desk.captions import Selection
from .caption_models import EditResponse, PreviewResponse
from .common import OK, EmptyRequest, OkResponse, StartedResponse
from .route import TAGS, json_response

CHOICE = ("threshold", "character_threshold", "blacklist", "prefix", "spaces", "escape", "rating")


class TaggerInformation(BaseModel):
    id: str
    label: str
    sentences: bool = Field(description="It writes sentences, not tags.")
    why: str = Field(description="What is missing, and where to put it; empty where it can be used.")


class TaggersResponse(BaseModel):
    taggers: list[TaggerInformation]
    folder: str = Field(
        description="Where WD14 taggers are put: a folder each, with `model.onnx` and `selected_tags.csv`."
    )
    help: str


class TaggingRequest(BaseModel):
    tagger: str = Field(description="Its id.")
    folder: str
    opened: str = Field(description="From captions/open.")
    ids: list[int] | None = Field(None, description="Of pictures; with a filter, those of them that pass.")
    filter: Any = Field(None, description="A tree, as for captions.")


class TaggingResponse(BaseModel):
    id: str
    tagger: str
    state: Literal["tagging", "finished", "stopped", "failed"]
    done: int
    total: int
    seconds_left: float
    message: str
    unreadable: list[str] = Field(description="A sentence about each picture that can't be read.")


class TagCaptionsRequest(BaseModel):
    how: str = Field(
        "append",
        description="`append` (what the caption lacks), `front`, `replace`, or `empty` (only captions that are empty).",
    )
    threshold: float = 0.35
    character_threshold: float = 0.85
    blacklist: str = Field("", description="Tags to leave out, separated by commas or lines.")
    prefix: str = ""
    spaces: bool = Field(True, description="Underscores become spaces.")
    escape: bool = Field(False, description="Brackets get a backslash.")
    rating: bool = Field(False, description="Add the rating.")
    most: int = Field(20, ge=0, le=200, description="Captions that a preview shows.")
    preview: str | None = Field(None, description="The token of a preview.")
    since: int | None = Field(None, description="The page's revision: what changed after it comes back, too.")


def routes(desk: Desk, route_class: type[APIRoute]) -> APIRouter:
    """Everything below ``taggers``."""
    router, work = APIRouter(route_class=route_class, tags=TAGS), desk.tagging

    @router.get("/taggers", response_model=TaggersResponse, summary="List the taggers, and what they lack")
    def taggers() -> Response:
        """Nothing is downloaded."""
        return json_response(work.taggers())

    @router.post("/taggers", response_model=StartedResponse, summary="Let a tagger look at pictures")
    def start(body: TaggingRequest) -> Response:
        """Of a folder whose captions are open: a selection, or what a filter lets through. It works in the background,
        one at a time (409), and changes nothing yet. 400 where the tagger lacks something.
        """
        selection = Selection(body.folder, body.opened, body.ids, body.filter)
        return json_response({"id": work.start(body.tagger, selection)})

    @router.get("/taggers/{id}", response_model=TaggingResponse, summary="Get how far a tagger is")
    def one(id: str) -> Response:
        """Cheap; it may be asked every second."""
        return json_response(work.status(id))

    @router.post("/taggers/{id}/stop", response_model=OkResponse, summary="Stop a tagger")
    def stop(id: str, body: EmptyRequest) -> Response:
        """What it has seen so far can be used."""
        work.stop(id)
        return json_response(OK)

    @router.post("/taggers/{id}/preview", response_model=PreviewResponse, summary="Preview the captions")
    def preview(id: str, body: TagCaptionsRequest) -> Response:
        """Settings can be changed as often as you like: no picture is tagged again."""
        return json_response(work.preview(id, _choice(body), body.how, body.most))

    @router.post("/taggers/{id}/apply", response_model=EditResponse, summary="Apply the captions")
    def apply(id: str, body: TagCaptionsRequest) -> Response:
        """One edit, which can be undone. 409 where captions have changed since the preview."""
        return json_response(work.apply(id, _choice(body), body.how, body.preview, body.since))

    return router


def _choice(body: TagCaptionsRequest) -> dict[str, Any]:
    return {name: getattr(body, name) for name in CHOICE}
