"""Previews of the weights while a run trains: control pictures, the judge's numbers of them, validation losses, and
the losses of single pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.profiler import record_function

from ..control import Interrupted, RunControl
from ..judge.judge import Judge
from ..judge.loss_rules import stable_losses
from ..judge.verdict import Verdict
from ..recipe import Recipe
from ..run_folder import picture_losses, verdict
from ..run_folder.facts import add_facts
from ..run_folder.log import Log
from ..run_folder.picture_losses import PictureLosses
from ..train.weights import FirstWeights
from ..watch.controls import Controls
from ..watch.painter import Painter
from ..watch.picture_losses import measured_pictures
from ..watch.validation import Evaluate, Validation
from .display import Display
from .judging import as_base, judge_controls, starts_as_base, write_verdict
from .pace import PREVIEWS, Pace
from .setup import Session
from .turns import ModelUnavailable

ALL = frozenset({"controls", "validation", "pictures"})


class Previews:
    """Which previews are due, and drawing them.

    What can't be drawn because the host has another model loaded, or because the run is stopping, stays due, and the
    resumed run draws it.
    """

    def __init__(
        self, folder: Path, recipe: Recipe, log: Log, display: Display, pace: Pace, control: RunControl
    ) -> None:
        self.recipe, self.log, self.display = recipe.watch, log, display
        self.controls = Controls(folder, recipe.watch)
        self.judge, self.pace, self.control = Judge(folder, recipe, self.controls), pace, control
        self.judge.measure, pace.column = pace.work, self.controls.different / max(len(self.controls.entries), 1)
        self.due: set[str] = set()
        """The names of previews that are due with the present weights."""
        self.first: FirstWeights | None = None
        """The weights before the first step, until their previews are drawn."""
        self.verdict: Verdict | None = None
        """What the saves so far come to, since the run began or was resumed."""
        self.resumed_anyway = False
        """Whether the run is resumed after its saves had become worse: its user wants to go on."""

    def begin(self, session: Session) -> None:
        """Keep the weights of before the first step for their previews, so that steps come at once; else draw these
        now.
        """
        if FirstWeights.fit(session.loop.parameters):
            self.first = FirstWeights(session.loop.parameters, set(ALL))
        else:
            self.due |= ALL
            self.draw_due(session, 0)

    def begin_again(self, session: Session, step: int) -> None:
        """Draw, after a resume at ``step``, what is due; where there are no control pictures, as after a change of
        their prompts, first those of before the first step.
        """
        picture_losses.forget_after(session.folder, step)
        self.resumed_anyway = bool(verdict.read(session.folder).get("settled"))
        if self.controls.entries and not self.controls.steps():
            if self.first is None:
                self.due |= {"start", "controls"}
            else:
                self.first.due.add("controls")
        self.draw_due(session, step)

    def draw_due(self, session: Session, step: int) -> None:
        """Make the previews that are due with the weights after ``step`` steps, and those still due with the first
        weights.
        """
        self.draw_first(session)
        if self.due:
            with suppress(ModelUnavailable, Interrupted), session.loop.weights_to_show():
                self.evaluate(session, step, self.due)

    def draw_first(self, session: Session) -> None:
        """Make the previews that are due with the weights before the first step."""
        if self.first is not None:
            with suppress(ModelUnavailable, Interrupted), self.first.applied():
                self.evaluate(session, 0, self.first.due)
                self.first = None

    def evaluate(self, session: Session, step: int, due: set[str]) -> None:
        """Make the ``due`` previews with the weights as they are; what is done is removed from ``due``."""
        self.control.check()
        comes_to_more = bool(due & {"start", "controls", "judging", "pictures"})
        with record_function("run.previews"):
            if due & {"start", "controls", "judging"}:
                self._draw_and_judge(session, step, due)
            if "validation" in due:
                with self.pace.work("validation"):
                    self._validate(session, step)
                due.discard("validation")
            if "pictures" in due:
                with self.pace.work("pictures"):
                    self._measure_pictures(session, step)
                due.discard("pictures")
            if comes_to_more and step > 0:
                self.verdict = write_verdict(session.folder, self.judge, step, self.log)

    @property
    def settled(self) -> bool:
        """Tell whether the run should end, because its saves have become worse."""
        wanted = self.recipe.stop_early and not self.resumed_anyway
        return wanted and self.verdict is not None and self.verdict.settled

    def state(self) -> dict[str, Any]:
        """Give what a resumed run still has to draw."""
        return {"owed": sorted(self.due), "first": None if self.first is None else self.first.state()}

    def load(self, state: dict[str, Any], parameters: Sequence[nn.Parameter]) -> None:
        """Put back what ``state`` gave. States of older versions have neither key."""
        self.due = set(state.get("owed", ()))
        if state.get("first"):
            self.first = FirstWeights(parameters, set()).load(state["first"])

    def _draw_and_judge(self, session: Session, step: int, due: set[str]) -> None:
        if "start" in due:
            self._draw_start(session)
            due.discard("start")
        if "controls" in due:
            self._draw_controls(session, step, session.turns.do)
            due.discard("controls")
            due.add("judging")
        if session.recipe.watch.judge:
            judge_controls(session, self.judge, step, self.log, self.control.check)
        due.discard("judging")
        if self.controls.entries:
            with suppress(OSError):  # a forecast of later runs isn't worth ending this one
                add_facts(session.folder, previews=self._costs(session.recipe))

    def _costs(self, recipe: Recipe) -> dict[str, float]:
        """Give what the control pictures cost so far, and what that depends on, for forecasts of later runs."""
        watch, pictures = recipe.watch, len(self.controls.entries)
        passes = watch.sampler_steps * (2 if watch.guidance > 1 else 1)
        known = {kind: self.pace.seconds_of(kind) for kind in PREVIEWS}
        side = watch.size or recipe.dataset.resolution
        costs = {"pictures": pictures, "passes": passes, "side": side}
        return costs | {kind: seconds for kind, seconds in known.items() if seconds}

    def _draw_start(self, session: Session) -> None:
        """Draw the pictures of step 0 with the base model, where the run began with it and it is still available."""
        if starts_as_base(session):
            self._draw_controls(session, 0, as_base(session, self.control.check))
            if session.recipe.watch.judge:
                judge_controls(session, self.judge, 0, self.log, self.control.check)

    def _draw_controls(self, session: Session, step: int, do: Callable[[Callable[[], Any]], Any]) -> None:
        show, check = self.display.progress.show, self.control.check
        painter = Painter(session.recipe, session.model, do, show, check)
        label = f"Control pictures at step {step}"
        with self.pace.work("controls"):
            paths = self.controls.draw(step, lambda prompts, seeds: painter.draw(prompts, seeds, label))
        if paths:
            self.log.event(step, "controls")

    def _validate(self, session: Session, step: int) -> None:
        if session.recipe.watch.validation_every:
            with torch.no_grad():
                losses = Validation(session.recipe, session.dataset.batches).losses(self._evaluate(session))
            self.log.write(step, losses)

    def _measure_pictures(self, session: Session, step: int) -> None:
        """Measure the losses of single pictures as at the start; a run that measured none then has nothing to compare
        them with.
        """
        chosen, plan = session.measuring, session.dataset.plan
        described = measured_pictures(plan, chosen.pictures)
        before = PictureLosses(chosen.draws, described) if step == 0 else picture_losses.read(session.folder)
        if not described or before is None or before.pictures != described:
            return
        validation = Validation(session.recipe, session.dataset.batches, before.draws)
        with torch.no_grad():
            own = validation.of_pictures(chosen.pictures, self._evaluate(session))
            called = validation.of_pictures(chosen.pictures, self._evaluate(session), plan.phrase)
        found = before.measured(step, *([losses[one] for one in chosen.pictures] for losses in (own, called)))
        picture_losses.write(session.folder, found)
        self.log.event(step, "picture_losses")
        if not session.recipe.watch.validation_every:
            means = stable_losses(found)
            series = {"validation/held_out": means.held_out, "validation/training": means.training}
            finite = {name: losses[step] for name, losses in series.items() if step in losses}
            if finite:
                self.log.write(step, finite)

    def _evaluate(self, session: Session) -> Evaluate:
        """Return a function that computes losses, each batch in a turn with the model."""

        def evaluate(*batch: Any) -> torch.Tensor:
            self.control.check()
            return session.turns.do(lambda: session.loop.evaluate(*batch))

        return evaluate
