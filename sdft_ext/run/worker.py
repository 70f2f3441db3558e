"""A run in several processes, as all but the main one go through it: they take its steps and write nothing.

What the main process sends comes in this order: ``Begin``, ``Ready``, the numbers of steps (0-based), and None at the
end, which may come at any time.
"""

from __future__ import annotations

from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..control import RunControl
from ..dataset.folder import DatasetError
from ..host.standalone import StandaloneHost
from ..recipe import Recipe, RecipeError
from ..run_folder import state
from ..run_folder.facts import add_facts, read_facts
from ..train.loop import NotFinite
from ..train.processes import Processes
from . import checkpoint, memory_mode
from .setup import Session, set_up
from .turns import Turns


@dataclass(frozen=True)
class Begin:
    """Set up the run in ``folder``."""

    folder: Path
    recipe: Recipe


@dataclass(frozen=True)
class Ready:
    """Go on after step ``done``. ``fingerprint``: of the main process's dataset."""

    done: int
    fingerprint: str


def run_worker(processes: Processes) -> None:
    """Do what the main process sends, until it ends.

    Raises what a run raises that can't begin (see ``set_up``), StateError, and ProcessLost.
    """
    begin = processes.receive()
    if begin is None:
        return
    host = StandaloneHost(begin.recipe.model, processes.device)
    turns = Turns(host, RunControl(), lambda _: None)
    with ExitStack() as at_the_end:
        session = set_up(begin.folder, begin.recipe, turns, processes, at_the_end)
        ready = processes.receive()
        if ready is None:
            return
        if ready.fingerprint != session.dataset.fingerprint:
            raise DatasetError(
                "The pictures or captions are not those of the main process: give all computers the same."
            )
        _restore(session, ready.done)
        memory_mode.choose_mode(session, ready.done)
        processes.broadcast(session.loop.parameters)
        while (step := processes.receive()) is not None:
            # The main process sees the same error, and decides what follows.
            with suppress(NotFinite):
                turns.do(partial(session.loop.step, step), session.loop.abandon, step=True)


def check_count(folder: Path, processes: Processes) -> None:
    """Check that a run is resumed in as many processes as it began in: its batches are theirs. Raises RecipeError."""
    began = read_facts(folder).get("processes")
    if began is None and processes.count > 1 and not state.states(folder / "state"):
        add_facts(folder, processes=processes.count)
    elif (began or 1) != processes.count:
        way = f"with accelerate launch --multi_gpu --num_processes {began}" if began else "without accelerate launch"
        raise RecipeError(
            f"The run in {folder} must be resumed in as many processes as it began in, or its batches would differ: "
            f"resume "
            f"it {way}."
        )


def _restore(session: Session, done: int) -> None:
    """Put back the state that the main process goes on from. Raises StateError where it doesn't exist."""
    if not done:
        return
    found = state.read_last(session.folder / "state")
    if found is None or found[0] != done:
        raise state.StateError(
            f"The state of step {done} is not in {session.folder}: the run's folder must have the same path on all "
            f"computers, "
            "on a disk that they share."
        )
    checkpoint.load(session, found[1])
