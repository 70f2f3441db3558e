"""Judges control pictures while a run trains: what is trained is taken out of the model, which then is the base."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import TypeVar

from ..judge.judge import Judge
from ..judge.numbers import Numbers
from ..method.base import Removable
from ..out_of_memory import close_others, full, out_of_memory
from ..run_folder.log import Log
from .setup import Session

T = TypeVar("T")


def judge_controls(session: Session, judge: Judge, step: int, log: Log, check: Callable[[], object]) -> Numbers | None:
    """Judge the control pictures of a step, and log its numbers; where memory is too short for that, the log says so
    and the run goes on without them. ``check`` is called between turns: it raises where the run is to stop.
    """

    def as_base(work: Callable[[], T]) -> T:
        def inside() -> T:
            # A method without ``without`` changes nothing that the judge uses: new words are in none of its prompts.
            with session.method.without() if isinstance(session.method, Removable) else nullcontext():
                return work()

        check()
        return session.turns.do(inside)

    try:
        found = judge.look(step, session.model, session.dataset.scan, as_base)
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
