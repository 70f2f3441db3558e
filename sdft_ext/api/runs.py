"""Runs: list, start, watch, and everything that can be done with one."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Query
from fastapi.routing import APIRoute
from starlette.responses import FileResponse, Response

from ..desk import Desk
from . import shapes
from .route import TAGS, answered

PICTURE: dict[int | str, dict[str, Any]] = {200: {"content": {"image/png": {}}}}
OK = {"ok": True}


def routes(desk: Desk, kind: type[APIRoute]) -> APIRouter:
    """Everything below ``runs``, ``queue`` and ``compare``."""
    router = APIRouter(route_class=kind, tags=TAGS)
    _listed(router, desk)
    _watched(router, desk)
    _told(router, desk)
    _used(router, desk)
    return router


def _listed(router: APIRouter, desk: Desk) -> None:
    @router.get("/runs", response_model=shapes.Runs, summary="Every run, and the queue")
    def runs() -> Response:
        """Newest first. The truth is on disk: runs of earlier times and of the command line are there too."""
        return answered(desk.queued())

    @router.post("/runs", response_model=shapes.Started, summary="Train a recipe")
    def start(body: shapes.RecipeIn) -> Response:
        """Queues a run; it starts when it is its turn. Its id is its folder's name."""
        return answered({"id": desk.runs.start(body.recipe)})

    @router.post("/queue", response_model=shapes.Ok, summary="Another order of the waiting runs")
    def queue(body: shapes.Order) -> Response:
        """``ids``: all of the waiting runs, the next first."""
        desk.queue.order(body.ids)
        return answered(OK)

    @router.get("/compare", response_model=shapes.Differences, summary="What two runs' recipes differ in")
    def compare(a: str, b: str) -> Response:
        """Settings with their label and both values; null where one has no such concept."""
        return answered({"differences": desk.library.compare(a, b)})


def _watched(router: APIRouter, desk: Desk) -> None:
    @router.get("/runs/{run}", response_model=shapes.RunInFull, summary="One run in full")
    def detail(run: str) -> Response:
        """Recipe, saves, control pictures, facts and report."""
        return answered(desk.library.detail(run))

    @router.get("/runs/{run}/status", response_model=shapes.StatusLines, summary="State, and the log's new lines")
    def status(
        run: str, since: int = Query(0, ge=0, description="The first line wanted; then the answer's next.")
    ) -> Response:
        """For asking every second: cheap, whatever the log's length, and never waits for a step."""
        told = desk.library.status(run)
        found = desk.library.lines(run, since)
        # The lines are JSON already: they are passed on as they stand in the log.
        rest = {"next": found.next, "more": found.more, "log": found.version, "status": told}
        lines = b'{"lines":[' + b",".join(found.texts) + b"]," + json.dumps(rest).encode()[1:]
        return Response(lines, media_type="application/json")

    @router.get("/runs/{run}/controls/{set}/{number}/{step}", responses=PICTURE, summary="A control picture")
    def control(run: str, set: str, number: int, step: int) -> Response:
        """PNG, as the run drew it."""
        return _png(desk.library.control(run, set, number, step))

    @router.get("/runs/{run}/grid", responses=PICTURE, summary="Saves × prompts as one picture")
    def grid(run: str) -> Response:
        """PNG; drawn when a run ends."""
        return _png(desk.library.picture(run, "grid"))

    @router.get("/runs/{run}/loss", responses=PICTURE, summary="The loss over the steps")
    def loss(run: str) -> Response:
        """PNG; drawn when a run ends."""
        return _png(desk.library.picture(run, "loss"))


def _told(router: APIRouter, desk: Desk) -> None:
    @router.post("/runs/{run}/pause", response_model=shapes.Ok, summary="Hold a run")
    def pause(run: str, body: shapes.Empty) -> Response:
        """After the step it is in; the model is free meanwhile."""
        desk.runs.control(run).pause()
        return answered(OK)

    @router.post("/runs/{run}/resume", response_model=shapes.Ok, summary="Go on with a run")
    def resume(run: str, body: shapes.Empty) -> Response:
        """After a pause at once; a run that was stopped, killed or has failed is queued and goes on from its last state."""
        desk.runs.resume(run)
        return answered(OK)

    @router.post("/runs/{run}/stop", response_model=shapes.Ok, summary="End a run")
    def stop(run: str, body: shapes.Empty) -> Response:
        """After the step it is in, with a save and a state to go on from; a waiting run leaves the queue."""
        desk.runs.stop(run)
        return answered(OK)

    @router.post("/runs/{run}/save", response_model=shapes.Ok, summary="Write a save now")
    def save(run: str, body: shapes.Empty) -> Response:
        """After the step it is in."""
        desk.runs.control(run).save_now()
        return answered(OK)

    @router.post("/runs/{run}/sample", response_model=shapes.Ok, summary="Draw control pictures now")
    def sample(run: str, body: shapes.Empty) -> Response:
        """After the step it is in."""
        desk.runs.control(run).sample_now()
        return answered(OK)

    @router.post("/runs/{run}/try", response_model=shapes.Tried, summary="Lend the running training's state as a file")
    def try_(run: str, body: shapes.Empty) -> Response:
        """Answers when the temporary file is there.

        ``call`` calls it in a prompt, in the place of ``word`` where it has one; ``further``: the same of its other words.
        """
        name = desk.runs.try_now(run)
        return answered({"name": name, **desk.runs.prompt_calls(run, name)})


def _used(router: APIRouter, desk: Desk) -> None:
    @router.post("/runs/{run}/trash", response_model=shapes.Ok, summary="Move a run to the trash")
    def trash(run: str, body: shapes.TrashIn) -> Response:
        """The folder goes to ``trash`` beside the runs. Saves in the host's folders stay, unless asked for."""
        desk.runs.trash(run, body.saves)
        return answered(OK)

    @router.post("/runs/{run}/preview", response_model=shapes.Named, summary="A control picture as a save's preview")
    def preview(run: str, body: shapes.PreviewIn) -> Response:
        """409 where somebody else's picture is there already, unless ``replace`` is true."""
        path = desk.library.preview(run, body.set, body.number, body.step, body.save, body.replace)
        return answered({"name": path.name})

    @router.post("/runs/{run}/handover", response_model=shapes.Infotext, summary="Use saves in the host")
    def handover(run: str, body: shapes.HandoverIn) -> Response:
        """What the page pastes into txt2img, and the checkpoint that it chooses there; ``saves`` are steps."""
        return answered(desk.runs.handover(run, body.to, body.saves, body.weights, body.prompts))

    @router.post("/runs/{run}/tryout", response_model=shapes.Picture, summary="Draw with a save")
    def tryout(run: str, body: shapes.TryoutIn) -> Response:
        """Where the host has no txt2img of its own; between two steps where a run trains."""
        drawing = {name: getattr(body, name) for name in TRYOUT}
        buffer = io.BytesIO()
        desk.runs.tryout(run, drawing, body.save).save(buffer, "PNG")
        return answered({"picture": "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()})


TRYOUT = ("prompt", "negative", "weight", "seed", "steps", "guidance", "size")


def _png(path: Path) -> Response:
    return FileResponse(path, media_type="image/png", headers={"Cache-Control": "no-cache"})
