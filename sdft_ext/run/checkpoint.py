"""The state of a run on disk: written between steps, and restored so that a stopped or killed run goes on exactly."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.profiler import record_function

from ..recipe import Recipe
from ..run_folder import log, state
from ..run_folder.facts import add_facts
from ..storage import atomic
from ..train.loop import NotFinite
from . import changed_settings, loan
from .clock import Clock
from .disk import BYTES_PER_SECOND
from .exports import Exports
from .monitor import Monitor
from .pace import Pace
from .previews import Previews
from .setup import Session

LEAST_SECONDS = 60.0
"""Between two states that are due by the time alone: a kill costs no more where states are quickly written."""


class Checkpoints:
    """Writes a run's states, and puts the last one back.

    Besides those of its schedule, states are written as often as they cost at most ``save.state_share`` percent of
    the time: a killed run goes on from the last one.
    """

    def __init__(self, recipe: Recipe, monitor: Monitor, previews: Previews, clock: Clock, pace: Pace) -> None:
        self.monitor, self.previews, self.clock, self.pace = monitor, previews, clock, pace
        self._share = recipe.save.state_share / 100
        self._seconds: float | None = None
        """Seconds that the last state took to write."""
        self._since = time.monotonic()

    def due(self, session: Session, step: int) -> bool:
        """Tell whether a state is due after this step: by the schedule, or by the time since the last one."""
        if session.schedule.state(step):
            return True
        trained = time.monotonic() - self._since
        if not self._share or trained < LEAST_SECONDS:
            return False
        if self._seconds is None:
            self._seconds = _bytes(self._tree(session)) / BYTES_PER_SECOND
        return self._seconds <= self._share * trained

    def write_due(self, session: Session, step: int, stopping: bool) -> None:
        """Write a state where one is due, or the run is stopping.

        It is the last thing after a step: a run killed before it repeats the step's previews, so that none is missing.
        """
        if stopping or self.due(session, step):
            self.write(session, step)

    def write(self, session: Session, step: int) -> None:
        """Write all that a killed run needs to go on after ``step`` steps.

        Raises OSError where it can't be written, NotFinite where a trained weight is NaN or infinite: the states before
        stay then, to go on from with a lower learning rate.
        """
        if not all(bool(torch.isfinite(parameter).all()) for parameter in session.loop.parameters):
            raise NotFinite(f"A trained weight became NaN or infinite by step {step}. Lower the learning rate.")
        began = time.monotonic()
        with self.pace.work("state"), record_function("run.state"):
            state.write(session.folder / "state", step, self._tree(session))
            add_facts(session.folder, train_seconds=self.clock.seconds)
        self._since = time.monotonic()
        self._seconds = self._since - began
        for text in loan.record_hashes(session.folder, session.model.path, session.recipe.model.vae):
            self.monitor.warn(step, text)

    def restore(self, session: Session, exports: Exports, notes: Sequence[str] = ()) -> int:
        """Put the last state back, and remove what a killed run left half written; returns how many steps are done.

        ``notes``: sentences about the run's folder and settings, to be shown and logged with those about its states.
        Raises StateError where states were written and none can be read; nothing is lost then.
        """
        notes = list(notes)
        for folder in (session.folder, *(path for path in session.folder.rglob("*") if path.is_dir())):
            atomic.clear(folder)
        exports.saves.clear()
        state.remove_unfinished(session.folder / "state")
        found = state.read_last(session.folder / "state", notes.append)
        done, tree = found or (0, None)
        if tree is None:
            if any(line["step"] for line in log.read(session.folder)):
                notes.append("The run ended before it wrote a state: it begins again at step 0.")
        else:
            state.remove_old(session.folder / "state", done)
            load(session, tree)
            self.monitor.load(tree)
            self.previews.load(tree, session.loop.parameters)
        self.monitor.log.resume(done)
        for text in [*notes, *changed_settings.announce(session.folder, done)]:
            self.monitor.warn(done, text)
        if done:
            self.monitor.display.say(f"Going on after step {done}.")
        self._since = time.monotonic()
        return done

    def _tree(self, session: Session) -> dict[str, Any]:
        return {
            "method": session.method.state(),
            "loop": session.loop.state(),
            **self.monitor.state(),
            **self.previews.state(),
        }


def load(session: Session, tree: dict[str, Any]) -> None:
    """Put back what trains, and what its optimizer keeps."""
    session.method.load_state(tree["method"])
    session.loop.load_state(tree["loop"])


def _bytes(tree: Any) -> int:
    """Add up the bytes of the tensors in a tree."""
    if isinstance(tree, Tensor):
        return tree.numel() * tree.element_size()
    if isinstance(tree, Mapping):
        return sum(map(_bytes, tree.values()))
    return sum(map(_bytes, tree)) if isinstance(tree, tuple | list) else 0
