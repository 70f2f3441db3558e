"""Runs: list, start, watch, control them, and use their saves."""

from __future__ import annotations

import base64
import io
import json
from typing import Any, Literal

from fastapi import APIRouter, Query
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from starlette.responses import Response

from ..desk import Desk
from .common import OK, EmptyRequest, NameResponse, OkResponse, Plain, RecipeRequest, StartedResponse
from .route import PICTURE, TAGS, json_response, png

TRYOUT = ("prompt", "negative", "weight", "seed", "steps", "guidance", "size")


class RunStatus(BaseModel):
    state: Literal["waiting", "preparing", "training", "drawing", "paused", "finished", "stopped", "failed"] = Field(
        description="A run whose program has ended is `stopped`. After the last step it is `drawing` its grid."
    )
    step: int
    total: int = Field(description="While it is `preparing`, `step` and `total` count encoded pictures.")
    seconds_left: float = Field(description="Until the end of the run, its grid included; 0 where it isn't known.")
    message: str


class RunSummary(RunStatus):
    id: str
    name: str
    method: str = Field(description="The method's label; empty where the recipe can't be read.")
    base: str = Field(description="The file of its base model.")
    started: float
    saves: int = Field(description="How many.")
    picture: str | None = Field(None, description="Path of a control picture below `/sdft/v1/`.")


class RunsResponse(BaseModel):
    runs: list[RunSummary] = Field(description="Newest first.")
    queue: list[str] = Field(description="Ids, the next one first.")
    current: str | None = Field(None, description="The id of the run that trains.")
    drawing: str | None = Field(
        None,
        description="The id of the regularization pictures that are being drawn. Such ids, `regularization/NAME`, also "
        "stand in `queue`.",
    )
    titles: dict[str, str] = Field(description="Readable names of the regularization pictures in the queue, by id.")
    loads: bool = Field(description="Whether the queue loads the base model of a run whose turn comes.")
    held: bool = Field(description="After a restart, the queue waits until a run is started or resumed.")


class OrderRequest(BaseModel):
    ids: list[str] = Field(description="All of the waiting runs, the next one first.")


class BaseModelsRequest(BaseModel):
    load: bool


class Difference(BaseModel):
    path: str
    label: str
    a: Any = Field(None, description="The first run's value; null where it has no such concept.")
    b: Any = None


class CompareResponse(BaseModel):
    differences: list[Difference]


class RunSave(BaseModel):
    name: str
    file: str
    path: str = Field(description="Of the file on the server.")
    step: int
    epoch: int | None = None
    loss: float | None = None
    scheduled: bool = Field(description="Whether the recipe's schedule has it: not written on request or at a stop.")
    last: bool


class DeletedSave(BaseModel):
    id: str = Field(description="By which it is restored.")
    name: str
    step: int


class ControlPrompt(BaseModel):
    set: str
    number: int
    prompt: str = ""
    seed: int = 0
    steps: list[int] | None = Field(None, description="The steps that it was drawn at; null where that is all steps.")


class ControlPictures(BaseModel):
    steps: list[int]
    prompts: list[ControlPrompt]


class RunResponse(RunStatus):
    id: str
    name: str
    method: str
    base: str
    started: float
    picture: str | None = None
    recipe: Plain = Field(description="Nested.")
    yaml: str
    saves: list[RunSave] = Field(description="Oldest first.")
    controls: ControlPictures
    facts: Plain = Field(description="What the run stores for its report: its files, memory mode, times.")
    report: str = Field(description="Markdown.")
    verdict: str
    advice: str
    grid: bool = Field(description="Whether there is a grid of saves × prompts.")
    deleted: list[DeletedSave] = Field(description="Saves in the run's trash.")
    folder: str = Field(description="The run's folder on the server.")
    tensorboard: str = Field(description="The folder of its files for TensorBoard; empty where there are none.")
    marks: list[Plain] = Field(description="Events: {`step`, `event`} and more.")


class LogResponse(BaseModel):
    status: RunStatus
    lines: list[Plain] = Field(description="At most 20,000.")
    next: int = Field(description="`since` of the following request.")
    more: bool = Field(description="There are more lines already.")
    log: str = Field(
        description="Changes when the log is rewritten (a resumed run drops the steps it repeats): ask again from 0."
    )


class ResumeRequest(BaseModel):
    settings: dict[str, Any] = Field(
        {},
        description="Settings to go on with, by path, such as `train.learning_rate`: those that the run's state "
        "doesn't depend on. Only for a run that neither trains nor waits.",
    )


class TrashRequest(BaseModel):
    saves: bool = Field(False, description="Move the run's files in the host's folders, too.")


class RestoreSaveRequest(BaseModel):
    id: str = Field(description="One of the run's `deleted` saves.")


class SavePreviewRequest(BaseModel):
    set: str
    number: int = Field(ge=0, le=9999)
    step: int = Field(ge=0)
    save: int = Field(description="The step of the save.")
    replace: bool = Field(False, description="Replace a picture that no run made.")


class PromptCall(BaseModel):
    call: str = Field(description="What calls the file in a prompt.")
    word: str = Field(description="The trained word that it replaces; empty where it replaces none.")


class TryResponse(PromptCall):
    name: str
    further: list[PromptCall] = Field(description="The files of its other words.")


class HandoverRequest(BaseModel):
    to: str = Field(description="`txt2img` or `xyz`.")
    saves: list[int] = Field(description="Steps.")
    weights: list[float] = []
    prompts: list[str] = []


class HandoverResponse(BaseModel):
    infotext: str = Field(description="What the page pastes into txt2img.")
    checkpoint: str = Field(
        "", description="For whole models in txt2img: the title of the save to select as the checkpoint; else empty."
    )


class TryoutRequest(BaseModel):
    prompt: str
    negative: str = ""
    save: int | None = Field(None, description="The step of the save, or null for the base model.")
    weight: float = Field(1.0, ge=-10, le=10)
    seed: int = Field(0, ge=0, le=2**63 - 1)
    steps: int = Field(20, ge=1, le=150)
    guidance: float = Field(7.0, ge=0, le=100)
    size: int = Field(512, ge=16, le=2048)


class TryoutResponse(BaseModel):
    picture: str = Field(description="A data URL.")


def routes(desk: Desk, route_class: type[APIRoute]) -> APIRouter:
    """Everything below ``runs``, ``queue`` and ``compare``."""
    router = APIRouter(route_class=route_class, tags=TAGS)
    _add_lists(router, desk)
    _add_views(router, desk)
    _add_controls(router, desk)
    _add_uses(router, desk)
    return router


def _add_lists(router: APIRouter, desk: Desk) -> None:
    @router.get("/runs", response_model=RunsResponse, summary="List every run, and the queue")
    def runs() -> Response:
        """Runs on disk, those of the command line included."""
        return json_response(desk.queued())

    @router.post("/runs", response_model=StartedResponse, summary="Train a recipe")
    def start(body: RecipeRequest) -> Response:
        """The run is queued, and starts when its turn comes. Its id is its folder's name."""
        return json_response({"id": desk.runs.start(body.recipe)})

    @router.post("/queue", response_model=OkResponse, summary="Reorder the waiting runs")
    def queue(body: OrderRequest) -> Response:
        desk.queue.order(body.ids)
        return json_response(OK)

    @router.post("/queue/models", response_model=OkResponse, summary="Let the queue load base models")
    def base_models(body: BaseModelsRequest) -> Response:
        """Then a run whose base model isn't loaded has it loaded when its turn comes, or a minute after another one was
        chosen; when the queue is empty, the user's own is loaded again. Where the host's `features` have `load`.
        """
        desk.base_models.allow(body.load)
        return json_response(OK)

    @router.get("/compare", response_model=CompareResponse, summary="Compare the recipes of two runs")
    def compare(a: str, b: str) -> Response:
        """`a` and `b` are their ids."""
        return json_response({"differences": desk.library.compare(a, b)})


def _add_views(router: APIRouter, desk: Desk) -> None:
    @router.get("/runs/{run}", response_model=RunResponse, summary="Get one run in full")
    def detail(run: str) -> Response:
        """Recipe, saves, control pictures, facts and report."""
        return json_response(desk.library.detail(run))

    @router.get("/runs/{run}/status", response_model=LogResponse, summary="Get its state, and the log's new lines")
    def status(run: str, since: int = Query(0, ge=0, description="The first line to return.")) -> Response:
        """Cheap, whatever the log's length; it may be asked every second."""
        state = desk.library.status(run)
        found = desk.library.lines(run, since)
        # The lines are JSON already: they are passed on as they stand in the log.
        rest = {"next": found.next, "more": found.more, "log": found.version, "status": state}
        lines = b'{"lines":[' + b",".join(found.texts) + b"]," + json.dumps(rest).encode()[1:]
        return Response(lines, media_type="application/json")

    @router.get("/runs/{run}/controls/{set}/{number}/{step}", responses=PICTURE, summary="Get a control picture")
    def control(run: str, set: str, number: int, step: int) -> Response:
        """A PNG, as the run drew it."""
        return png(desk.library.control(run, set, number, step))

    @router.get("/runs/{run}/grid", responses=PICTURE, summary="Get the grid of saves × prompts")
    def grid(run: str) -> Response:
        """A PNG; it is drawn when the run finishes, or when it is asked for."""
        return png(desk.library.picture(run, "grid"))

    @router.get("/runs/{run}/loss", responses=PICTURE, summary="Get the chart of the loss")
    def loss(run: str) -> Response:
        """A PNG; it is drawn when the run ends."""
        return png(desk.library.picture(run, "loss"))


def _add_controls(router: APIRouter, desk: Desk) -> None:
    @router.post("/runs/{run}/pause", response_model=OkResponse, summary="Pause a run")
    def pause(run: str, body: EmptyRequest) -> Response:
        """After the current step; the model is free meanwhile."""
        desk.runs.control(run).pause()
        return json_response(OK)

    @router.post("/runs/{run}/resume", response_model=OkResponse, summary="Resume a run")
    def resume(run: str, body: ResumeRequest) -> Response:
        """A paused one goes on at once. One that was stopped or killed, or has failed, is queued and goes on from its
        last state. One that waits moves to the front of the queue.
        """
        desk.runs.resume(run, body.settings)
        return json_response(OK)

    @router.post("/runs/{run}/stop", response_model=OkResponse, summary="Stop a run")
    def stop(run: str, body: EmptyRequest) -> Response:
        """After the current step, with a save and a state to go on from; nothing more is drawn. A run that draws its
        grid ends without it. A waiting run leaves the queue.
        """
        desk.runs.stop(run)
        return json_response(OK)

    @router.post("/runs/{run}/grid", response_model=OkResponse, summary="Draw the grid of a run that has ended")
    def grid(run: str, body: EmptyRequest) -> Response:
        """It is queued. A run that is stopped ends without its grid, so that the device is free at once."""
        desk.runs.draw_grid(run)
        return json_response(OK)

    @router.post("/runs/{run}/save", response_model=OkResponse, summary="Write a save now")
    def save(run: str, body: EmptyRequest) -> Response:
        """After the current step."""
        desk.runs.control(run).save_now()
        return json_response(OK)

    @router.post("/runs/{run}/sample", response_model=OkResponse, summary="Draw control pictures now")
    def sample(run: str, body: EmptyRequest) -> Response:
        """After the current step."""
        desk.runs.control(run).sample_now()
        return json_response(OK)

    @router.post("/runs/{run}/try", response_model=TryResponse, summary="Write the current weights as a temporary file")
    def try_(run: str, body: EmptyRequest) -> Response:
        """Answers once the file is there. Not for whole models."""
        name = desk.runs.try_now(run)
        return json_response({"name": name, **desk.runs.prompt_calls(run, name)})


def _add_uses(router: APIRouter, desk: Desk) -> None:
    @router.post("/runs/{run}/trash", response_model=OkResponse, summary="Move a run to the trash")
    def trash(run: str, body: TrashRequest) -> Response:
        """Its folder goes to `trash` beside the runs."""
        desk.runs.trash(run, body.saves)
        return json_response(OK)

    @router.post("/runs/{run}/saves/{step}/trash", response_model=OkResponse, summary="Delete a save")
    def delete_save(run: str, step: int, body: EmptyRequest) -> Response:
        """Its files move to `trash` in the run's folder. 409 while the run trains."""
        desk.runs.delete_save(run, step)
        return json_response(OK)

    @router.post("/runs/{run}/saves/restore", response_model=OkResponse, summary="Restore a deleted save")
    def restore_save(run: str, body: RestoreSaveRequest) -> Response:
        """409 where another save has taken its place."""
        desk.runs.restore_save(run, body.id)
        return json_response(OK)

    @router.post("/runs/{run}/preview", response_model=NameResponse, summary="Make a control picture a save's preview")
    def preview(run: str, body: SavePreviewRequest) -> Response:
        """409 where a picture that no run made is there already, unless `replace` is true."""
        path = desk.library.preview(run, body.set, body.number, body.step, body.save, body.replace)
        return json_response({"name": path.name})

    @router.post("/runs/{run}/handover", response_model=HandoverResponse, summary="Use saves in the host")
    def handover(run: str, body: HandoverRequest) -> Response:
        return json_response(desk.runs.handover(run, body.to, body.saves, body.weights, body.prompts))

    @router.post("/runs/{run}/tryout", response_model=TryoutResponse, summary="Draw a picture with a save")
    def tryout(run: str, body: TryoutRequest) -> Response:
        """Only where the host has no txt2img of its own; between two steps while a run trains."""
        drawing = {name: getattr(body, name) for name in TRYOUT}
        buffer = io.BytesIO()
        desk.runs.tryout(run, drawing, body.save).save(buffer, "PNG")
        return json_response({"picture": "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()})
