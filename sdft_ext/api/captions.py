"""The captions of a folder: what is there, filters, edits with preview and undo, saving, tags, tokens, import and export."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from starlette.responses import Response

from ..desk import Desk
from ..desk.caption_answers import MOST_SHOWN
from ..desk.caption_statistics import strategies
from ..desk.captions import Selection
from .route import TAGS, answered

Plain = dict[str, Any]


class Folder(BaseModel):
    folder: str
    start: int = Field(0, ge=0, description="The first picture of the answer.")


class Opened(BaseModel):
    folder: str
    opened: str = Field(description="From captions/open.")


class Changing(Opened):
    since: int | None = Field(None, description="The page's revision: what changed after it comes back too.")


class Since(Opened):
    since: int = Field(0, ge=0)


class Which(Opened):
    ids: list[int] | None = None
    filter: Plain | None = None

    @property
    def selection(self) -> Selection:
        return Selection(self.folder, self.opened, self.ids, self.filter)


class PreviewIn(Which):
    edit: Plain
    most: int = Field(20, ge=0, le=MOST_SHOWN)


class EditIn(Which):
    edit: Plain
    preview: str | None = None
    revision: int | None = None
    since: int | None = None


class SaveIn(Which):
    since: int | None = None


class AutosaveIn(Changing):
    on: bool


class ResolveIn(Changing):
    ids: list[int]
    keep: str = Field(description="mine or theirs")


class TagsIn(Which):
    trigger: str = ""
    most: int = Field(500, ge=0, le=20_000)
    order: str = "count"


class TokensIn(Opened):
    id: int | None = None
    text: str | None = Field(None, max_length=200_000)


class CopiesIn(Opened):
    look: bool = False


class ImportIn(Changing):
    format: str
    content: str = ""
    how: str = "replace"
    apply: bool = False
    preview: str | None = None


class ExportIn(Which):
    format: str
    to: str = Field("", description="A folder; empty for a download.")
    replace: bool = False
    resolution: int = Field(512, ge=64, le=8192, description="Of the buckets in meta_lat.")


class Nothing(BaseModel):
    """Nothing to say but the wish itself."""


def routes(desk: Desk, kind: type[APIRoute]) -> APIRouter:
    """``captions/…``; every request is a POST, so that it carries the page's token or a password."""
    router = APIRouter(route_class=kind, tags=TAGS, prefix="/captions")
    _looking(router, desk)
    _changing(router, desk)
    _exchanging(router, desk)
    return router


def _looking(router: APIRouter, desk: Desk) -> None:
    @router.post("/open", summary="Open a folder's captions")
    def open_(body: Folder) -> Response:
        """Every picture with its caption, in pages where they are long."""
        return answered(desk.captions.open(body.folder, body.start))

    @router.post("/state", summary="What has changed since a revision")
    def state(body: Since) -> Response:
        """Looks at the disk too: other programs may have written."""
        return answered(desk.captions.state(body.folder, body.opened, body.since))

    @router.post("/counts", summary="Tokens of captions")
    def counts(body: Which) -> Response:
        """Of some pictures, or of all."""
        return answered({"counts": desk.caption_statistics.counts(Selection(body.folder, body.opened, body.ids))})

    @router.post("/filter", summary="Which pictures pass a filter")
    def filter_(body: Which) -> Response:
        """Ids in the order of names."""
        ids = desk.captions.filter(Selection(body.folder, body.opened, filter=body.filter))
        return answered({"ids": ids, "total": len(ids)})

    @router.post("/tags", summary="The tags of the captions")
    def tags(body: TagsIn) -> Response:
        """How often, where, and whether with the trigger."""
        return answered(desk.caption_statistics.tags(body.selection, body.trigger, body.most, body.order))

    @router.post("/tokens", summary="A caption as the model reads it")
    def tokens(body: TokensIn) -> Response:
        """Of a picture, or of a text that is being written."""
        return answered(desk.caption_statistics.tokens(body.folder, body.opened, body.id, body.text))

    @router.post("/strategies", summary="Ways to caption")
    def told(body: Nothing) -> Response:
        """What each does to training."""
        return answered({"strategies": strategies()})

    @router.post("/copies", summary="Pictures that show the same")
    def copies(body: CopiesIn) -> Response:
        """Looked for in the background; ask again until it is finished."""
        return answered(desk.duplicates.status(desk.captions.get(body.folder, body.opened), body.look))


def _changing(router: APIRouter, desk: Desk) -> None:
    @router.post("/preview", summary="What an edit would change")
    def preview(body: PreviewIn) -> Response:
        """How many captions, which, and the first of them before and after."""
        return answered(desk.captions.preview(body.selection, body.edit, body.most))

    @router.post("/edit", summary="Edit captions")
    def edit(body: EditIn) -> Response:
        """One, some, or all that pass a filter. Files are written when they are saved."""
        told = desk.captions.edit(
            body.selection, body.edit, preview=body.preview, revision=body.revision, since=body.since
        )
        return answered(told)

    @router.post("/undo", summary="Take the last edit back")
    def undo(body: Changing) -> Response:
        """Also one of an earlier session."""
        return answered(desk.captions.step(body.folder, body.opened, True, body.since))

    @router.post("/redo", summary="Do again what was undone")
    def redo(body: Changing) -> Response:
        """Until something else is edited."""
        return answered(desk.captions.step(body.folder, body.opened, False, body.since))

    @router.post("/save", summary="Write changed captions")
    def save(body: SaveIn) -> Response:
        """Only files whose text changes; what another program has changed meanwhile is a conflict."""
        return answered(desk.captions.save(body.selection, body.since))

    @router.post("/autosave", summary="Save every edit at once")
    def autosave(body: AutosaveIn) -> Response:
        """Kept with the folder."""
        return answered(desk.captions.autosave(body.folder, body.opened, body.on, body.since))

    @router.post("/conflicts", summary="Captions that another program has changed too")
    def conflicts(body: Opened) -> Response:
        """With all three texts."""
        return answered({"conflicts": desk.captions.conflicts(body.folder, body.opened)})

    @router.post("/resolve", summary="Settle conflicts")
    def resolve(body: ResolveIn) -> Response:
        """Keep one text; the other comes back with undo."""
        return answered(desk.captions.resolve(body.folder, body.opened, body.ids, body.keep, body.since))


def _exchanging(router: APIRouter, desk: Desk) -> None:
    @router.post("/import", summary="Captions from other programs")
    def import_(body: ImportIn) -> Response:
        """What they would change, or with apply the change."""
        told = desk.caption_exchange.import_(
            Selection(body.folder, body.opened),
            body.format,
            body.content,
            body.how,
            apply=body.apply,
            preview=body.preview,
            since=body.since,
        )
        return answered(told)

    @router.post("/export", summary="Captions for other programs")
    def export(body: ExportIn) -> Response:
        """As a text to download, or into a folder."""
        return answered(
            desk.caption_exchange.export(body.selection, body.format, body.to, body.replace, body.resolution)
        )
