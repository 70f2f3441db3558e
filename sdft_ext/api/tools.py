"""Tools for finished files: list them, start one, watch and stop it, and look into a file."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from starlette.responses import Response

from ..desk import Desk
from .common import OK, EmptyRequest, OkResponse, Plain
from .route import NEEDS_TOKEN, TAGS, json_response


class ToolField(BaseModel):
    name: str
    label: str
    kind: str = Field(
        description="A file: `checkpoint`, `lora`, `loras`, `any` or `pickle`; a value: `rank`, `error`, `choice` or "
        "`switch`."
    )
    help: str
    default: Any = None
    choices: list[list[str]] = Field(description="Each a value and its label.")
    when: list[str] | None = Field(None, description="Another field and the value with which this one counts.")


class ToolInformation(BaseModel):
    name: str
    label: str
    help: str
    fields: list[ToolField]
    makes: str | None = Field(None, description="`checkpoint` or `lora`; null for a tool that only looks.")
    ending: str = Field(description="What a suggested name ends with.")


class ListedFile(BaseModel):
    path: str
    name: str
    group: str
    kind: str = Field(description="`checkpoint`, `lora` or `other`.")
    bytes: int


class ToolsResponse(BaseModel):
    tools: list[ToolInformation]
    files: list[ListedFile] = Field(
        description="To choose from: saves of runs, what tools have made, the host's models."
    )
    places: dict[str, str] = Field(description="Where a `checkpoint`, a `lora` and a (diffusers) `folder` go.")


class ToolRequest(BaseModel):
    tool: str
    name: str = Field(description="Of the result, without its ending.")
    settings: Plain = Field(
        {},
        description="By the names of the tool's fields. A file is a path: one that is listed, or that may be named "
        "as folders may; "
        "`loras` is [{`file`, `weight`}].",
    )


class ToolJobResponse(BaseModel):
    tool: str
    label: str
    makes: str = Field(description="`checkpoint`, `lora` or `folder`.")
    target: str = Field(description="A path.")
    state: Literal["idle", "working", "finished", "stopped", "failed"]
    done: int
    total: int
    seconds_left: float
    message: str = Field(description="What came of it.")
    began: float


class MadeCheckpointResponse(BaseModel):
    checkpoint: str = Field(description="Its title in the host's list.")


class LookRequest(BaseModel):
    tool: str = Field(description="`metadata` or `scan`.")
    settings: Plain = Field({}, description="{`file`}.")


class NamedValue(BaseModel):
    name: str
    value: str


class Import(BaseModel):
    name: str
    verdict: str = Field(description="`tensors`, `harmless`, `suspicious` or `dangerous`.")


class LookResponse(BaseModel):
    file: str
    facts: list[NamedValue] = Field([], description="From `metadata`.")
    metadata: list[NamedValue] = Field([], description="From `metadata`.")
    imports: list[Import] = Field([], description="From `scan`: what a pickle would import.")
    tensors: int = Field(0, description="From `scan`.")
    verdict: str = Field("", description="From `scan`: `harmless`, `suspicious`, `damaged` or `dangerous`.")
    message: str = Field("", description="From `scan`.")


def routes(desk: Desk, route_class: type[APIRoute]) -> APIRouter:
    """Everything below ``tools``."""
    router, work = APIRouter(prefix="/tools", route_class=route_class, tags=TAGS), desk.tools

    @router.get(
        "", response_model=ToolsResponse, summary="List tools, and files to choose from", openapi_extra=NEEDS_TOKEN
    )
    def every() -> Response:
        return json_response(work.catalog())

    @router.get("/job", response_model=ToolJobResponse, summary="Get how far a tool is", openapi_extra=NEEDS_TOKEN)
    def job() -> Response:
        """The one that works, or the last one."""
        return json_response(work.status())

    @router.post("", response_model=OkResponse, summary="Make a file with a tool")
    def start(body: ToolRequest) -> Response:
        """In the background, one at a time (409), also while a run trains. Nothing is overwritten: 400 where the name
        is taken.
        """
        work.start(body.tool, body.name, body.settings)
        return json_response(OK)

    @router.post("/checkpoint", response_model=MadeCheckpointResponse, summary="Name the checkpoint that was made last")
    def checkpoint(body: EmptyRequest) -> Response:
        """What the page selects in the host. 409 where there is none, or no txt2img."""
        return json_response({"checkpoint": work.checkpoint()})

    @router.post("/stop", response_model=OkResponse, summary="Stop a tool")
    def stop(body: EmptyRequest) -> Response:
        """The half-written file is removed."""
        work.stop()
        return json_response(OK)

    @router.post("/look", response_model=LookResponse, summary="Inspect a file")
    def look(body: LookRequest) -> Response:
        """`metadata`: facts and metadata of a .safetensors file; `scan`: what a pickle would import. Nothing in the
        file is run.
        """
        return json_response(work.inspect(body.tool, body.settings))

    return router
