"""Preparing pictures: the plan, crops and masks by hand, and the doing of it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from ..desk import Desk
from ..desk.preparation import MOST_AT_ONCE
from . import shapes
from .guard import Guard
from .route import TAGS, answered

OK = {"ok": True}


class PlanIn(BaseModel):
    folder: str
    out: str = Field("", description="Where the results go; empty: a new folder beside the originals'.")
    options: shapes.Plain = Field(
        default_factory=dict, description="As in preparation/options.py; the rest has its defaults."
    )
    recipe: shapes.Plain = Field(default_factory=dict, description="Its dataset settings give the buckets.")
    start: int = Field(0, ge=0)
    count: int = Field(24, ge=0, le=MOST_AT_ONCE)


class PlanTold(BaseModel):
    folder: str
    out: str
    pictures: int
    files: int
    undersized: list[str]
    notes: list[str]
    problem: str = Field(description="Why it can't be carried out into this folder; empty where it can.")
    items: list[shapes.Plain]


class CropIn(BaseModel):
    x: float = Field(ge=0, le=1)
    y: float = Field(ge=0, le=1)
    zoom: float = Field(1.0, ge=1, le=8)


class MoveIn(BaseModel):
    folder: str
    name: str
    crop: CropIn | None = Field(None, description="The middle of the crop, as shares of the sides; null: as before.")


class JobTold(BaseModel):
    state: str = Field(description="idle, preparing, finished, cancelled or failed")
    done: int
    total: int
    message: str
    folder: str
    out: str
    written: int
    skipped: int
    problems: list[str]


class MaskTold(BaseModel):
    name: str
    picture: str
    mask: str = Field(description="A PNG's data URL, or empty where there is no mask.")
    version: str
    width: int
    height: int
    alpha: bool


class MaskIn(BaseModel):
    folder: str
    name: str
    mask: str | None = Field(
        None, description="A PNG's data URL of the size that GET gave; white trains. Null: no mask."
    )
    before: str = Field("", description="The version that was painted over.")


class MaskKept(BaseModel):
    version: str


def routes(desk: Desk, guard: Guard, kind: type[APIRoute]) -> APIRouter:
    """Everything below ``preparation``."""
    router = APIRouter(prefix="/preparation", route_class=kind, tags=TAGS)
    preparation = desk.preparation

    @router.post("/plan", response_model=PlanTold, summary="What would be done")
    def plan(body: PlanIn) -> Response:
        """Figures, and ``count`` originals from ``start`` on, each with the parts that would be cut out of it."""
        return answered(preparation.plan(body.folder, body.out, body.options, body.recipe, body.start, body.count))

    @router.post("/crop", response_model=shapes.Ok, summary="Put a picture's crop somewhere by hand")
    def crop(body: MoveIn) -> Response:
        """It is remembered in the dataset's folder."""
        wanted: dict[str, Any] | None = None
        if body.crop is not None:
            wanted = {"x": body.crop.x, "y": body.crop.y, "zoom": body.crop.zoom}
        preparation.move(body.folder, body.name, wanted)
        return answered(OK)

    @router.post("", response_model=JobTold, summary="Carry out a plan")
    def start(body: PlanIn) -> Response:
        """One at a time; what is there already is left as it is."""
        return answered(preparation.start(body.folder, body.out, body.options, body.recipe))

    @router.get("", response_model=JobTold, summary="How far it is")
    def status(request: Request) -> Response:
        """Needs the token."""
        guard.need_token(request)
        return answered(preparation.status())

    @router.post("/cancel", response_model=shapes.Ok, summary="End it early")
    def cancel(body: shapes.Empty) -> Response:
        """What is written stays, and the same preparation goes on from there."""
        preparation.cancel()
        return answered(OK)

    @router.get("/mask", response_model=MaskTold, summary="A picture's mask, to be painted on")
    def mask(request: Request, folder: str, name: str, alpha: bool = False) -> Response:
        """With ``alpha`` the picture's transparency as a mask. Needs the token."""
        guard.need_token(request)
        return answered(preparation.mask(folder, name, alpha))

    @router.post("/mask", response_model=MaskKept, summary="Store a painted mask")
    def save_mask(body: MaskIn) -> Response:
        """Beside the picture, as NAME-mask.png; a former mask is kept. 409 where it was changed meanwhile."""
        return answered({"version": preparation.save_mask(body.folder, body.name, body.mask, body.before)})

    return router
