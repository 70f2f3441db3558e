"""How a run ends: errors become outcomes, and the report and the status are written."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from ..errors import SdftError
from ..out_of_memory import out_of_memory, training_failed
from ..recipe import Recipe
from ..run_folder import state
from ..run_folder.facts import add_facts
from ..run_folder.log import Log
from ..run_folder.log import read as read_log
from ..run_folder.saves import Saves
from ..train.loop import NotFinite
from ..train.processes import ProcessLost
from ..watch.report import report
from .clock import Clock
from .display import Display
from .monitor import Diverged
from .trial_step import DoesNotFit
from .turns import ModelUnavailable

Outcome = Literal["finished", "stopped", "failed"]
INTACT = "Earlier saves are intact; fix that, then resume."


class Ended(NamedTuple):
    """How training ended, with a sentence for the user."""

    outcome: Outcome
    message: str
    diverged: bool = False


def stopped(done: int, total: int, settled: bool) -> Ended:
    """Say that a run was stopped between two steps: by its user, or as its saves had become worse (``settled``)."""
    why = " because its last two saves are worse than the best one (watch.stop_early)" if settled else ""
    return Ended("stopped", f"Stopped after step {done} of {total}{why}; resume goes on from there.")


class Stopped(SdftError, RuntimeError):
    """The run was told to stop while it was still preparing."""


@dataclass(frozen=True)
class RunResult:
    """How a run ended. ``message`` is one sentence for its user."""

    folder: Path
    outcome: Outcome
    message: str
    saves: list[Path] = field(default_factory=list)


def outcome_of(error: BaseException, folder: Path, recipe: Recipe, began: bool) -> Ended | None:
    """Decide how an error ends a run, with a sentence for the user; None where the error is to be raised on.

    Faults of the program are raised on, to be seen in full, and until training ``began`` so are errors of the recipe.
    """
    if isinstance(error, NotFinite | Diverged):
        return Ended("failed", f"{error} {_way_on(folder, recipe)}", diverged=True)
    if isinstance(error, DoesNotFit | ProcessLost):
        return Ended("failed", str(error))
    if isinstance(error, Stopped | ModelUnavailable):
        return Ended("stopped", "Stopped before training began; resume begins it.")
    if isinstance(error, OSError):
        return Ended("failed", f"{_without_number(error)}. {INTACT}")
    if out_of_memory(error):
        return Ended("failed", training_failed(recipe, error))
    if began and isinstance(error, SdftError) and isinstance(error, ValueError):
        return Ended("failed", f"{error} {INTACT}")
    return None


def _way_on(folder: Path, recipe: Recipe) -> str:
    """Say how a run whose learning rate was too high can go on."""
    steps = [state.step_of(path) for path in state.states(folder / "state")]
    if not steps:
        return "No state was written before that: start again."
    setting = (
        "lower rates in train.schedule_steps" if recipe.train.schedule == "steps" else "a lower train.learning_rate"
    )
    text = f"Resume the run with {setting}: it goes on from step {steps[-1]}. Or start again."
    if len(steps) > 1:
        text += f" If it fails at once, delete state/step-{steps[-1]:06d}: the run then goes on from step {steps[-2]}."
    return text


@dataclass(frozen=True)
class Ending:
    """Writes down how a run ended."""

    folder: Path
    log: Log
    display: Display
    saves: Saves
    clock: Clock

    def end(self, ended: Ended, total: int) -> RunResult:
        """Write the outcome, the report and the status; where even that can't be written, the result says so.

        ``total``: the steps of the whole run; 0 where they aren't known yet.
        """
        outcome, message, _ = ended
        try:
            self._write(ended, total)
        except OSError as error:
            if outcome != "failed":
                outcome, message = "failed", f"{message} But: {_without_number(error)}. {INTACT}"
            self.failed(message)
        self.display.say(message)
        return RunResult(self.folder, outcome, message, self.saves.paths())

    def failed(self, message: str) -> None:
        """Set the status of a run that ends without a report. A full disk changes nothing: the error itself is
        reported.
        """
        with suppress(OSError):
            self.display.status.set("failed", message=message)

    def _write(self, ended: Ended, total: int) -> None:
        outcome, message, diverged = ended
        step = max((line["step"] for line in read_log(self.folder)), default=0)
        add_facts(self.folder, outcome=outcome, message=message, train_seconds=self.clock.seconds)
        if outcome == "failed":
            self.log.event(step, "warning", text=message, **({"diverged": True} if diverged else {}))
        self.log.close()
        report(self.folder)
        self.display.status.set(outcome, step, total, message=message)


def _without_number(error: OSError) -> str:
    """Give the text of a file system's error; the project's own sentences stand without the error's number."""
    return error.strerror if error.strerror and error.filename is None else str(error)
