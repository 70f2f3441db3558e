"""What a page asks at its start, and while its user changes settings."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.responses import Response

from ..desk import Desk
from ..desk.guide import guide as read_guide
from . import shapes
from .guard import Guard
from .route import TAGS, answered


def routes(desk: Desk, guard: Guard, kind: type[APIRoute]) -> APIRouter:
    """``session``, ``schema``, ``guide``, ``recipe`` and ``calculate``."""
    router = APIRouter(route_class=kind, tags=TAGS)

    @router.get("/session", response_model=shapes.Session, summary="The host, its model, and the page's token")
    def session() -> Response:
        """Asked first. The token goes into the header X-SDFT-Token of every further request."""
        return answered({"token": guard.access.token, **desk.session()})

    @router.get("/schema", response_model=shapes.Schema, summary="Every setting, presets and methods")
    def schema() -> Response:
        """What the page's controls are drawn from: label, help, type and range of each setting, and starting points."""
        return answered(desk.recipes.schema())

    @router.get("/guide", response_model=shapes.Guide, summary="The guide")
    def guide() -> Response:
        """Chapters, and terms with the settings they explain."""
        return answered(read_guide())

    @router.post("/recipe", response_model=shapes.RecipeTold, summary="A recipe as YAML, or read from it")
    def recipe(body: shapes.RecipeText) -> Response:
        """Both forms of one recipe. Starts and keeps nothing."""
        return answered(desk.recipes.both_forms(body.recipe, body.yaml))

    @router.post("/calculate", response_model=shapes.Calculated, summary="What a recipe will do")
    def calculate(body: shapes.RecipeIn) -> Response:
        """Steps, saves, time and memory of a recipe, warnings, and what keeps it from starting. Starts nothing."""
        return answered(desk.recipes.calculate(body.recipe))

    return router
