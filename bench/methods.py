"""python -m bench methods [--only NAME …] [--json FILE]: what every method learns of the examples, on the toy model.

Each is trained as the page would begin: its preset, the normal length, the example. What it has learned and what bleeds
is read off pictures that it draws. ``docs/methods.md`` and its pictures are written from the figures of all runs in the
work folder, once they are complete: ``--only`` makes some again and keeps the others'.
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
from PIL import Image

from sdft_ext.method import METHODS
from sdft_ext.model.base import Model
from sdft_ext.model.load import load
from sdft_ext.model.sample import sample
from sdft_ext.randomness import numpy_generator
from sdft_ext.recipe import Kind, Recipe
from sdft_ext.run import run
from sdft_ext.storage import json_file
from sdft_ext.toy import demo, drawing, measure, world
from sdft_ext.watch.progress import Progress

from .method_rows import KNOWN, LEARNED, ROWS, SHOWN, Row, default_recipe, settings_of
from .methods_page import COMMAND, read_figures, size, write_page
from .table import show

DOCS = Path(__file__).resolve().parent.parent / "docs"
WORK = Path("out/methods")


def make(row: Row, work: Path, progress: Progress) -> None:
    """Train and measure one row; its folder in ``work`` holds the run, the figures, and the pictures to show."""
    recipe, folder = default_recipe(row), work / row.name
    shutil.rmtree(folder, ignore_errors=True)
    if row.known:
        recipe.dataset.concepts[0].instance = str(draw_known(work / f"{row.name}-pictures"))
    recipe.save.output, recipe.save.name = str(work.absolute()), row.name
    folder.mkdir(parents=True)
    started = time.process_time()
    result = run.train(recipe, folder=folder)
    seconds = time.process_time() - started
    if result.outcome != "finished":
        raise RuntimeError(f"{row.name}: {result.message}")
    method, model = METHODS[recipe.method.name](), load(recipe.model.base)
    save = result.saves[-1]
    if row.compared:
        enough = (one for one in result.saves if learned(method.applied(one, model), model, progress) >= LEARNED)
        save = next(enough, save)
    with method.applied(save, model):
        figures = shown(row, recipe, model, progress)
        if not row.known:
            draw(row.kind, model, folder)
    steps = [entry["step"] for entry in json_file.read(folder / "saves" / "index.json")]
    write_figures(
        folder,
        figures,
        settings=settings_of(recipe),
        seconds=round(seconds),
        bytes=save.stat().st_size,
        steps=steps[result.saves.index(save)],
        machine=machine(),
    )


def make_base(concept: str, work: Path, progress: Progress) -> None:
    """The same figures and pictures of the base as it is."""
    row = next(row for row in ROWS if row.concept == concept)
    recipe = default_recipe(row)
    model, folder = load(recipe.model.base), work / f"base-{concept}"
    folder.mkdir(parents=True, exist_ok=True)
    write_figures(folder, shown(row, recipe, model, progress))
    if not row.known:
        draw(row.kind, model, folder)


def draw_known(folder: Path) -> Path:
    """12 pictures of the subject that the base can draw, with captions that call it by the trigger."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    draws, shape, colour = numpy_generator(demo.SEED, "known"), *KNOWN
    for number, caption in enumerate(prompts("known", 12)):
        scene = world.sample_scene(draws, shape, colour, measure.wanted(caption).background)
        Image.fromarray(drawing.draw(scene)).save(folder / f"{number:02}.png")
        (folder / f"{number:02}.txt").write_text(caption, encoding="utf-8")
    return folder


def prompts(concept: str, count: int) -> list[str]:
    """Captions with the trigger."""
    if concept != "known":
        return demo.concept_captions(count, "style" if concept == "style" else "subject")
    places = [f"a {world.SUBJECT_TRIGGER} on a {background} background" for background in world.BACKGROUNDS]
    return [places[number % len(places)] for number in range(count)]


def share(concept: str, pictures: Sequence[world.Picture]) -> float:
    """How many of the pictures show the concept."""
    if concept != "known":
        return measure.concept_learned(pictures, world.TWO_TONE if concept == "style" else world.STAR)
    return sum((one.shape, one.colour) == KNOWN for one in measure.read_all(pictures)) / len(pictures)


def shown(row: Row, recipe: Recipe, model: Model, progress: Progress) -> dict[str, Any]:
    """The figures of a model as it is now. Of the known subject: captions without the trigger that don't ask for it."""
    if not row.known:
        return demo.measured_model(recipe, model, progress)
    with_it = demo.pictures(
        model, prompts("known", demo.CONCEPT_PICTURES), demo.SEED + 1000, progress, "Measuring the concept"
    )
    groups = {
        name: share("known", demo.pictures(model, asked, demo.SEED + 2000, progress, f"Measuring bleeding ({name})"))
        for name, captions in demo.bleeding_captions(demo.GROUP_PICTURES).items()
        if (asked := [caption for caption in captions if not set(KNOWN) & set(caption.split())])
    }
    return {
        "concept_learned": share("known", with_it),
        "bleeding": max(groups.values()),
        "bleeding_groups": groups,
    }


def learned(applied: AbstractContextManager[None], model: Model, progress: Progress) -> float:
    """Share of the pictures with the trigger that show the subject."""
    with applied:
        captions = demo.concept_captions(demo.CONCEPT_PICTURES)
        return measure.concept_learned(demo.pictures(model, captions, demo.SEED + 1000, progress, "Looking at a save"))


def draw(kind: Kind, model: Model, folder: Path) -> None:
    prompts = SHOWN[kind]
    seeds = list(range(demo.SEED + 9000, demo.SEED + 9000 + len(prompts)))
    drawn = sample(model, prompts, seeds, demo.SAMPLER)
    for number, picture in enumerate(drawn):
        picture.save(folder / f"shown-{number}.png")


def write_figures(folder: Path, figures: dict[str, Any], **more: Any) -> None:
    kept = ("concept_learned", "bleeding", "bleeding_groups")
    json_file.write(folder / "figures.json", {**{name: figures[name] for name in kept}, **more})


def machine() -> str:
    """In words, as far as the system tells."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
        cpu = names[0] if names else cpu
    return f"{cpu}, one thread, torch {torch.__version__.partition('+')[0]}"


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument(
        "--only",
        nargs="*",
        choices=[row.name for row in ROWS],
        metavar="NAME",
        help="only these rows; none: only the page",
    )
    parser.add_argument(
        "--work", type=Path, default=WORK, help=f"folder of the runs and their figures; default: {WORK}"
    )
    parser.add_argument(
        "--docs", type=Path, help="folder of the page; default: docs, once there are figures of all rows"
    )
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    progress = Progress()
    chosen = [row for row in ROWS if options.only is None or row.name in options.only]
    for concept in {row.concept: None for row in chosen}:
        if options.only is None or f"base-{concept}" not in read_figures(options.work):
            make_base(concept, options.work, progress)
    for row in chosen:
        progress.say(f"{row.name} …")
        make(row, options.work, progress)
    figures = read_figures(options.work)
    for row in ROWS:
        if row.name in figures and figures[row.name]["settings"] != settings_of(default_recipe(row)):
            print(
                f"{row.name} was trained with other settings than today's: make it anew, --only {row.name}.",
                file=sys.stderr,
            )
    missing = [row.name for row in ROWS if row.name not in figures]
    if options.docs or not missing:
        write_page(options.work, options.docs or DOCS)
    else:
        print(f"docs/methods.md stays as it is: there are no figures yet of {', '.join(missing)}.", file=sys.stderr)
    header = ["row", "learned", "bleeding", "seconds", "file"]
    rows = [
        [row.name, f"{one['concept_learned']:.3f}", f"{one['bleeding']:.3f}", one["seconds"], size(one["bytes"])]
        for row in ROWS
        if (one := figures.get(row.name))
    ]
    show(header, rows, {"methods": figures}, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
