"""The state of a run on disk: written between steps, and restored so that a stopped or killed run goes on exactly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch.profiler import record_function

from ..run_folder import log, state
from ..run_folder.facts import add_facts
from ..storage import atomic
from .clock import Clock
from .exports import Exports
from .monitor import Monitor
from .previews import Previews
from .setup import Session


def write(session: Session, step: int, monitor: Monitor, previews: Previews, clock: Clock) -> None:
    """Write all that a killed run needs to go on after ``step`` steps. Raises OSError where it can't be written."""
    with record_function("run.state"):
        tree: dict[str, Any] = {
            "method": session.method.state(),
            "loop": session.loop.state(),
            **monitor.state(),
            **previews.state(),
        }
        state.write(session.folder / "state", step, tree)
        add_facts(session.folder, train_seconds=clock.seconds)


def restore(
    session: Session, monitor: Monitor, previews: Previews, exports: Exports, repaired: Sequence[str] = ()
) -> int:
    """Put the last state back, and remove what a killed run left half written; returns how many steps are done.

    ``repaired``: sentences about damaged files of the run, to be said and logged with those about its states. Raises
    StateError where states were written and none can be read; nothing is lost then.
    """
    notes = list(repaired)
    for folder in (session.folder, *(path for path in session.folder.rglob("*") if path.is_dir())):
        atomic.clear(folder)
    exports.saves.clear()
    found = state.read_last(session.folder / "state", notes.append)
    done, tree = found or (0, None)
    if tree is None:
        if any(line["step"] for line in log.read(session.folder)):
            notes.append("The run ended before it wrote a state: it begins again at step 0.")
    else:
        state.remove_old(session.folder / "state", done)
        load(session, tree)
        monitor.load(tree)
        previews.load(tree, session.loop.parameters)
    monitor.log.resume(done)
    for text in notes:
        monitor.warn(done, text)
    if done:
        monitor.display.say(f"Going on after step {done}.")
    return done


def load(session: Session, tree: dict[str, Any]) -> None:
    """Put back what trains, and what its optimizer keeps."""
    session.method.load_state(tree["method"])
    session.loop.load_state(tree["loop"])
