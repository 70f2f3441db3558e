"""The captions of a folder: what is there, filters, edits with preview and undo, saving, tags, tokens, import and export."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from starlette.responses import Response

from ..desk import Desk
from ..desk.caption_answers import MOST_SHOWN
from ..desk.caption_statistics import strategies as read_strategies
from ..desk.captions import Selection
from .common import EmptyRequest, Plain, Thumbnail
from .route import TAGS, json_response


class OpenRequest(BaseModel):
    folder: str
    start: int = Field(0, ge=0, description="The first picture of the answer.")


class OpenedRequest(BaseModel):
    folder: str
    opened: str = Field(description="From captions/open.")


class ChangeRequest(OpenedRequest):
    since: int | None = Field(None, description="The page's revision: what changed after it comes back, too.")


class StateRequest(OpenedRequest):
    since: int = Field(0, ge=0, description="A revision.")


class SelectionRequest(OpenedRequest):
    ids: list[int] | None = None
    filter: Plain | None = None

    @property
    def selection(self) -> Selection:
        return Selection(self.folder, self.opened, self.ids, self.filter)


class PreviewRequest(SelectionRequest):
    edit: Plain
    most: int = Field(20, ge=0, le=MOST_SHOWN, description="Captions that are shown.")


class EditRequest(SelectionRequest):
    edit: Plain
    preview: str | None = Field(None, description="The token of a preview.")
    revision: int | None = Field(None, description="Of the one picture that is edited.")
    since: int | None = None


class SaveRequest(SelectionRequest):
    since: int | None = None


class AutosaveRequest(ChangeRequest):
    on: bool


class ResolveRequest(ChangeRequest):
    ids: list[int]
    keep: str = Field(description="`mine` or `theirs`.")


class TagsRequest(SelectionRequest):
    trigger: str = ""
    most: int = Field(500, ge=0, le=20_000)
    order: str = Field("count", description="`count`, `tag` or `position`.")


class TokensRequest(OpenedRequest):
    id: int | None = Field(None, description="Of a picture.")
    text: str | None = Field(None, max_length=200_000, description="Instead of a picture's caption.")


class DuplicatesRequest(OpenedRequest):
    look: bool = Field(False, description="Start the search, or search again where pictures have changed.")


class ImportRequest(ChangeRequest):
    format: str
    content: str = Field("", description="The file's text; empty for formats with a file beside each picture.")
    how: str = Field(
        "replace", description="`replace`, `append`, `prepend`, or `empty` (only where there is no caption)."
    )
    apply: bool = False
    preview: str | None = Field(None, description="The token of a preview.")


class ExportRequest(SelectionRequest):
    format: str
    to: str = Field("", description="A folder; empty for a download.")
    replace: bool = Field(False, description="Overwrite files with other content.")
    resolution: int = Field(512, ge=64, le=8192, description="Of the buckets in meta_lat.")


class CaptionedPicture(Thumbnail):
    """A picture and its caption."""

    id: int = Field(description="For as long as `opened` is valid.")
    name: str = Field(description="Path below the folder.")
    picture: str = Field(description="Path of its thumbnail below `/sdft/v1/`; it changes with the picture.")
    width: int
    height: int
    caption: str = Field(description="As it is now; lines end with `\\n`.")
    tokens: int | None = Field(None, description="Null where they haven't been counted yet.")
    concept: str = Field(description="The sub-folder that it lies in; empty for the folder itself.")
    source: Literal["txt", "caption", "folder", "name", "none"] = Field(
        description="A file, or the name of the folder or the picture; an edit makes a `.txt`."
    )
    state: Literal["saved", "changed", "conflict", "locked"] = Field(
        description="`changed` is not written yet; the file of a `locked` one can't be edited (a problem says why)."
    )
    revision: int = Field(description="Grows with every change of the picture.")


class CaptionHistory(BaseModel):
    undo: str | None = Field(None, description="What would be undone, such as `rename a tag in 7 captions`.")
    redo: str | None = None
    unsaved: int
    conflicts: int
    autosave: bool
    writable: bool = Field(description="False where edits are refused.")
    why: str = Field(description="A sentence where they are.")


class ConceptCount(BaseModel):
    concept: str
    pictures: int


class OpenResponse(BaseModel):
    opened: str
    folder: str
    total: int
    pictures: list[CaptionedPicture] = Field(description="In the order of names: all, or as many as 4 MB hold.")
    next: int | None = Field(None, description="`start` of the following request.")
    concepts: list[ConceptCount]
    problems: list[str]
    revision: int
    history: CaptionHistory
    trigger: str = Field(description="A guess, from what all captions begin with; may be empty.")


class ChangedResponse(BaseModel):
    """What has changed."""

    changed: list[CaptionedPicture]
    gone: list[int] = Field(description="Ids of pictures that no longer exist.")
    revision: int = Field(description="Of the set.")
    history: CaptionHistory


class CountsResponse(BaseModel):
    counts: list[list[int]] = Field(description="Each an id and its tokens.")


class FilterResponse(BaseModel):
    ids: list[int] = Field(description="In the order of names.")
    total: int


class TagCount(BaseModel):
    tag: str
    count: int
    share: float = Field(description="Of the captions, 0–1.")
    position: float = Field(description="Its mean place; 1 is the first.")
    with_trigger: float | None = Field(None, description="The share of its captions that hold the trigger.")
    fused: bool = Field(description="It is in all captions, and learned with the concept.")
    variants: list[str] = Field(description="Other spellings.")


class TagsResponse(BaseModel):
    captions: int = Field(description="How many aren't empty.")
    total: int = Field(description="Different tags.")
    tags: list[TagCount]
    text: str = Field(description="A sentence on the fused ones.")


class Token(BaseModel):
    text: str
    part: int
    word_end: bool


class CaptionPart(BaseModel):
    text: str
    tokens: int
    share: float
    chunk: int = Field(description="Where it begins.")


class TokensResponse(BaseModel):
    count: int
    chunks: list[list[Token]]
    parts: list[CaptionPart] = Field(description="Separated by commas; a comma counts with the part before it.")
    cut: str = Field(description="Text that a trainer which reads 75 tokens would leave out; may be empty.")
    strategy: Literal["trigger", "tags", "sentence"]
    advice: list[str]


class CaptionStrategy(BaseModel):
    name: str
    label: str
    text: str = Field(description="What it does to training.")


class StrategiesResponse(BaseModel):
    strategies: list[CaptionStrategy]


class DuplicateSearchResponse(BaseModel):
    state: Literal["none", "looking", "finished", "failed"]
    done: int
    total: int
    groups: list[list[int]] = Field(description="Ids.")
    message: str


class CaptionChange(BaseModel):
    id: int
    before: str
    after: str


class PreviewResponse(BaseModel):
    """What an edit would change."""

    preview: str = Field(description="A token.")
    count: int = Field(description="Captions that change.")
    of: int = Field(description="Captions that were asked about.")
    ids: list[int] = Field(description="Those that change.")
    shown: list[CaptionChange] = Field(description="The first `most`.")
    notes: list[str] = Field(description="Such as captions that stay as they are because they would become too long.")


class EditResponse(ChangedResponse):
    """What an edit has changed."""

    count: int
    notes: list[str]


class StepResponse(EditResponse):
    done: str = Field(description="What was undone or redone.")


class FailedCaption(BaseModel):
    id: int
    text: str


class SaveResponse(ChangedResponse):
    saved: int
    conflicts: list[int] = Field(description="Ids.")
    failed: list[FailedCaption]
    notes: list[str]


class CaptionConflict(BaseModel):
    id: int
    name: str
    before: str | None = Field(None, description="The text that both started from.")
    mine: str
    theirs: str | None = Field(None, description="The text on disk; null where the file was deleted.")


class ConflictsResponse(BaseModel):
    conflicts: list[CaptionConflict]


class ImportResponse(BaseModel):
    """As a preview, or with ``apply`` as an edit."""

    unmatched: int = Field(description="Names that no picture has.")
    unmatched_names: list[str] = Field(description="The first 20.")


class ExportResponse(BaseModel):
    name: str = Field("", description="Of a download.")
    content: str = Field("", description="Of a download.")
    count: int = Field(0, description="Captions in a download.")
    written: int = Field(0, description="Files in a folder.")
    left: list[str] = Field([], description="Names of files that are there with other content.")
    notes: list[str]


def routes(desk: Desk, route_class: type[APIRoute]) -> APIRouter:
    """``captions/…``; every request is a POST, so that it carries the page's token or a password."""
    router = APIRouter(route_class=route_class, tags=TAGS, prefix="/captions")
    _add_views(router, desk)
    _add_statistics(router, desk)
    _add_edits(router, desk)
    _add_saving(router, desk)
    _add_exchange(router, desk)
    return router


def _add_views(router: APIRouter, desk: Desk) -> None:
    @router.post("/open", response_model=OpenResponse, summary="Open a folder's captions")
    def open_(body: OpenRequest) -> Response:
        """Every picture with its caption."""
        return json_response(desk.captions.open(body.folder, body.start))

    @router.post("/state", response_model=ChangedResponse, summary="Get what has changed since a revision")
    def state(body: StateRequest) -> Response:
        """Looks at the disk, too: what other programs wrote comes as changed pictures (`saved`, or `conflict` where it was
        edited here). 20 ms at 5,000 pictures: ask every few seconds, and when the window gets the focus."""
        return json_response(desk.captions.state(body.folder, body.opened, body.since))

    @router.post("/filter", response_model=FilterResponse, summary="List the pictures that pass a filter")
    def filter_(body: SelectionRequest) -> Response:
        """`ids` doesn't count here."""
        ids = desk.captions.filter(Selection(body.folder, body.opened, filter=body.filter))
        return json_response({"ids": ids, "total": len(ids)})

    @router.post("/copies", response_model=DuplicateSearchResponse, summary="Search for duplicates")
    def copies(body: DuplicatesRequest) -> Response:
        """In the background; ask again until it is finished. The filter `copies` needs it."""
        return json_response(desk.duplicates.status(desk.captions.get(body.folder, body.opened), body.look))


def _add_statistics(router: APIRouter, desk: Desk) -> None:
    statistics = desk.caption_statistics

    @router.post("/counts", response_model=CountsResponse, summary="Count tokens")
    def counts(body: SelectionRequest) -> Response:
        """Of the pictures `ids`, or of all. The first call may take seconds, as the tokenizer is loaded."""
        return json_response({"counts": statistics.counts(Selection(body.folder, body.opened, body.ids))})

    @router.post("/tags", response_model=TagsResponse, summary="List the tags of the captions")
    def tags(body: TagsRequest) -> Response:
        """How often each occurs, where, and how often with the trigger."""
        return json_response(statistics.tags(body.selection, body.trigger, body.most, body.order))

    @router.post("/tokens", response_model=TokensResponse, summary="Read a caption as the model does")
    def tokens(body: TokensRequest) -> Response:
        """A picture's, or a text that is being written."""
        return json_response(statistics.tokens(body.folder, body.opened, body.id, body.text))

    @router.post("/strategies", response_model=StrategiesResponse, summary="List ways to caption")
    def strategies(body: EmptyRequest) -> Response:
        return json_response({"strategies": read_strategies()})


def _add_edits(router: APIRouter, desk: Desk) -> None:
    @router.post("/preview", response_model=PreviewResponse, summary="Preview an edit")
    def preview(body: PreviewRequest) -> Response:
        """Nothing changes."""
        return json_response(desk.captions.preview(body.selection, body.edit, body.most))

    @router.post("/edit", response_model=EditResponse, summary="Edit captions")
    def edit(body: EditRequest) -> Response:
        """409 where `preview` is given and the outcome is no longer the previewed one, or `revision` and the picture has
        changed since. Files are written when they are saved."""
        changes: dict[str, Any] = {"preview": body.preview, "revision": body.revision, "since": body.since}
        return json_response(desk.captions.edit(body.selection, body.edit, **changes))

    @router.post("/undo", response_model=StepResponse, summary="Undo the last edit")
    def undo(body: ChangeRequest) -> Response:
        """Also one of an earlier session. Captions that another program has changed since are left as they are."""
        return json_response(desk.captions.step(body.folder, body.opened, True, body.since))

    @router.post("/redo", response_model=StepResponse, summary="Redo what was undone")
    def redo(body: ChangeRequest) -> Response:
        """Until something else is edited."""
        return json_response(desk.captions.step(body.folder, body.opened, False, body.since))


def _add_saving(router: APIRouter, desk: Desk) -> None:
    @router.post("/save", response_model=SaveResponse, summary="Write changed captions")
    def save(body: SaveRequest) -> Response:
        """Only files whose text changes are written; those that another program has changed meanwhile become conflicts."""
        return json_response(desk.captions.save(body.selection, body.since))

    @router.post("/autosave", response_model=ChangedResponse, summary="Switch saving every edit at once")
    def autosave(body: AutosaveRequest) -> Response:
        """While it is on, every edit, undo and redo is saved at once. It is remembered with the folder."""
        return json_response(desk.captions.autosave(body.folder, body.opened, body.on, body.since))

    @router.post(
        "/conflicts", response_model=ConflictsResponse, summary="List captions that another program has changed, too"
    )
    def conflicts(body: OpenedRequest) -> Response:
        """With all three texts."""
        return json_response({"conflicts": desk.captions.conflicts(body.folder, body.opened)})

    @router.post("/resolve", response_model=ChangedResponse, summary="Resolve conflicts")
    def resolve(body: ResolveRequest) -> Response:
        """`mine` is written with the next save; the other text comes back with undo."""
        return json_response(desk.captions.resolve(body.folder, body.opened, body.ids, body.keep, body.since))


def _add_exchange(router: APIRouter, desk: Desk) -> None:
    @router.post("/import", response_model=ImportResponse, summary="Import captions from other programs")
    def import_(body: ImportRequest) -> Response:
        """Without `apply` it answers as `captions/preview`, with it as `captions/edit`; and in both cases:"""
        answer = desk.caption_exchange.import_(
            Selection(body.folder, body.opened),
            body.format,
            body.content,
            body.how,
            apply=body.apply,
            preview=body.preview,
            since=body.since,
        )
        return json_response(answer)

    @router.post("/export", response_model=ExportResponse, summary="Export captions for other programs")
    def export(body: ExportRequest) -> Response:
        """As a text to download, or into a folder."""
        return json_response(
            desk.caption_exchange.export(body.selection, body.format, body.to, body.replace, body.resolution)
        )
