"""Import settings of other programs."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from starlette.responses import Response

from ..desk import Desk
from .common import Plain
from .route import TAGS, json_response


class ImportedFile(BaseModel):
    name: str
    text: str = Field(description="Its content: TOML or JSON.")


class ImportRequest(BaseModel):
    files: list[ImportedFile] = Field([], description="Uploaded files.")
    paths: list[str] = Field([], description="Files on the server's machine. One or two in all.")


class TakenSetting(BaseModel):
    name: str = Field(description="Its name in the file.")
    value: str = Field(description="Its value there; empty where its default was taken.")
    setting: str = Field(description="The recipe's, by path.")
    becomes: str = Field(description="Its value there.")


class ImportResponse(BaseModel):
    program: str = Field(description="Whose settings they were: `kohya` or `OneTrainer`.")
    recipe: Plain = Field(description="Nested, without a base model and its VAE.")
    yaml: str
    taken: list[TakenSetting]
    left: list[str] = Field(description="A sentence for each setting that differs or was left out, with what to do.")


def routes(desk: Desk, route_class: type[APIRoute]) -> APIRouter:
    """``import``."""
    router = APIRouter(route_class=route_class, tags=TAGS)

    @router.post("/import", response_model=ImportResponse, summary="Import settings of kohya or OneTrainer")
    def import_settings(body: ImportRequest) -> Response:
        """Answers a recipe and a report. Folders that the settings name are counted, where they are allowed. Nothing
        is started or kept.
        """
        return json_response(desk.imports.run([(file.name, file.text) for file in body.files], body.paths))

    return router
