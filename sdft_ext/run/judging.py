"""Judges control pictures while a run trains: what is trained is taken out of the model, which then is the base."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TypeVar

from ..judge.judge import Judge
from ..judge.loss_rules import stable_losses
from ..judge.numbers import Numbers
from ..judge.verdict import Verdict
from ..method.base import Removable
from ..out_of_memory import close_others, full, out_of_memory
from ..recipe import WORDS
from ..recipe.rules import fields
from ..run_folder import picture_losses, verdict
from ..run_folder.log import Log
from ..run_folder.saves import existing
from .setup import Session

T = TypeVar("T")


def as_base(session: Session, check: Callable[[], object]) -> Callable[[Callable[[], T]], T]:
    """Return a function that does work in a turn in which the model is the base: nothing that is trained takes part.

    ``check`` is called before each turn: it raises where the run is to stop.
    """

    def do(work: Callable[[], T]) -> T:
        def inside() -> T:
            # A method without ``without`` changes nothing that the judge uses: new words are in none of its prompts.
            with session.method.without() if isinstance(session.method, Removable) else nullcontext():
                return work()

        check()
        return session.turns.do(inside)

    return do


def starts_as_base(session: Session) -> bool:
    """Return whether the run began with the base model as it is, and can still draw with it."""
    recipe = session.recipe
    continued = any(field.path.endswith(".continue_from") and field.value for field in fields(recipe))
    return isinstance(session.method, Removable) and recipe.method.name not in WORDS and not continued


def judge_controls(session: Session, judge: Judge, step: int, log: Log, check: Callable[[], object]) -> Numbers | None:
    """Judge the control pictures of a step, and log its numbers; where memory is too short for that, or a file can't be
    read or written, the log says so and the run goes on without them. ``check`` is called between turns: it raises
    where the run is to stop.
    """

    try:
        found = judge.look(step, session.model, session.dataset.scan, as_base(session, check))
    except OSError as error:
        log.event(step, "warning", text=f"The control pictures of step {step} are not judged: {error}")
        return None
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        log.event(
            step,
            "warning",
            text=f"{full(error)}: the control pictures of step {step} are not judged; {close_others(error)}.",
        )
        return None
    if found is not None:
        shares = {"judge/learned": found.least_learned, "judge/bleeding": found.worst_bleeding}
        log.write(step, {name: share.value for name, share in shares.items() if share.of})
        log.event(step, "judged", **found.plain())
    return found


def write_verdict(folder: Path, judge: Judge, step: int, log: Log) -> Verdict | None:
    """Log what the saves so far come to, by the judge's numbers and the losses of single pictures, and keep it in the
    run's folder; None where nothing is known of any save. Raises OSError where a file can't be read or written.
    """
    losses = stable_losses(picture_losses.read(folder))
    come_to = judge.verdict([save.step for save in existing(folder)], losses)
    if come_to is not None:
        best = judge.numbers(come_to.step)
        verdict.write(folder, come_to.plain(), None if best is None else best.plain())
        log.event(step, "verdict", **come_to.plain())
    return come_to
