"""The demonstration: teach the toy model a five-pointed star, and measure what it learned and what bleeds."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .. import run
from ..method import METHODS
from ..model.base import Model
from ..model.load import load
from ..model.sample import SamplerSettings, sample
from ..randomness import numpy_generator
from ..recipe import Kind, Recipe, RecipeError
from ..recipe import file as recipe_file
from ..run_folder.facts import add_facts
from ..watch.progress import Progress, duration
from ..watch.report import report
from . import measure, world
from .install import CHECKPOINT, require_toy
from .world_file import TOY, WORLD_FILE, World
from .world_file import load as load_world

EXAMPLES = CHECKPOINT.parent.parent / "example"
RECIPE = EXAMPLES / "subject.yaml"
SEED = 7000
"""Seed of the measured pictures; no control picture uses it."""
BASE_PICTURES, CONCEPT_PICTURES, GROUP_PICTURES = 96, 48, 40
SAMPLER = SamplerSettings(steps=20, guidance=2.5, width=world.SIZE, height=world.SIZE)
"""Sampler of the measured pictures."""


def recipe(out: Path, examples: Path = EXAMPLES) -> Recipe:
    """Return the example subject's recipe for a run in the folder ``out``."""
    found = recipe_file.read(examples / RECIPE.name)
    found.save.output = str(out.parent)
    return found


def concept_captions(count: int, kind: Kind = "subject", of: World = TOY) -> list[str]:
    """Return captions with the trigger, most of them not among the training pictures: every colour on every background,
    or, for a style, the world's own captions.
    """
    if kind == "style":
        return [of.in_style(caption) for caption in base_captions(count, "style", of)]
    pairs = [(c, b) for b in of.backgrounds for c in of.colours]
    order = numpy_generator(SEED, "concept").permutation(len(pairs))
    chosen = [pairs[int(order[i % len(pairs)])] for i in range(count)]
    return [of.caption(of.subject_phrase, colour, background) for colour, background in chosen]


def base_captions(count: int, purpose: str, of: World = TOY) -> list[str]:
    """Return different captions of the base's own world."""
    captions = world.world_captions(of=of)
    order = numpy_generator(SEED, purpose).permutation(len(captions))
    return [captions[int(order[i % len(captions)])] for i in range(count)]


def bleeding_captions(count: int, of: World = TOY) -> dict[str, list[str]]:
    """Return captions without the trigger: with the class word, empty, and the base's own."""
    classes = world.world_captions(class_word=True, of=of)
    order = numpy_generator(SEED, "class").permutation(len(classes))
    return {
        "class word": [classes[int(order[i % len(classes)])] for i in range(count)],
        "empty prompt": [""] * count,
        "own captions": base_captions(count, "own", of),
    }


def pictures(
    model: Model,
    captions: Sequence[str],
    seed: int,
    progress: Progress,
    label: str,
    sampler: SamplerSettings = SAMPLER,
) -> list[world.Picture]:
    """Draw one picture [64, 64, 3] for each caption."""
    drawn = sample(
        model,
        captions,
        [seed + number for number in range(len(captions))],
        sampler,
        batch=32,
        progress=lambda done, total: progress.show(label, done, total),
    )
    return [np.asarray(picture) for picture in drawn]


def training_pictures(found: Recipe) -> list[world.Picture]:
    folder = Path(found.dataset.concepts[0].instance)
    return [np.asarray(Image.open(path).convert("RGB")) for path in sorted(folder.glob("*.png"))]


def measured(found: Recipe, save: Path, progress: Progress, of: World = TOY) -> dict[str, Any]:
    """Measure a save: what the base knows, what was learned, what bleeds, what was copied."""
    model = load(found.model.base)
    captions = base_captions(BASE_PICTURES, "base", of)
    drawn = pictures(model, captions, SEED, progress, "Measuring the base model")
    quality = measure.base_quality(drawn, captions, of)
    with METHODS[found.method.name]().applied(save, model):
        taught = measured_model(found, model, progress, of)
    taught["pictures_measured"] += BASE_PICTURES
    return {"base_quality": quality, **taught}


def measured_model(found: Recipe, model: Model, progress: Progress, of: World = TOY) -> dict[str, Any]:
    """Measure a model as it is: what it learned of the recipe's concept, what bleeds, what was copied."""
    kind = found.dataset.concepts[0].kind
    concept = of.style.name if kind == "style" else of.subject.shape
    wanted, groups = concept_captions(CONCEPT_PICTURES, kind, of), bleeding_captions(GROUP_PICTURES, of)
    learned = pictures(model, wanted, SEED + 1000, progress, "Measuring the concept")
    without = {
        name: pictures(model, captions, SEED + 2000 + 1000 * n, progress, f"Measuring bleeding ({name})")
        for n, (name, captions) in enumerate(groups.items())
    }
    bleeding = measure.bleeding(without, concept, of)
    obeyed = measure.base_quality(learned, wanted, of)
    return {
        "concept_learned": measure.concept_learned(learned, concept, of),
        "concept_obeys": {"colour": obeyed["colour"], "background": obeyed["background"]},
        "bleeding": bleeding.pop("worst"),
        "bleeding_groups": bleeding,
        "shape_drift": {name: measure.shape_drift(group, of) for name, group in without.items()},
        "own_captions_after": measure.base_quality(without["own captions"], groups["own captions"], of),
        "copies": measure.copies(learned, training_pictures(found)),
        "pictures_measured": CONCEPT_PICTURES + sum(len(group) for group in groups.values()),
    }


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python3 standalone.py demo", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out/demo"), help="folder of the run")
    parser.add_argument(
        "--world", type=Path, metavar="FOLDER", help="what make_assets made of another world: its model and its subject"
    )
    options = parser.parse_args(argv)
    out: Path = options.out.absolute()
    made: Path | None = options.world
    started, progress = time.monotonic(), Progress()
    try:
        require_toy()
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise RecipeError(f"{out} is not empty: choose another folder with --out, or delete it.")
        out.mkdir(parents=True, exist_ok=True)
        of = load_world(str(made / WORLD_FILE)) if made else TOY
        found = recipe(out, made / "example") if made else recipe(out)
        result = run.train(found, folder=out)
        if result.outcome == "finished":
            add_facts(out, **measured(found, result.saves[-1], progress, of))
            data = report(out)
            progress.say(
                f"The concept is in {data['concept_learned']:.0%} of the pictures with the trigger, and in "
                f"{data['bleeding']:.1%} of those without it (the worst group)."
            )
    except (ValueError, OSError) as error:
        print(f"sdft: {error}", file=sys.stderr)
        return 2
    print(f"{result.message} {duration(time.monotonic() - started)} in all.\nReport: {out / 'report.md'}")
    return 0 if result.outcome == "finished" else 1


if __name__ == "__main__":
    sys.exit(main())
