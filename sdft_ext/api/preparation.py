"""Preparing pictures: the plan, crops and masks by hand, and carrying the plan out."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Query
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from starlette.responses import Response

from ..desk import Desk
from ..desk.preparation import MOST_AT_ONCE
from .common import OK, EmptyRequest, OkResponse, Plain, Thumbnail
from .route import NEEDS_TOKEN, TAGS, json_response


class PlanRequest(BaseModel):
    folder: str
    out: str = Field("", description="Where the results go; empty for a new folder beside the originals'.")
    options: Plain = Field({}, description="As above; what is left out has its default.")
    recipe: Plain = Field({}, description="Its dataset settings give the buckets.")
    start: int = Field(0, ge=0)
    count: int = Field(24, ge=0, le=MOST_AT_ONCE)


class Cut(BaseModel):
    x: float
    y: float
    width: float = Field(description="All four as shares of the picture's sides.")
    height: float
    after: list[int] = Field(description="Width and height of the result.")
    target: str = Field(description="Its name below `out`.")


class PlannedPicture(Thumbnail):
    width: int
    height: int
    alpha: bool
    mask: bool
    movable: bool = Field(description="Its crop can be moved by hand.")
    by_hand: bool = Field(description="Its crop was moved by hand.")
    enlarged: float = Field(description="How many times.")
    mirrored: bool
    cuts: list[Cut]
    problem: str


class PlanResponse(BaseModel):
    folder: str
    out: str
    pictures: int = Field(description="Originals.")
    files: int = Field(description="Results.")
    undersized: list[str] = Field(description="Names of pictures that would be enlarged, at most 200.")
    notes: list[str]
    problem: str = Field(description="Why it can't be carried out into this folder; empty where it can.")
    items: list[PlannedPicture] = Field(description="`count` originals from `start` on.")


class Crop(BaseModel):
    x: float = Field(ge=0, le=1, description="Its middle, as shares of the sides.")
    y: float = Field(ge=0, le=1)
    zoom: float = Field(1.0, ge=1, le=8)


class MoveCropRequest(BaseModel):
    folder: str
    name: str
    crop: Crop | None = Field(None, description="Null forgets it.")


class PreparationResponse(BaseModel):
    state: Literal["idle", "preparing", "finished", "cancelled", "failed"]
    done: int
    total: int
    message: str
    folder: str
    out: str
    written: int
    skipped: int = Field(description="Files that were there already, the same.")
    problems: list[str] = Field(
        description="A sentence about each picture left out, and each file that was changed by hand and is kept."
    )


class MaskResponse(BaseModel):
    name: str
    picture: str = Field(description="Path of its thumbnail below `/sdft/v1/`.")
    mask: str = Field(description="A PNG's data URL; empty where there is no mask. White is trained.")
    version: str
    width: int = Field(description="Of the mask: at most 1,024 pixels a side.")
    height: int
    alpha: bool = Field(description="Whether the picture is transparent.")


class SaveMaskRequest(BaseModel):
    folder: str
    name: str
    mask: str | None = Field(None, description="A PNG's data URL of that size; null removes the mask.")
    before: str = Field("", description="The version that was painted on.")


class SavedMaskResponse(BaseModel):
    version: str


def routes(desk: Desk, route_class: type[APIRoute]) -> APIRouter:
    """Everything below ``preparation``."""
    router = APIRouter(prefix="/preparation", route_class=route_class, tags=TAGS)
    preparation = desk.preparation

    @router.post("/plan", response_model=PlanResponse, summary="Plan a preparation")
    def plan(body: PlanRequest) -> Response:
        """What would be done; nothing is written."""
        return json_response(preparation.plan(body.folder, body.out, body.options, body.recipe, body.start, body.count))

    @router.post("/crop", response_model=OkResponse, summary="Move a picture's crop by hand")
    def crop(body: MoveCropRequest) -> Response:
        """It is stored in the folder's `.sdft/crops.json`."""
        moved: dict[str, Any] | None = None
        if body.crop is not None:
            moved = {"x": body.crop.x, "y": body.crop.y, "zoom": body.crop.zoom}
        preparation.move(body.folder, body.name, moved)
        return json_response(OK)

    @router.post("", response_model=PreparationResponse, summary="Carry out a plan")
    def start(body: PlanRequest) -> Response:
        """In the background, one at a time (409). Files that are there already are left as they are."""
        return json_response(preparation.start(body.folder, body.out, body.options, body.recipe))

    @router.get("", response_model=PreparationResponse, summary="Get how far it is", openapi_extra=NEEDS_TOKEN)
    def status() -> Response:
        return json_response(preparation.status())

    @router.post("/cancel", response_model=OkResponse, summary="Cancel it")
    def cancel(body: EmptyRequest) -> Response:
        """What is written stays, each file whole; the same preparation goes on from there."""
        preparation.cancel()
        return json_response(OK)

    @router.get(
        "/mask",
        response_model=MaskResponse,
        summary="Get a picture's mask, to be painted on",
        openapi_extra=NEEDS_TOKEN,
    )
    def mask(
        folder: str,
        name: str,
        alpha: bool = Query(False, description="Its transparency as the mask."),
    ) -> Response:
        return json_response(preparation.mask(folder, name, alpha))

    @router.post("/mask", response_model=SavedMaskResponse, summary="Save a painted mask")
    def save_mask(body: SaveMaskRequest) -> Response:
        """Written beside the picture as `NAME-mask.png`, at the picture's size. A former mask is kept in `.sdft/masks`
        of the folder that the picture lies in, which may be one below `folder`. 409 where the mask has changed
        since.
        """
        return json_response({"version": preparation.save_mask(body.folder, body.name, body.mask, body.before)})

    return router
