"""python -m bench strategies [--quick] [--work FOLDER] [--json FILE]: what captions of different kinds do.

On the toy model, a LoRA of a star whose pictures share two features by half: a colour and a badge. The same pictures
are captioned in six ways. How fast each learns, what comes along with the trigger, what can be asked for and what
bleeds is counted in pictures. Runs that are measured already are not made again: the command goes on where it was
stopped, and two of it at once share the work. The first half of the runs has no regularization pictures, the other has;
after each half, the section of ``docs/methods.md`` is written.
"""

from __future__ import annotations

import argparse
import dataclasses
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from sdft_ext.method import METHODS
from sdft_ext.model.base import Model
from sdft_ext.model.load import load
from sdft_ext.recipe import Recipe
from sdft_ext.run import run
from sdft_ext.storage import file_lock, json_file
from sdft_ext.toy import badges, demo, measure, world
from sdft_ext.toy.install import CHECKPOINT
from sdft_ext.watch.progress import Progress

from . import strategies_page
from .method_figures import run_folder
from .method_rows import settings_of
from .methods import DOCS, WORK, machine
from .strategy_figures import BASE, COMMAND, GROUPS, Runs, complete, read_figures
from .strategy_rows import (
    COLOUR,
    QUICK,
    STRATEGIES,
    Plan,
    Row,
    Shown,
    at_end,
    captions,
    on_way,
    recipe,
    write_instance,
)
from .strategy_rows import rows as all_rows
from .table import show

SAMPLER = dataclasses.replace(demo.SAMPLER, steps=10)
"""Half the steps of other benches: a run that was drawn with both had nearly the same counts."""
Groups = Mapping[str, Sequence[tuple[str, Shown | None]]]


def count(pictures: Sequence[world.Picture], asked: Sequence[Shown | None]) -> dict[str, int]:
    """Count what pictures show. ``obeyed``: of those that ask for a colour and a background, how many have both."""
    readings = [badges.read(picture) for picture in pictures]
    pairs = list(zip(readings, asked, strict=True))
    return {
        "of": len(pictures),
        "star": sum(map(measure.shows_subject, readings)),
        "badge": sum(map(badges.has_badge, pictures)),
        "colour": sum(reading.colour == COLOUR for reading in readings),
        "obeyed": sum(bool(w) and (r.colour, r.background) == (w.colour, w.background) for r, w in pairs if w),
    }


def measured(groups: Groups, model: Model, seed: int, progress: Progress, what: str) -> dict[str, dict[str, int]]:
    """Draw and count pictures of each group, with the same seeds for all strategies."""
    found = {}
    for name, prompts in groups.items():
        first = demo.SEED + 100_000 * seed + 1000 * GROUPS.index(name)
        texts = [text for text, _ in prompts]
        drawn = demo.pictures(model, texts, first, progress, f"{what}, {name}", SAMPLER)
        found[name] = count(drawn, [shown for _, shown in prompts])
    return found


def asked_for(row: Row, plan: Plan, found: Recipe) -> dict[str, Any]:
    """Return what decides a run's figures: those of other settings aren't used."""
    return {**settings_of(found), "captions": captions(row.strategy), "drawn": plan.pictures}


def make(row: Row, seed: int, plan: Plan, work: Path, progress: Progress) -> dict[str, Any]:
    """Train and measure one run."""
    folder = run_folder(work, row.name, seed)
    pictures, trained = folder / "pictures", folder / "run"
    shutil.rmtree(folder, ignore_errors=True)
    write_instance(row.strategy, pictures)
    trained.mkdir()
    made = recipe(row, seed, pictures, plan)
    made.save.output, made.save.name = str(folder.absolute()), "run"
    started = time.process_time()
    result = run.train(made, folder=trained, quiet=True)
    seconds = time.process_time() - started
    if result.outcome != "finished":
        raise RuntimeError(f"{row.name}, seed {seed}: {result.message}")
    method, model = METHODS[made.method.name](), load(made.model.base)
    steps = [int(entry["step"]) for entry in json_file.read(trained / "saves" / "index.json")]
    found = {}
    for step, path in zip(steps, result.saves, strict=True):
        groups = on_way(row.strategy, plan.pictures) | (at_end(plan.pictures) if step == steps[-1] else {})
        with method.applied(path, model):
            found[str(step)] = measured(groups, model, seed, progress, f"step {step}")
    shutil.rmtree(trained)
    settings = asked_for(row, plan, made)
    return {"saves": found, "settings": settings, "seconds": round(seconds), "machine": machine()}


def make_base(seed: int, plan: Plan, progress: Progress) -> dict[str, Any]:
    """Measure the base as it is, with the same prompts and seeds."""
    model = load(str(CHECKPOINT))
    groups = on_way(STRATEGIES["sentence"], plan.pictures) | at_end(plan.pictures)
    return {"saves": {"0": measured(groups, model, seed, progress, "the base")}, "settings": {"drawn": plan.pictures}}


def make_missing(rows: Sequence[Row | None], plan: Plan, work: Path, progress: Progress) -> None:
    """Make the runs that aren't measured yet with today's settings, but those that another program makes now."""
    work.mkdir(parents=True, exist_ok=True)
    for seed in range(1, plan.seeds + 1):
        for row in rows:
            name = row.name if row else BASE
            file = run_folder(work, name, seed) / "figures.json"
            try:
                with file_lock.locked(work / f"{name}-{seed}.lock", seconds=0):
                    if is_measured(read_figures(work), row, seed, plan):
                        continue
                    progress.say(f"{name}, seed {seed} …")
                    found = make(row, seed, plan, work, progress) if row else make_base(seed, plan, progress)
                    file.parent.mkdir(parents=True, exist_ok=True)
                    json_file.write(file, found)
            except file_lock.Locked:
                continue


def is_measured(figures: Runs, row: Row | None, seed: int, plan: Plan) -> bool:
    """Return whether a run's figures are there, of today's settings; without a row, the base's."""
    found = figures.get(row.name if row else BASE, {}).get(seed)
    if found is None:
        return False
    if row is None:
        return bool(found["settings"] == {"drawn": plan.pictures})
    return bool(found["settings"] == asked_for(row, plan, recipe(row, seed, Path("pictures"), plan)))


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("--seeds", type=int, help=f"runs of each row; default: {Plan.seeds}")
    parser.add_argument("--work", type=Path, help=f"folder of the figures; default: {WORK / 'strategies'}")
    parser.add_argument("--docs", type=Path, help="folder of methods.md; default: docs")
    parser.add_argument("--quick", action="store_true", help="runs of few steps, as a test; the page stays as it is")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    plan = QUICK if options.quick else Plan()
    plan = dataclasses.replace(plan, seeds=options.seeds or plan.seeds)
    work = options.work or WORK / ("strategies-quick" if options.quick else "strategies")
    figures, measured_rows = None, dict[str, Mapping[int, Any]]()
    for regularized in (False, True):
        rows = (None, *all_rows(regularized))
        make_missing(rows, plan, work, Progress())
        missing = [
            f"{name} (seed {seed})"
            for name, row in zip(_names(rows), rows, strict=True)
            for seed in range(1, plan.seeds + 1)
            if not is_measured(read_figures(work), row, seed, plan)
        ]
        if missing:
            print(f"No figures, or of other settings: {', '.join(missing)}.", file=sys.stderr)
            break
        measured_rows |= {name: found for name, found in read_figures(work).items() if name in _names(rows)}
        figures = complete(measured_rows, plan.seeds)
        if options.docs or not options.quick:
            strategies_page.write_section(figures, options.docs or DOCS)
    if figures:
        header, lines = strategies_page.summary(figures)
        show(header, lines, figures.plain(), options.json)
    return 0


def _names(rows: Sequence[Row | None]) -> list[str]:
    return [row.name if row else BASE for row in rows]
