"""Presets that users save under a name."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from starlette.responses import Response

from ..desk import Desk
from .common import OK, EmptyRequest, OkResponse, Plain
from .route import TAGS, json_response


class OwnPreset(BaseModel):
    name: str
    settings: Plain = Field(description="Values by path: all but files, folders, and what belongs to one concept.")


class PresetsResponse(BaseModel):
    presets: list[OwnPreset] = Field(description="By name.")
    problems: list[str] = Field(description="A sentence for each file that can't be read.")


class SavePresetRequest(BaseModel):
    name: str = Field(description="Also its file's.")
    recipe: Plain = Field(description="Nested; what is left out has its default.")
    replace: bool = Field(False, description="Replace the preset that has this name.")


def routes(desk: Desk, route_class: type[APIRoute]) -> APIRouter:
    """Everything below ``presets``."""
    router = APIRouter(route_class=route_class, tags=TAGS)

    @router.get("/presets", response_model=PresetsResponse, summary="List the presets that were saved")
    def presets() -> Response:
        """Those that come with the program are in `schema`."""
        return json_response(desk.presets.all())

    @router.post("/presets", response_model=OkResponse, summary="Save a recipe's settings as a preset")
    def save(body: SavePresetRequest) -> Response:
        """As `presets/NAME.yaml` in the runs' folder. 409 where there is one of this name, unless `replace` is true."""
        desk.presets.save(body.name, body.recipe, body.replace)
        return json_response(OK)

    @router.post("/presets/{name}/trash", response_model=OkResponse, summary="Delete a preset")
    def delete(name: str, body: EmptyRequest) -> Response:
        """Its file moves to `trash` in the runs' folder."""
        desk.presets.delete(name)
        return json_response(OK)

    return router
