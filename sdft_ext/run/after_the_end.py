"""Pictures of a run that has ended, drawn when somebody asks for them: the request, and the status meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..control import Interrupted, RunControl
from ..errors import SdftError
from ..host.base import Host
from ..host.standalone import StandaloneHost
from ..model.base import Model
from ..recipe import Recipe
from ..recipe import file as recipe_file
from ..run_folder.facts import add_facts, read_facts
from ..run_folder.lock import run_lock
from ..run_folder.saves import Saves
from ..storage import json_file
from ..train import settings
from ..watch.painter import Painter
from ..watch.surroundings import memory_released
from . import loan
from .display import Display
from .turns import ModelUnavailable, Turns


@dataclass(frozen=True)
class Kind:
    """A kind of such pictures. ``fact``: in ``facts.json``, the status that the run goes back to. ``text`` is shown
    while they are drawn; ``failed`` begins the message where they can't be.
    """

    fact: str
    text: str
    failed: str

    def request(self, folder: Path, **more: Any) -> None:
        """Note that the pictures are to be drawn, with what else must be known, and the status that the run has now.
        Raises OSError.
        """
        status = _status(folder)
        add_facts(folder, **{self.fact: {**{name: status[name] for name in ("state", "message")}, **more}})

    def requested(self, folder: Path) -> dict[str, Any]:
        """Return what was noted with the request; empty where the pictures aren't to be drawn. Raises OSError."""
        found = read_facts(folder).get(self.fact)
        return found if isinstance(found, dict) else {}

    def forget(self, folder: Path) -> None:
        """Forget the request, and put the run's status back. Raises OSError."""
        before = self.requested(folder)
        if before:
            add_facts(folder, **{self.fact: None})
            status = {name: before[name] for name in ("state", "message")}
            json_file.write(folder / "status.json", {**_status(folder), **status, "seconds_left": 0.0})


@dataclass(frozen=True)
class Lent:
    """What the pictures are drawn with: the model that the run was trained on, and the run's saves."""

    folder: Path
    recipe: Recipe
    model: Model
    painter: Painter
    saves: Saves


def perform(
    kind: Kind,
    folder: Path,
    draw: Callable[[Lent], Path],
    control: RunControl | None,
    host: Host | None,
    quiet: bool,
) -> Path | None:
    """Draw the requested pictures; return their file, or None where drawing was stopped, or can't be done.

    Afterwards the run has the status that it had before; its message says why there are none.
    """
    control, recipe = control or RunControl(), recipe_file.read(folder / "recipe.yaml")
    if not kind.requested(folder):
        kind.request(folder)
    try:
        with run_lock(folder), memory_released(), ExitStack() as at_the_end:
            display = Display(folder, quiet)
            return draw(_lend(kind, folder, recipe, control, host, display, at_the_end))
    except (Interrupted, ModelUnavailable):
        return None
    except (SdftError, OSError) as error:
        before = kind.requested(folder)
        message = f"{before['message']} {kind.failed} {error}".strip()
        add_facts(folder, **{kind.fact: {**before, "message": message}})
        return None
    finally:
        kind.forget(folder)


def _lend(
    kind: Kind,
    folder: Path,
    recipe: Recipe,
    control: RunControl,
    host: Host | None,
    display: Display,
    at_the_end: ExitStack,
) -> Lent:
    status = _status(folder)
    display.done, display.total = status["step"], status["total"]
    display.starting_to_draw(kind.text)
    turns = Turns(host or StandaloneHost(recipe.model), control, display.on_wait)
    model = settings.as_trained(recipe.train, turns.borrow(loan.lent_files(folder)))
    at_the_end.callback(turns.host.give_back)
    with turns.turn():
        settings.apply(recipe.train, model, at_the_end)
    at_the_end.callback(turns.share)
    painter = Painter(recipe, model, turns.do, display.drawing, control.check)
    return Lent(folder, recipe, model, painter, loan.exports(folder, recipe, turns.host))


def _status(folder: Path) -> dict[str, Any]:
    found = {"state": "stopped", "step": 0, "total": 0, "message": ""}
    return {**found, **json_file.read_or(folder / "status.json", {})}
