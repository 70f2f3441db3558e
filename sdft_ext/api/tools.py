"""Tools for finished files: what there is, begin one, watch and stop it, and look into a file."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from ..desk import Desk
from . import shapes
from .guard import Guard
from .route import TAGS, answered

OK = {"ok": True}


class FileTold(BaseModel):
    path: str
    name: str
    group: str
    kind: str = Field(description="checkpoint, lora or other")
    bytes: int


class ToolsTold(BaseModel):
    tools: list[shapes.Plain]
    files: list[FileTold]
    places: dict[str, str] = Field(description="Where a checkpoint, a lora and a (diffusers) folder go.")


class ToolIn(BaseModel):
    tool: str
    name: str = Field(description="Of the result, without its ending.")
    settings: shapes.Plain = Field(default_factory=dict, description="By the names of the tool's fields.")


class LookIn(BaseModel):
    tool: str = Field(description="metadata or scan")
    settings: shapes.Plain = Field(default_factory=dict)


class Titled(BaseModel):
    checkpoint: str


class ToolTold(BaseModel):
    tool: str
    label: str
    makes: str = Field(description="checkpoint, lora or folder")
    target: str
    state: str = Field(description="idle, working, finished, stopped or failed")
    done: int
    total: int
    seconds_left: float
    message: str
    began: float


def routes(desk: Desk, guard: Guard, kind: type[APIRoute]) -> APIRouter:
    """Everything below ``tools``."""
    router, work = APIRouter(prefix="/tools", route_class=kind, tags=TAGS), desk.tools

    @router.get("", response_model=ToolsTold, summary="Tools, and files to choose from")
    def every(request: Request) -> Response:
        """What each tool asks for, the models that are known here, and where results go. Needs the token."""
        guard.need_token(request)
        return answered(work.catalog())

    @router.get("/job", response_model=ToolTold, summary="How far a tool is")
    def job(request: Request) -> Response:
        """The one that works, or the last one. Needs the token."""
        guard.need_token(request)
        return answered(work.status())

    @router.post("", response_model=shapes.Ok, summary="Let a tool make a file")
    def start(body: ToolIn) -> Response:
        """In the background, one at a time (409), also while a run trains. Nothing is written over."""
        work.start(body.tool, body.name, body.settings)
        return answered(OK)

    @router.post("/checkpoint", response_model=Titled, summary="How the host calls the checkpoint that was made last")
    def checkpoint(body: shapes.Empty) -> Response:
        """What the page chooses there. 409 where there is none."""
        return answered({"checkpoint": work.checkpoint()})

    @router.post("/stop", response_model=shapes.Ok, summary="End a tool early")
    def stop(body: shapes.Empty) -> Response:
        """The half file is taken away."""
        work.stop()
        return answered(OK)

    @router.post("/look", summary="What a tool sees that makes no file")
    def look(body: LookIn) -> Response:
        """``metadata``: facts and metadata of a .safetensors file; ``scan``: what a pickle would import. Nothing is run."""
        return answered(work.look(body.tool, body.settings))

    return router
