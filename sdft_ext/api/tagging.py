"""Automatic captions: which taggers there are, a look at pictures, what the captions would become, and the edit."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.responses import Response

from ..desk import Desk
from ..desk.captions import Selection
from . import shapes
from .route import TAGS, answered

CHOICE = ("threshold", "character_threshold", "blacklist", "prefix", "spaces", "escape", "rating")


def routes(desk: Desk, kind: type[APIRoute]) -> APIRouter:
    """Everything below ``taggers``."""
    router, work = APIRouter(route_class=kind, tags=TAGS), desk.tagging

    @router.get("/taggers", response_model=shapes.Taggers, summary="Taggers, and what they lack")
    def taggers() -> Response:
        """``why`` is empty where one can be used."""
        return answered(work.taggers())

    @router.post("/taggers", response_model=shapes.Started, summary="Let a tagger look at pictures")
    def start(body: shapes.TaggerIn) -> Response:
        """Of a folder whose captions are open: a selection, or what a filter lets through. Changes nothing yet."""
        return answered({"id": work.start(body.tagger, Selection(body.folder, body.opened, body.ids, body.filter))})

    @router.get("/taggers/{id}", response_model=shapes.TaggerTold, summary="How far a tagger is")
    def one(id: str) -> Response:
        """Cheap; for asking every second."""
        return answered(work.status(id))

    @router.post("/taggers/{id}/stop", response_model=shapes.Ok, summary="End a look")
    def stop(id: str, body: shapes.Empty) -> Response:
        """What was seen so far can be used."""
        work.stop(id)
        return answered({"ok": True})

    @router.post("/taggers/{id}/preview", summary="What the captions would become")
    def preview(id: str, body: shapes.TaggedIn) -> Response:
        """With other words as often as wanted: nothing is looked at again."""
        return answered(work.preview(id, _choice(body), body.how, body.most))

    @router.post("/taggers/{id}/apply", summary="Put the captions in")
    def apply(id: str, body: shapes.TaggedIn) -> Response:
        """One edit, which can be undone; 409 where captions have changed since the preview."""
        return answered(work.apply(id, _choice(body), body.how, body.preview, body.since))

    return router


def _choice(body: shapes.TaggedIn) -> dict[str, Any]:
    return {name: getattr(body, name) for name in CHOICE}
