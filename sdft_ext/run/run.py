"""One training run, top to bottom.

A run is a folder. All that it learns is written there: the recipe it follows, its log, its control pictures, its saves,
and the state it can go on from. Pages, command lines and programs read that folder.
"""

from __future__ import annotations

import math
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from ..analysis.summary import dataset_dirs, tag_frequency
from ..control import RunControl
from ..errors import SdftError
from ..formats.metadata import RunFacts, lora_metadata
from ..host.base import Host
from ..host.standalone import StandaloneHost
from ..method import METHODS
from ..method.base import Method, SeveralFiles
from ..model.probe import fixed_answer
from ..out_of_memory import out_of_memory, training_failed
from ..recipe import Recipe
from ..recipe import file as recipe_file
from ..run_folder import state
from ..run_folder.facts import add_facts, read_facts
from ..run_folder.log import Log, Smoother
from ..run_folder.log import read as read_log
from ..run_folder.saves import Writer
from ..run_folder.status import Status
from ..storage import atomic
from ..storage.free_name import free_name
from ..train import settings
from ..train.loop import Loop, NotFinite, StepResult, loop_for
from ..train.processes import ALONE, Processes, ProcessLost
from ..train.weights import FirstWeights
from ..watch.controls import Controls
from ..watch.diagnosis import Divergence
from ..watch.painter import DrawingError, Painter
from ..watch.progress import Progress
from ..watch.report import report
from ..watch.surroundings import give_memory_back, memory_mb, versions
from ..watch.validation import Validation
from . import loan, memory_mode
from .schedule import Schedule
from .setup import prepare_dataset
from .trial_step import DoesNotFit
from .turns import ModelUnavailable, Turns
from .worker import Begin, Ready, same_count

Outcome = Literal["finished", "stopped", "failed"]
INTACT = "Earlier saves are intact; mend that, then resume."
NOT_PROVEN = (
    "The last save was not read back, and there is no grid: the run was stopped while its model was not loaded."
)
AFTER_THE_LAST_STEP = "The last step is done: its save is read back, and the saves are drawn as a grid."


LOOKS = {"controls", "validation"}
"""What shows how the weights are."""


class Diverged(SdftError, RuntimeError):
    """The loss has left for good; the message says what to change."""


class Stopped(SdftError, RuntimeError):
    """Told to stop while the run was still preparing."""


@dataclass(frozen=True)
class RunResult:
    """How a run ended. ``message`` is one sentence for its user."""

    folder: Path
    outcome: Outcome
    message: str
    saves: list[Path] = field(default_factory=list)


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

    ``processes``: of several, this is the main one, which tells the others what to do.

    Raises RecipeError, DatasetError, ModelError, MethodError (all ValueError) or OSError where the run can't begin; once it
    trains, a failure is the result's outcome, and what was saved stays.
    """
    recipe_file.validate(recipe)
    folder = new_folder(Path(recipe.save.output).expanduser(), recipe.save.name) if folder is None else folder
    recipe_file.write(folder / "recipe.yaml", recipe)
    return _go(folder, recipe, control, host, quiet, processes)


def resume(
    folder: str | Path,
    *,
    control: RunControl | None = None,
    host: Host | None = None,
    quiet: bool = False,
    processes: Processes = ALONE,
) -> RunResult:
    """Go on with a run that was stopped or killed, from its last state; the end is as if it had never stopped."""
    folder = Path(folder)
    return _go(folder, recipe_file.read(folder / "recipe.yaml"), control, host, quiet, processes)


def _go(
    folder: Path, recipe: Recipe, control: RunControl | None, host: Host | None, quiet: bool, processes: Processes
) -> RunResult:
    try:
        return Run(folder, recipe, control, host, quiet, processes).go()
    finally:
        give_memory_back()


def new_folder(output: Path, name: str) -> Path:
    """``output/name``, or ``name-2`` … where that holds something: nothing of the user's is written over."""
    folder = output / free_name(name, lambda candidate: _holds_something(output / candidate))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _holds_something(path: Path) -> bool:
    return path.exists() and not (path.is_dir() and not any(path.iterdir()))


def without_number(error: OSError) -> str:
    """What an error of the file system says; the project's own sentences stand without the number of its kind."""
    return error.strerror if error.strerror and error.filename is None else str(error)


class Run:
    """The rooms of one run, wired together; ``go`` is the story."""

    def __init__(
        self,
        folder: Path,
        recipe: Recipe,
        control: RunControl | None,
        host: Host | None,
        quiet: bool,
        processes: Processes = ALONE,
    ) -> None:
        self.folder, self.recipe, self.processes = folder, recipe, processes
        same_count(folder, processes)
        self.control = control or RunControl()
        self.host = host or StandaloneHost(recipe.model, processes.device)
        self.method: Method = METHODS[recipe.method.name]()
        self.log, self.status, self.progress = Log(folder, recipe.watch), Status(folder), Progress(quiet=quiet)
        self.smoother, self.divergence = Smoother(recipe.watch.smoothing), Divergence()
        self.controls = Controls(folder, recipe.watch)
        self.saves = loan.exports(folder, recipe, self.host)
        self.turns = Turns(self.host, self.control, self.waits)
        self.started, self.began, self.owed = time.time(), False, set[str]()
        self.first: FirstWeights | None = None
        self.earlier_seconds = float(read_facts(folder).get("train_seconds", 0.0))

    def go(self) -> RunResult:
        """Borrow the model, prepare the dataset, train, prove the last save, report; give the model back whatever happens."""
        self.status.set("preparing")
        with ExitStack() as at_the_end:
            at_the_end.callback(self.log.close)
            at_the_end.callback(self.remove_tries)
            try:
                self.remove_tries()
                self.processes.send(Begin(self.recipe))
                self.model = settings.as_trained(self.recipe.train, self.turns.borrow(loan.lent_files(self.folder)))
                at_the_end.callback(self.host.give_back)
                self.recipe = loan.record_files(self.folder, self.recipe, self.host)
                self.painter = Painter(self.recipe, self.model, self.turns.do, self.progress.show)
                self.dataset, self.summary = prepare_dataset(
                    self.recipe, self.model, self.folder, self.prepares, self.turns.do, self.processes.shard
                )
                with self.turns.turn():
                    settings.apply(self.recipe.train, self.model, at_the_end)
                    self.method.attach(self.model, self.recipe)
                    at_the_end.callback(self.method.detach)
                    self.loop = self.make_loop()
                at_the_end.callback(self.turns.share)
                done = self.restore()
                self.settle(done)
                self.processes.send(Ready(done, self.folder, self.dataset.scan.fingerprint))
                self.processes.broadcast(self.loop.parameters)
                self.began = True
                outcome = self.train_steps(done)
                self.look_back()
                return self.end(*outcome)
            except (NotFinite, Diverged, DoesNotFit, ProcessLost) as failure:
                return self.end("failed", str(failure))
            except (Stopped, ModelUnavailable):
                return self.end("stopped", "Stopped before it began; resume begins there.")
            except OSError as failure:
                return self.end("failed", f"{without_number(failure)}. {INTACT}")
            except BaseException as failure:
                if out_of_memory(failure):
                    return self.end("failed", training_failed(self.recipe))
                # The project's own errors are sentences for the user; others are faults of the program, seen whole.
                if self.began and isinstance(failure, ValueError) and isinstance(failure, SdftError):
                    return self.end("failed", f"{failure} {INTACT}")
                self.stopped_by(failure)
                raise

    def prepares(self, what: str, done: int, total: int) -> None:
        """Show how far it is; the first moment at which a run can be stopped. Raises Stopped."""
        self.progress.show(what, done, total)
        self.status.set("preparing", done, total)
        if self.control.stopping:
            raise Stopped(what)

    def waits(self, message: str) -> None:
        """The host has another model loaded: say so, in the place where one looks."""
        done, total = self.done if self.began else 0, self.schedule.total_steps if self.began else 0
        self.status.set("paused", done, total, message=message)
        self.progress.say(message)

    def look_back(self) -> None:
        """Prove the last save against the weights in memory, and draw the grid of all."""
        self.status.set("drawing", self.done, self.schedule.total_steps, message=AFTER_THE_LAST_STEP)
        self.painter.progress = self.looks_back
        try:
            with self.loop.weights_to_show():
                in_memory = self.turns.do(self.answer)
            with self.turns.turn():
                self.method.detach()
            self.loop.end()
            give_memory_back()
            self.turns.do(lambda: self.prove(in_memory))
            self.painter.draw_grid(self.saves, self.controls, self.method, self.folder / "controls" / "grid.png")
        except ModelUnavailable:
            self.note(NOT_PROVEN)
        except DrawingError as failure:  # the training is whole
            self.note(f"There is no grid of the saves. {failure}")

    def note(self, text: str) -> None:
        """For the report."""
        add_facts(self.folder, notes=[*read_facts(self.folder).get("notes", []), text])

    def looks_back(self, what: str, done: int, total: int) -> None:
        """Show how far the grid is."""
        self.progress.show(what, done, total)
        message = f"{AFTER_THE_LAST_STEP} {what} ({done} of {total} pictures)."
        self.status.set("drawing", self.done, self.schedule.total_steps, message=message)

    def stopped_by(self, failure: BaseException) -> None:
        """Note what ended the run; it is raised on, so a disk that is full as well changes nothing."""
        with suppress(OSError):
            self.status.set("failed", message=str(failure) or type(failure).__name__)

    def make_loop(self) -> Loop:
        loop = loop_for(self.recipe, self.model, self.method, self.dataset, self.processes)
        self.schedule = Schedule(self.recipe, self.dataset.plan.steps_per_epoch, loop.total_steps)
        self.validation = Validation(self.recipe, self.dataset.batches)
        add_facts(self.folder, dataset=self.summary.data, notes=self.method.notes, versions=versions())
        return loop

    def restore(self) -> int:
        """Put the last state back; returns how many steps are done."""
        for part in (self.folder, *(path for path in self.folder.rglob("*") if path.is_dir())):
            atomic.clear(part)
        self.saves.clear()
        found = state.read_last(self.folder / "state")
        if found is None:
            self.log.resume(0)
            return 0
        done, tree = found
        state.remove_old(self.folder / "state", done)
        self.method.load_state(tree["method"])
        self.loop.load_state(tree["loop"])
        self.smoother.load(tree["smoother"])
        self.divergence.load(tree["divergence"])
        self.owed = set(tree.get("owed", ()))
        if tree.get("first"):
            self.first = FirstWeights(self.loop.parameters, set()).load(tree["first"])
        self.log.resume(done)
        self.progress.say(f"Going on after step {done}.")
        return done

    def settle(self, done: int) -> None:
        """On a GPU, see with one step what it takes of its memory, and so in which mode the run goes. Raises DoesNotFit."""
        settled = (
            memory_mode.choose_mode(self.turns, self.loop, self.dataset, done)
            if done < self.schedule.total_steps
            else None
        )
        if settled is not None:
            name, measured = settled
            text = f"{measured.text} {memory_mode.describe(name, self.recipe)}"
            add_facts(self.folder, memory=measured.facts(), mode=name)
            self.log.event(done, "memory", text=text)
            self.progress.say(text)

    def train_steps(self, done: int) -> tuple[Outcome, str]:
        """Step after step until the end, a stop, or trouble; between steps, whatever is due or asked for."""
        total = self.schedule.total_steps
        self.done, first, clock = done, done, time.perf_counter()
        if done == 0:
            self.progress.say(self.summary.text)
            # Pictures of before the first step: what the base model makes of the prompts.
            if FirstWeights.fit(self.loop.parameters):
                self.first = FirstWeights(self.loop.parameters, set(LOOKS))
            else:
                self.owed |= LOOKS
        if done > 0 or self.first is None:
            self.pay(done)
        while done < total:
            self.wait_while_paused(done)
            result = self.step(done)
            if result is not None:
                self.done = done = result.step
                self.watch_step(result, (time.perf_counter() - clock) / (done - first))
                self.pay_for_the_first()
                self.owed |= self.schedule.previews(done)
            stopping = self.control.stopping and done < total
            self.as_asked(done, save=stopping or self.schedule.save(done))
            self.pay(done)
            # Last: a run killed before this does the step's pictures and losses over, none is missing.
            if stopping or self.schedule.state(done):
                self.write_state(done)
            if stopping:
                return "stopped", f"Stopped after step {done} of {total}; resume goes on from there."
        return "finished", f"Finished after {total} steps."

    def step(self, done: int) -> StepResult | None:
        """One step in a turn of its own; None where the run was told to stop before its turn came."""

        def work() -> StepResult | None:
            if self.control.stopping:
                return None
            self.processes.step(done)
            return self.loop.step(done)

        try:
            return self.turns.do(work, self.loop.abandon, step=True)
        except ModelUnavailable:
            return None

    def wait_while_paused(self, done: int) -> None:
        """Hold the run while it is paused; what is asked for meanwhile is given."""
        while self.control.paused:
            self.turns.share()
            self.status.set("paused", done, self.schedule.total_steps)
            self.as_asked(done)
            self.pay(done)
            self.control.wait_while_paused()

    def as_asked(self, done: int, save: bool = False) -> None:
        """The files that are due or asked for. They hold the run's own weights: no turn with the model is needed."""
        if self.control.take_save() or save:
            self.save(done)
        if self.control.take_try():
            self.write_try(done)
        if self.control.take_sample():
            self.owed.add("controls")

    def pay(self, done: int) -> None:
        """Draw and measure what is owed. Where that needs a model that is gone, it stays owed, and a resume does it."""
        self.pay_for_the_first()
        if self.owed:
            with suppress(ModelUnavailable), self.loop.weights_to_show():
                self.look(done, self.owed)

    def pay_for_the_first(self) -> None:
        """What is owed for the weights before the first step; drawn after it, so that whoever presses Train sees steps."""
        if self.first is not None:
            with suppress(ModelUnavailable), self.first.applied():
                self.look(0, self.first.owed)
                self.first = None

    def look(self, step: int, owed: set[str]) -> None:
        """Control pictures and validation of the weights as they are."""
        if "controls" in owed:
            self.draw_controls(step)
            owed.discard("controls")
        if "validation" in owed:
            self.validate(step)
            owed.discard("validation")

    def watch_step(self, result: StepResult, seconds_per_step: float) -> None:
        """Log a step, show progress, and end the run where the loss has left for good."""
        smoothed = self.smoother.add(result.loss)
        step, total = result.step, self.schedule.total_steps
        rate = len(result.pictures) * self.processes.count / result.seconds
        if self.schedule.log(step):
            self.log.write(
                step,
                {
                    "epoch": self.schedule.epoch(step),
                    "loss": result.loss,
                    "smoothed": smoothed,
                    **{f"lr/{name}": value for name, value in result.learning_rates.items()},
                    "gradient_norm": result.gradient_norm,
                    "pictures_per_second": rate,
                    "memory_mb": memory_mb(),
                },
            )
        left = seconds_per_step * (total - step)
        self.status.set("training", step, total, left)
        self.progress.show("Training", step, total, f"loss {smoothed:.4f}, {rate:.1f} pictures/s")
        trouble = self.divergence.seen(result.loss)
        if trouble:
            raise Diverged(trouble)

    def save(self, step: int) -> None:
        """Write the file of this step; earlier saves stay if that fails."""
        last, epoch = self.schedule.last(step), self.schedule.epoch(step)
        loss = None if math.isnan(self.smoother.value) else self.smoother.value
        path = self.saves.write(step, epoch, loss, last, self.writer(step))
        for file in self.saves.files(self.saves.all()[-1]):
            self.turns.publish(file)
        self.log.event(step, "save", file=path.name)

    def write_try(self, step: int) -> None:
        """A temporary file of the training as it is, in place of the one before."""
        self.remove_tries()
        files = self.saves.write_try(step, self.writer(step))
        for file in files:
            self.turns.publish(file)
        self.log.event(step, "try", file=files[0].name)

    def remove_tries(self) -> None:
        """Delete temporary saves; one that a program holds open stays until the run is resumed."""
        for path in self.saves.tries():
            with suppress(OSError):
                path.unlink(missing_ok=True)
                self.turns.publish(path)

    def writer(self, step: int) -> Writer:
        """Writes a save of the weights as they are after a step."""
        facts, precision = self.facts(step, self.schedule.epoch(step)), self.recipe.save.precision

        def write(path: Path) -> list[Path]:
            metadata = lora_metadata(self.recipe, self.model.family, facts, path.stem)
            with self.loop.weights_to_save():
                self.method.save(path, metadata, precision)
                if isinstance(self.method, SeveralFiles):
                    return self.method.save_further(path, self.saves.further_folder, metadata, precision)
            return []

        return write

    def write_state(self, step: int) -> None:
        """All that a killed run needs to go on exactly."""
        tree: dict[str, Any] = {
            "method": self.method.state(),
            "loop": self.loop.state(),
            "smoother": self.smoother.state(),
            "divergence": self.divergence.state(),
            "owed": sorted(self.owed),
            "first": None if self.first is None else self.first.state(),
        }
        state.write(self.folder / "state", step, tree)
        add_facts(self.folder, train_seconds=self.train_seconds)

    def draw_controls(self, step: int) -> None:
        if self.controls.draw(step, lambda p, seeds: self.painter.draw(p, seeds, f"Control pictures at step {step}")):
            self.log.event(step, "controls")

    def validate(self, step: int) -> None:
        if self.recipe.watch.validation_every:
            with torch.no_grad():
                losses = self.validation.losses(lambda *batch: self.turns.do(lambda: self.loop.evaluate(*batch)))
            self.log.write(step, losses)

    def prove(self, in_memory: Tensor) -> None:
        """Read the last save back: with it the model must answer a fixed question as it did in memory."""
        if not self.saves.all():
            return
        with self.method.applied(self.saves.paths()[-1], self.model):
            answer = self.answer()
        add_facts(self.folder, readback_max_diff=float((answer - in_memory).abs().max()))

    def end(self, outcome: Outcome, message: str) -> RunResult:
        """Write down how it ended, and the report; where even that can't be written, the result says so."""
        try:
            self.write_end(outcome, message)
        except OSError as failure:
            if outcome != "failed":
                outcome, message = "failed", f"{message} But: {without_number(failure)}. {INTACT}"
            self.stopped_by(OSError(message))
        self.progress.say(message)
        return RunResult(self.folder, outcome, message, self.saves.paths())

    def write_end(self, outcome: Outcome, message: str) -> None:
        step = max((line["step"] for line in read_log(self.folder)), default=0)
        add_facts(self.folder, outcome=outcome, message=message, train_seconds=self.train_seconds)
        if outcome == "failed":
            self.log.event(step, "warning", text=message)
        self.log.close()
        report(self.folder)
        total = self.schedule.total_steps if hasattr(self, "schedule") else 0
        self.status.set(outcome, step, total, message=message)

    def answer(self) -> Tensor:
        """The model's answer to one fixed question, with the first control prompt or the trigger."""
        prompt = next(iter([*self.recipe.watch.concept_prompts, self.recipe.dataset.concepts[0].trigger]))
        return fixed_answer(self.model, prompt, self.recipe.dataset.resolution, self.recipe.model.clip_skip)

    def facts(self, step: int, epoch: int) -> RunFacts:
        """What a saved file tells of this run."""
        scan, plan = self.dataset.scan, self.dataset.plan
        return RunFacts(
            base=self.model.path,
            started=self.started,
            steps=step,
            epoch=epoch,
            total_steps=self.schedule.total_steps,
            steps_per_epoch=plan.steps_per_epoch,
            instances=len(scan.instances),
            regularization=len(scan.regularization),
            dataset_dirs=dataset_dirs(scan, False),
            reg_dataset_dirs=dataset_dirs(scan, True),
            tag_frequency=tag_frequency(scan),
            buckets=tuple((q.bucket.width, q.bucket.height, len(set(q.instances))) for q in plan.queues),
            processes=self.processes.count,
        )

    @property
    def train_seconds(self) -> float:
        """Seconds so far, those before a resume included."""
        return self.earlier_seconds + time.time() - self.started
