"""One training run, top to bottom.

A run is a folder. All that it makes is written there: the recipe it follows, its log, its control pictures, its saves,
and the state from which it can be resumed. The page, the command line and other programs read that folder.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from torch.profiler import record_function

from ..control import RunControl
from ..host.base import Host
from ..host.standalone import StandaloneHost
from ..judge.prompts import propose
from ..recipe import Recipe
from ..recipe import file as recipe_file
from ..recipe.rules import check_texts
from ..run_folder.folder import new_folder
from ..run_folder.lock import RunLocked, run_lock
from ..run_folder.log import Log
from ..run_folder.repair import repair, take_notes
from ..storage.text import quantity
from ..train.loop import StepResult
from ..train.processes import ALONE, Processes
from ..watch.progress import Progress
from ..watch.surroundings import memory_released
from . import memory_mode
from .changed_settings import change
from .checkpoint import Checkpoints
from .clock import Clock
from .disk import disk_use
from .display import Display
from .ending import Ended, Ending, RunResult, Stopped, outcome_of, stopped
from .exports import Exports
from .monitor import Monitor
from .pace import Pace
from .previews import Previews
from .proof import prove_and_draw_grid
from .setup import Session, set_up
from .turns import ModelUnavailable, Turns
from .worker import Begin, Ready, check_count


def train(
    recipe: Recipe,
    *,
    control: RunControl | None = None,
    host: Host | None = None,
    folder: Path | None = None,
    quiet: bool = False,
    processes: Processes = ALONE,
) -> RunResult:
    """Train a recipe in a new folder: ``save.output/save.name``, or the given one if it is empty.
    ``processes``: of several, this is the main one, which has the others take its steps.
    Raises RecipeError, DatasetError, ModelError, MethodError (all ValueError) or OSError where the run can't begin.
    Once it trains, a failure is the result's outcome, and what was saved stays.
    """
    recipe_file.validate(recipe)
    check_texts(recipe)
    folder = new_folder(Path(recipe.save.output).expanduser(), recipe.save.name) if folder is None else folder
    recipe = propose(recipe)
    recipe_file.write(folder / "recipe.yaml", recipe)
    with run_lock(folder), memory_released():
        return Run(folder, recipe, control, host, quiet, processes).go()


def resume(
    folder: str | Path,
    *,
    settings: Sequence[str] = (),
    control: RunControl | None = None,
    host: Host | None = None,
    quiet: bool = False,
    processes: Processes = ALONE,
) -> RunResult:
    """Go on with a stopped or killed run as if it had never stopped. Raises as ``train``. Where another program is
    training it, nothing is done, and the outcome is a failure that says so.

    ``settings`` (``section.key=value``) change what the state doesn't depend on: the learning rate, saves, pictures.
    """
    folder = Path(folder)
    try:
        with run_lock(folder), memory_released():
            notes = [*repair(folder), *take_notes(folder)]
            change(folder, settings)
            recipe = recipe_file.read(folder / "recipe.yaml")
            return Run(folder, recipe, control, host, quiet, processes, notes).go()
    except RunLocked as error:
        Progress(quiet=quiet).say(str(error))
        return RunResult(folder, "failed", str(error))


class Run:
    """One run and what it writes with; ``go`` is the story."""

    def __init__(
        self,
        folder: Path,
        recipe: Recipe,
        control: RunControl | None,
        host: Host | None,
        quiet: bool,
        processes: Processes = ALONE,
        notes: Sequence[str] = (),
    ) -> None:
        check_count(folder, processes)
        self.folder, self.recipe, self.processes, self.notes = folder, recipe, processes, notes
        self.control, self.clock, self.pace = control or RunControl(), Clock.of(folder), Pace.of(folder)
        self.log, self.display = Log(folder, recipe.watch), Display(folder, quiet)
        self.turns = Turns(host or StandaloneHost(recipe.model, processes.device), self.control, self.display.on_wait)
        self.monitor = Monitor(recipe.watch, self.log, self.display)
        self.previews = Previews(folder, recipe, self.log, self.display, self.pace, self.control)
        self.checkpoints = Checkpoints(recipe, self.monitor, self.previews, self.clock, self.pace)
        self.exports = Exports(folder, recipe, self.turns, self.log, self.clock.started)
        self.ending = Ending(folder, self.log, self.display, self.exports.saves, self.clock)

    def go(self) -> RunResult:
        """Set up, train, prove the last save, report; whatever happens, the model is given back as it was."""
        total, began = 0, False
        self.display.status.set("preparing")
        with ExitStack() as at_the_end:
            at_the_end.callback(self.log.close)
            at_the_end.callback(self.exports.remove_tries)
            try:
                self.exports.remove_tries()
                self.processes.send(Begin(self.folder, self.recipe))
                session = set_up(self.folder, self.recipe, self.turns, self.processes, at_the_end, self.on_prepare)
                total = session.schedule.total_steps
                self.pace.expect_writing(disk_use(self.recipe, session.model.family, saves=1, cache_bytes=0))
                done = self.checkpoints.restore(session, self.exports, self.notes)
                memory_mode.choose(session, done, self.monitor)
                self.processes.send(Ready(done, session.dataset.fingerprint))
                self.processes.broadcast(session.loop.parameters)
                began = True
                ended = self.train_steps(session, done)
                prove_and_draw_grid(session, self.exports.saves, self.previews.controls, self.display, self.control)
                return self.ending.end(ended, total)
            except BaseException as error:
                failure = outcome_of(error, self.folder, self.recipe, began)
                if failure is None:
                    self.ending.failed(str(error) or type(error).__name__)
                    raise
                return self.ending.end(failure, total)

    def on_prepare(self, what: str, done: int, total: int) -> None:
        """Show how far the preparation is. Raises Stopped: a run can be stopped from here on."""
        self.display.preparing(what, done, total)
        if self.control.stopping:
            raise Stopped(what)

    def train_steps(self, session: Session, done: int) -> Ended:
        """Step after step until the end, a stop, or a failure; between two steps, whatever is due or asked for."""
        schedule, total = session.schedule, session.schedule.total_steps
        self.display.done, self.display.total = done, total
        if done == 0:
            self.display.say(session.summary.text)
            self.previews.begin(session)
        else:
            self.previews.begin_again(session, done)
        while done < total:
            self.wait_while_paused(session, done)
            result = self.step(session, done)
            if result is not None:
                done = result.step
                self.monitor.step(session, result, self.pace.seconds_left(schedule, done))
                self.previews.draw_first(session)
                self.previews.due |= schedule.previews(done)
            stopping = self.control.stopping and done < total
            self.handle_requests(session, done, save=stopping or schedule.save(done))
            self.previews.draw_due(session, done)
            settled = self.previews.settled and done < total
            self.checkpoints.write_due(session, done, stopping or settled)
            if stopping or settled:
                return stopped(done, total, settled)
        return Ended("finished", f"Finished after {quantity(total, 'step')}.")

    def step(self, session: Session, done: int) -> StepResult | None:
        """Take one step in a turn with the model; None where the run was told to stop before its turn came."""

        def work() -> StepResult | None:
            if self.control.stopping:
                return None
            self.processes.step(done)
            return session.loop.step(done)

        try:
            with self.pace.step(), record_function("run.step"):
                return self.turns.do(work, session.loop.abandon, step=True)
        except ModelUnavailable:
            return None

    def wait_while_paused(self, session: Session, done: int) -> None:
        """Hold the run while it is paused; what is asked for meanwhile is done."""
        while self.control.paused:
            self.turns.share()
            self.display.paused()
            self.handle_requests(session, done)
            self.previews.draw_due(session, done)
            self.control.wait_while_paused()

    def handle_requests(self, session: Session, done: int, save: bool = False) -> None:
        """Write the files, and note the previews, that are due or asked for."""
        if self.control.take_save() or save:
            with self.pace.work("save"):
                self.exports.save(session, done, self.monitor.loss)
        if self.control.take_try():
            self.exports.write_try(session, done)
        if self.control.take_sample():
            self.previews.due.add("controls")
