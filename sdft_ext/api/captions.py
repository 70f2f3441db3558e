"""The captions of a folder: what is there, filters, edits with preview and undo, saving, tags, tokens, import and
export.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.responses import Response

from ..desk import Desk
from ..desk.caption_statistics import strategies as read_strategies
from ..desk.captions import Selection
from .caption_models import (
    AutosaveRequest,
    ChangedResponse,
    ChangeRequest,
    ConflictsResponse,
    CountsResponse,
    DuplicateSearchResponse,
    DuplicatesRequest,
    EditRequest,
    EditResponse,
    ExportRequest,
    ExportResponse,
    FilterResponse,
    ImportEditResponse,
    ImportPreviewResponse,
    ImportRequest,
    OpenedRequest,
    OpenRequest,
    OpenResponse,
    PreviewRequest,
    PreviewResponse,
    ResolveRequest,
    SaveRequest,
    SaveResponse,
    SelectionRequest,
    StateRequest,
    StepResponse,
    StrategiesResponse,
    TagsRequest,
    TagsResponse,
    TokensRequest,
    TokensResponse,
)
from .common import EmptyRequest
from .route import TAGS, json_response


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
        return json_response(desk.captions.open(body.folder, body.start, body.linked_folder))

    @router.post("/state", response_model=ChangedResponse, summary="Get what has changed since a revision")
    def state(body: StateRequest) -> Response:
        """It reads the disk, too: what other programs wrote comes as changed pictures (`saved`, or `conflict` where it
        was edited here). 20 ms at 5,000 pictures: ask every few seconds, and when the window gets the focus.
        """
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
        return json_response(statistics.tokens(body.folder, body.opened, body.id, body.text, body.trigger))

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
        """409 where `preview` is given and the outcome is no longer the previewed one, or `revision` and the picture
        has changed since. Files are written when they are saved.
        """
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
        """Only files whose text changes are written; those that another program has changed meanwhile become
        conflicts.
        """
        return json_response(desk.captions.save(body.selection, body.since))

    @router.post("/autosave", response_model=ChangedResponse, summary="Switch saving every edit at once")
    def autosave(body: AutosaveRequest) -> Response:
        """While it is on, every edit, undo and redo is saved at once. The choice is stored with the folder."""
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
    @router.post(
        "/import",
        response_model=ImportPreviewResponse | ImportEditResponse,
        summary="Import captions from other programs",
    )
    def import_(body: ImportRequest) -> Response:
        """Without `apply` it answers as `captions/preview`, with it as `captions/edit`."""
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
