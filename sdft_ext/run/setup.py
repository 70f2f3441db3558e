"""Sets up a run: borrows the model, prepares the dataset, attaches the method and builds the training loop."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from ..analysis.summary import Report, summarize
from ..dataset import black_masks
from ..dataset.prepare import Dataset, Lend, Progress, at_once, prepare
from ..dataset.shard import ALL, Shard
from ..method import METHODS
from ..method.base import Method
from ..model.base import Model
from ..model.text import check_clip_skip
from ..recipe import Recipe
from ..recipe.advice import advice, length_advice, resolution_advice
from ..run_folder import dataset as dataset_file
from ..run_folder.facts import add_facts
from ..train import schedules, settings
from ..train.loop import Loop, loop_for
from ..train.processes import Processes
from ..watch.picture_losses import Measuring, measuring
from ..watch.surroundings import versions
from . import loan
from .disk import disk_use, free_megabytes
from .schedule import Schedule
from .turns import Turns


@dataclass(frozen=True)
class Session:
    """What a run trains with, in each of its processes.

    ``recipe`` names the model that was borrowed, which may be another one than the run's recipe named at first.
    """

    folder: Path
    recipe: Recipe
    turns: Turns
    model: Model
    dataset: Dataset
    summary: Report
    method: Method
    loop: Loop
    schedule: Schedule
    measuring: Measuring


def set_up(
    folder: Path,
    recipe: Recipe,
    turns: Turns,
    processes: Processes,
    at_the_end: ExitStack,
    progress: Progress | None = None,
) -> Session:
    """Make the session of a run, in each of its processes alike; only the main one reads and writes the run's folder.

    ``at_the_end`` gets whatever must be undone. Raises HostError, ModelError, DatasetError, MethodError, RecipeError or
    OSError where the run can't begin, and ModelUnavailable.
    """
    model = settings.as_trained(recipe.train, turns.borrow(loan.lent_files(folder) if processes.main else None))
    at_the_end.callback(turns.host.give_back)
    check_clip_skip(model, recipe.model.clip_skip)
    if processes.main:
        recipe = loan.record_files(folder, recipe, turns.host)
        loan.check_hashes(folder, model.path, recipe.model.vae)
        loan.record_dates(folder, model.path, recipe.model.vae)
    dataset, summary = prepare_dataset(
        recipe, model, folder if processes.main else None, progress, turns.do, processes.shard
    )
    method: Method = METHODS[recipe.method.name]()
    with turns.turn():
        settings.apply(recipe.train, model, at_the_end)
        method.attach(model, recipe)
        at_the_end.callback(method.detach)
        loop = loop_for(recipe, model, method, dataset, processes)
    at_the_end.callback(turns.share)
    if processes.main:
        add_facts(folder, dataset=summary.data, notes=method.notes, versions=versions())
    schedule = Schedule(recipe, dataset.plan.steps_per_epoch, loop.total_steps)
    showings = loop.total_steps * recipe.train.batch_size * recipe.train.accumulation // processes.count
    saves = [*schedule.saves_before_the_end, loop.total_steps]
    pictures = measuring(recipe, dataset.plan, showings, saves)
    schedule = replace(schedule, picture_losses=pictures.steps)
    return Session(folder, recipe, turns, model, dataset, summary, method, loop, schedule, pictures)


def prepare_dataset(
    recipe: Recipe,
    model: Model,
    folder: Path | None,
    progress: Progress | None = None,
    lend: Lend = at_once,
    shard: Shard = ALL,
) -> tuple[Dataset, Report]:
    """Prepare the run's dataset, and write its summary into the run's ``folder`` (None: write nothing).

    Raises DatasetError where there is nothing to train on, or the run began with other pictures or captions.
    """
    began_with = None if folder is None else dataset_file.read_fingerprint(folder)
    dataset = prepare(recipe, model, began_with, progress, lend, shard)
    plan = dataset.plan
    steps = schedules.length(recipe.train, plan.total_steps)
    saves = len(Schedule(recipe, plan.steps_per_epoch, steps).saves_before_the_end) + 1
    notes = [*dataset.notes, *advice(recipe), *length_advice(recipe, steps, plan.steps_per_epoch, saves)]
    notes += resolution_advice(recipe, model.family.native_resolution, model.family.full_size)
    notes += [] if folder is None else black_masks.notes(dataset.scan, recipe)
    summary = summarize(dataset.scan, plan, list(dict.fromkeys(notes)), recipe.method.name)
    disk = disk_use(recipe, model.family, saves, summary.data["cache_bytes"])
    summary = replace(summary, text=f"{summary.text}\n{disk.text(free_megabytes(Path(recipe.save.output)))}\n")
    if folder is not None:
        dataset_file.write(folder, summary.data, dataset.fingerprint)
    return dataset, summary
