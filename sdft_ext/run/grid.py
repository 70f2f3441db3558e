"""Draw the grid of a run that has ended: a stopped run frees its host at once, and leaves the grid for later."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ..control import Interrupted, RunControl
from ..errors import SdftError
from ..host.base import Host
from ..host.standalone import StandaloneHost
from ..method import METHODS
from ..recipe import Recipe
from ..recipe import file as recipe_file
from ..run_folder.facts import add_facts, read_facts
from ..run_folder.lock import run_lock
from ..storage import json_file
from ..train import settings
from ..watch.controls import Controls
from ..watch.painter import Painter
from ..watch.report import report
from ..watch.surroundings import memory_released
from . import loan
from .display import Display
from .turns import ModelUnavailable, Turns

REQUEST = "grid_requested"
"""The fact that the grid was asked for: the status that the run goes back to."""


def request(folder: Path) -> None:
    """Note that a run's grid is to be drawn, and the status that it has now. Raises OSError."""
    status = _status(folder)
    add_facts(folder, **{REQUEST: {name: status[name] for name in ("state", "message")}})


def requested(folder: Path) -> bool:
    """Return whether a run's grid is to be drawn instead of further steps. Raises OSError."""
    return bool(read_facts(folder).get(REQUEST))


def forget(folder: Path) -> None:
    """Forget the request, and put the run's status back. Raises OSError."""
    before = read_facts(folder).get(REQUEST)
    if before:
        add_facts(folder, **{REQUEST: None})
        json_file.write(folder / "status.json", {**_status(folder), **before, "seconds_left": 0.0})


def draw_grid(
    folder: Path, *, control: RunControl | None = None, host: Host | None = None, quiet: bool = False
) -> Path | None:
    """Draw a run's saves × control prompts with the model that it was trained on; return the picture, or None where it
    was stopped, or can't be drawn.

    Afterwards the run has the status that it had before; its message says why there is no grid.
    """
    control, recipe = control or RunControl(), recipe_file.read(folder / "recipe.yaml")
    if not requested(folder):
        request(folder)
    try:
        with run_lock(folder), memory_released(), ExitStack() as at_the_end:
            return _draw(folder, recipe, control, host, Display(folder, quiet), at_the_end)
    except (Interrupted, ModelUnavailable):
        return None
    except (SdftError, OSError) as error:
        before = read_facts(folder)[REQUEST]
        add_facts(folder, **{REQUEST: {**before, "message": f"{before['message']} There is no grid. {error}".strip()}})
        return None
    finally:
        forget(folder)


def _draw(
    folder: Path, recipe: Recipe, control: RunControl, host: Host | None, display: Display, at_the_end: ExitStack
) -> Path:
    status = _status(folder)
    display.done, display.total = status["step"], status["total"]
    display.starting_grid()
    turns = Turns(host or StandaloneHost(recipe.model), control, display.on_wait)
    model = settings.as_trained(recipe.train, turns.borrow(loan.lent_files(folder)))
    at_the_end.callback(turns.host.give_back)
    with turns.turn():
        settings.apply(recipe.train, model, at_the_end)
    at_the_end.callback(turns.share)
    controls = Controls(folder, recipe.watch)
    path = controls.folder / "grid.png"
    painter = Painter(recipe, model, turns.do, display.drawing_grid, control.check)
    painter.draw_grid(loan.exports(folder, recipe, turns.host), controls, METHODS[recipe.method.name](), path)
    report(folder)
    return path


def _status(folder: Path) -> dict[str, Any]:
    found = {"state": "stopped", "step": 0, "total": 0, "message": ""}
    return {**found, **json_file.read_or(folder / "status.json", {})}
