"""python -m bench methods [--only NAME …] [--seeds 3] [--json FILE]: what every method learns, on the toy model.

Each is trained as the page would begin: its preset, the normal length, the example; once for each seed. What it has
learned and what bleeds is counted in pictures that it draws. Runs that are measured already, with today's settings, are
not made again: the command goes on where it was stopped, and two of it at once share the work. ``docs/methods.md`` and
its pictures are written from the figures of all runs in the work folder, once they are complete.
"""

from __future__ import annotations

import argparse
import platform
import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch

from sdft_ext.judge.shares import Share, worst
from sdft_ext.method import METHODS
from sdft_ext.model.base import Model
from sdft_ext.model.load import load
from sdft_ext.model.sample import sample
from sdft_ext.recipe.method_info import FIGURES
from sdft_ext.run import run
from sdft_ext.storage import file_lock, json_file
from sdft_ext.toy import demo
from sdft_ext.watch.progress import Progress

from .method_figures import Figures, of_row, read_figures, run_folder
from .method_rows import LEARNED, ROWS, Row, default_recipe, settings_of
from .methods_page import COMMAND, size, write_figures, write_page
from .table import show

DOCS = Path(__file__).resolve().parent.parent / "docs"
WORK = Path("out/methods")
SEEDS = 3
CONCEPT_PICTURES, GROUP_PICTURES = 64, 200
"""Pictures drawn for each seed: with the trigger, and in each group without it."""


def make(row: Row, seed: int, work: Path, progress: Progress) -> None:
    """Train and measure one run; its folder holds the run, the figures, and the pictures to show."""
    recipe, folder = default_recipe(row, seed), run_folder(work, row.name, seed)
    shutil.rmtree(folder, ignore_errors=True)
    if row.taught.draw:
        drawn = work / f"{row.concept}-pictures-{row.name}-{seed}"
        row.taught.draw(drawn)
        recipe.dataset.concepts[0].instance = str(drawn)
    recipe.save.output, recipe.save.name = str(folder.absolute()), row.name
    folder.mkdir(parents=True)
    started = time.process_time()
    result = run.train(recipe, folder=folder)
    seconds = time.process_time() - started
    if result.outcome != "finished":
        raise RuntimeError(f"{row.name}: {result.message}")
    method, model = METHODS[recipe.method.name](), load(recipe.model.base)
    save = result.saves[-1]
    if row.compared:
        enough = (one for one in result.saves if learned(row, method.applied(one, model), model, progress) >= LEARNED)
        save = next(enough, save)
    with method.applied(save, model):
        figures = measured(row, model, seed, progress)
        draw(row, model, folder)
    steps = [entry["step"] for entry in json_file.read(folder / "saves" / "index.json")]
    more = {
        "settings": settings_of(recipe),
        "seconds": round(seconds),
        "bytes": save.stat().st_size,
        "steps": steps[result.saves.index(save)],
        "machine": machine(),
    }
    json_file.write(folder / "figures.json", {**figures, **more})


def make_base(concept: str, seed: int, work: Path, progress: Progress) -> None:
    """Measure the base as it is, with the same prompts and seeds."""
    row = next(row for row in ROWS if row.concept == concept)
    model, folder = load(default_recipe(row).model.base), run_folder(work, f"base-{concept}", seed)
    folder.mkdir(parents=True, exist_ok=True)
    figures = measured(row, model, seed, progress)
    draw(row, model, folder)
    json_file.write(folder / "figures.json", figures)


def measured(row: Row, model: Model, seed: int, progress: Progress) -> dict[str, Any]:
    """Count what a model draws as it is now: pictures with the concept, of those asked for with and without it."""
    first = demo.SEED + 100_000 * seed
    with_it = drawn(model, row.taught.prompts(CONCEPT_PICTURES), first, progress, "the concept")
    groups = {
        name: Share(row.taught.count(drawn(model, captions, first + 1000 * number, progress, name)), len(captions))
        for number, (name, captions) in enumerate(row.taught.bleeding(GROUP_PICTURES).items(), start=1)
    }
    return {"learned": Share(row.taught.count(with_it), len(with_it)), "bleeding": groups}


def drawn(model: Model, captions: Sequence[str], seed: int, progress: Progress, what: str) -> list[Any]:
    return demo.pictures(model, captions, seed, progress, f"Measuring {what}")


def learned(row: Row, applied: AbstractContextManager[None], model: Model, progress: Progress) -> float:
    """Return the share of pictures with the trigger that show the concept, in a save."""
    with applied:
        captions = row.taught.prompts(demo.CONCEPT_PICTURES)
        return row.taught.count(drawn(model, captions, demo.SEED + 1000, progress, "a save")) / len(captions)


def draw(row: Row, model: Model, folder: Path) -> None:
    """Draw the pictures that the page shows."""
    prompts = row.taught.shown
    seeds = list(range(demo.SEED + 9000, demo.SEED + 9000 + len(prompts)))
    for number, picture in enumerate(sample(model, prompts, seeds, demo.SAMPLER)):
        picture.save(folder / f"shown-{number}.png")


def machine() -> str:
    """Name the processor, as far as the system tells."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
        cpu = names[0] if names else cpu
    return f"{cpu}, one thread, torch {torch.__version__.partition('+')[0]}"


def is_measured(figures: Figures, row: Row, seed: int) -> bool:
    """Return whether a run's figures are there, of today's settings."""
    found = figures.get(row.name, {}).get(seed)
    return found is not None and found["settings"] == settings_of(default_recipe(row, seed))


def make_missing(rows: Sequence[Row], seeds: int, work: Path, again: bool) -> None:
    """Make the runs and bases that aren't measured yet (``again``: all), but those that another program makes now."""
    progress = Progress()
    work.mkdir(parents=True, exist_ok=True)
    concepts = dict.fromkeys(row.concept for row in rows)
    names = [*(f"base-{concept}" for concept in concepts), *(row.name for row in rows)]
    tasks = [(name, seed) for seed in range(1, seeds + 1) for name in names]
    named = {row.name: row for row in rows}
    for name, seed in tasks:
        try:
            with file_lock.locked(work / f"{name}-{seed}.lock", seconds=0):
                figures, row = read_figures(work), named.get(name)
                if not again and (is_measured(figures, row, seed) if row else seed in figures.get(name, {})):
                    continue
                progress.say(f"{name}, seed {seed} …")
                if row:
                    make(row, seed, work, progress)
                else:
                    make_base(name.removeprefix("base-"), seed, work, progress)
        except file_lock.Locked:
            continue


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    names = [row.name for row in ROWS]
    parser.add_argument("--only", nargs="*", choices=names, metavar="NAME", help="only these rows; none: only the page")
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"runs of each row; default: {SEEDS}")
    parser.add_argument("--again", action="store_true", help="make runs anew that are measured already")
    parser.add_argument("--work", type=Path, default=WORK, help=f"folder of the runs and figures; default: {WORK}")
    parser.add_argument("--docs", type=Path, help="folder of the page; default: docs, once all figures are there")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    make_missing(
        [row for row in ROWS if options.only is None or row.name in options.only],
        options.seeds,
        options.work,
        options.again,
    )
    figures = read_figures(options.work)
    missing = [
        f"{row.name} (seed {seed})"
        for row in ROWS
        for seed in range(1, options.seeds + 1)
        if not is_measured(figures, row, seed)
    ]
    if options.docs or not missing:
        write_page(options.work, options.docs or DOCS)
        if not options.docs:
            write_figures(figures, FIGURES)
    else:
        absent = ", ".join(missing)
        print(f"docs/methods.md stays as it is: no figures, or of other settings: {absent}.", file=sys.stderr)
    header = ["row", "seeds", "learned", "", "bleeding", "", "seconds", "file"]
    rows = [_line(row, figures) for row in ROWS if row.name in figures]
    show(header, rows, {"methods": figures}, options.json)
    return 0


def _line(row: Row, figures: Figures) -> list[str]:
    found = of_row(figures[row.name])
    bleeding = worst(found.bleeding.values())
    spans = [f"{low:.2f}–{high:.2f}" for low, high in (found.learned.interval, bleeding.interval)]
    shares = [f"{found.learned.value:.2f}", spans[0], f"{bleeding.value:.3f}", spans[1]]
    return [row.name, str(found.seeds), *shares, str(found.seconds), size(found.bytes)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
