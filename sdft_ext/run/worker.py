"""A run in several processes, as the others than the main one go through it: they take its steps and write nothing.

What the main process tells comes in this order: ``Begin``, ``Ready``, the numbers of steps, and None at the end, which may
come at any time.
"""

from __future__ import annotations

from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..control import RunControl
from ..dataset.folder import DatasetError
from ..dataset.prepare import prepare
from ..host.standalone import StandaloneHost
from ..method import METHODS
from ..method.base import Method
from ..recipe import Recipe, RecipeError
from ..run_folder import state
from ..run_folder.facts import add_facts, read_facts
from ..train import settings
from ..train.loop import Loop, NotFinite, loop_for
from ..train.processes import Processes
from . import memory_mode
from .turns import Turns


@dataclass(frozen=True)
class Begin:
    """Load the model and the dataset."""

    recipe: Recipe


@dataclass(frozen=True)
class Ready:
    """Go on after step ``done`` of the run in ``folder``. ``fingerprint``: of the dataset."""

    done: int
    folder: Path
    fingerprint: str


def run_worker(processes: Processes) -> None:
    """Do what the main process tells, until it ends. Raises what a run raises that can't begin, and Lost."""
    begin = processes.receive()
    if begin is None:
        return
    recipe: Recipe = begin.recipe
    host = StandaloneHost(recipe.model, processes.device)
    turns = Turns(host, RunControl(), lambda _: None)
    with ExitStack() as at_the_end:
        model = settings.as_trained(recipe.train, turns.borrow(None))
        at_the_end.callback(host.give_back)
        dataset = prepare(recipe, model, lend=turns.do, shard=processes.shard)
        with turns.turn():
            settings.apply(recipe.train, model, at_the_end)
            method: Method = METHODS[recipe.method.name]()
            method.attach(model, recipe)
            at_the_end.callback(method.detach)
            loop = loop_for(recipe, model, method, dataset, processes)
        at_the_end.callback(turns.share)
        ready = processes.receive()
        if ready is None:
            return
        if ready.fingerprint != dataset.scan.fingerprint:
            raise DatasetError(
                "The pictures or captions are not those of the main process: give all computers the same."
            )
        restore(ready, method, loop)
        if ready.done < loop.total_steps:
            memory_mode.choose_mode(turns, loop, dataset, ready.done)
        processes.broadcast(loop.parameters)
        while (step := processes.receive()) is not None:
            # The main process, which sees the same, says what follows.
            with suppress(NotFinite):
                turns.do(partial(loop.step, step), loop.abandon, step=True)


def restore(ready: Ready, method: Method, loop: Loop) -> None:
    """The state that the main process goes on from. Raises StateError where it isn't there."""
    if not ready.done:
        return
    found = state.read_last(ready.folder / "state")
    if found is None or found[0] != ready.done:
        raise state.StateError(
            f"The state of step {ready.done} is not in {ready.folder}: the run's folder must lie at the same place for all "
            "computers, on a disk that they share."
        )
    method.load_state(found[1]["method"])
    loop.load_state(found[1]["loop"])


def same_count(folder: Path, processes: Processes) -> None:
    """A run goes on in as many processes as it began in: its batches are theirs. Raises RecipeError."""
    began = read_facts(folder).get("processes")
    if began is None and processes.count > 1 and not state.states(folder / "state"):
        add_facts(folder, processes=processes.count)
    elif (began or 1) != processes.count:
        way = f"with accelerate launch --multi_gpu --num_processes {began}" if began else "without accelerate launch"
        raise RecipeError(
            f"The run in {folder} goes on in as many processes as it began in, or its batches would be others: resume it {way}."
        )
