"""python -m bench together [--seeds 3] [--work out/methods] [--json FILE]: a subject and a style with each other.

On the toy model: both examples in one run with two triggers; the LoRAs of two runs in one prompt; the style's LoRA at
rising weights. What the pictures show is counted. The LoRAs are those of ``bench methods``; what is measured already is
not made again.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from sdft_ext.judge.shares import Share
from sdft_ext.method.lora import applied
from sdft_ext.model.base import Model
from sdft_ext.model.load import load
from sdft_ext.recipe import Recipe, presets
from sdft_ext.recipe import file as recipe_file
from sdft_ext.run import run
from sdft_ext.storage import json_file
from sdft_ext.toy import demo, measure, world
from sdft_ext.watch.progress import Progress

from .method_figures import read_figures, run_folder
from .method_rows import ROWS, default_recipe
from .methods import SEEDS, WORK, is_measured, make
from .table import show
from .together_figures import ASKED, COMMAND, together

PICTURES = 48
"""Drawn for each seed and kind of prompt."""
WEIGHTS = (0.25, 0.5, 0.75, 1.0)
LONGER = 2
"""A run of two concepts is this many times as long: each has half of the showings."""


def prompts(star: bool, styled: bool) -> list[str]:
    """Write prompts for the star or for the base's own shapes, with the style's trigger or without."""
    found = demo.concept_captions(PICTURES, "subject") if star else demo.base_captions(PICTURES, "together")
    return [f"{one} {world.STYLE_TRIGGER}" if styled else one for one in found]


def both_recipe(seed: int) -> Recipe:
    """Return the recipe of both examples in one run: the subject's preset, and twice the normal length."""
    recipe = default_recipe(next(row for row in ROWS if row.name == "lora"), seed)
    style = recipe_file.read(demo.EXAMPLES / "style.yaml").dataset.concepts[0]
    star = recipe.dataset.concepts[0]
    # The style has five times as many pictures: both are shown equally often.
    star.repeats *= _pictures(style.instance) // _pictures(star.instance)
    recipe.dataset.concepts.append(style)
    recipe.train.length = LONGER * presets.TOY_STEPS["normal"]
    return recipe


def _pictures(folder: str) -> int:
    return sum(path.suffix == ".png" for path in Path(folder).iterdir())


def train_both(seed: int, work: Path) -> Path:
    """Train both examples in one run; return its LoRA."""
    recipe, folder = both_recipe(seed), run_folder(work, "both", seed)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    recipe.save.output, recipe.save.name = str(folder.absolute()), "both"
    result = run.train(recipe, folder=folder)
    if result.outcome != "finished":
        raise RuntimeError(f"both: {result.message}")
    return result.saves[-1]


def lora(name: str, seed: int, work: Path, progress: Progress) -> Path:
    """Return a row's LoRA, trained first where there is none."""
    row = next(row for row in ROWS if row.name == name)
    if not is_measured(read_figures(work), row, seed):
        progress.say(f"{name}, seed {seed} …")
        make(row, seed, work, progress)
    return run_folder(work, name, seed) / "saves" / f"{name}.safetensors"


def counted(model: Model, seed: int, progress: Progress) -> dict[str, tuple[Share, Share]]:
    """Count stars and two-tone pictures for each kind of prompt."""
    found = {}
    for number, (name, (star, styled)) in enumerate(ASKED.items()):
        drawn = demo.pictures(model, prompts(star, styled), demo.SEED + 100_000 * seed + 1000 * number, progress, name)
        readings = measure.read_all(drawn)
        stars, styles = sum(map(measure.shows_subject, readings)), sum(map(measure.shows_style, readings))
        found[name] = (Share(stars, len(drawn)), Share(styles, len(drawn)))
    return found


def weighed(file: Path, model: Model, seed: int, progress: Progress) -> dict[str, Any]:
    """Count two-tone pictures, and measure how much darker the lower half is, at rising weights of the style's LoRA."""
    found: dict[str, Any] = {}
    for weight in (0.0, *WEIGHTS):
        with applied([(file, weight)], model):
            first = demo.SEED + 100_000 * seed
            drawn = demo.pictures(model, prompts(False, True), first, progress, f"weight {weight:g}")
        readings = measure.read_all(drawn)
        darker = sum(one.darker for one in readings) / len(readings)
        found[f"{weight:g}"] = {"share": Share(sum(one.styled for one in readings), len(readings)), "darker": darker}
    return found


def measured(seed: int, work: Path, progress: Progress) -> dict[str, Any]:
    """Measure one seed."""
    model = load(both_recipe(seed).model.base)
    both = train_both(seed, work)
    subject, style = (lora(name, seed, work, progress) for name in ("lora", "lora-style"))
    with applied([(both, 1.0)], model):
        one_run = counted(model, seed, progress)
    with applied([(subject, 1.0), (style, 1.0)], model):
        two_files = counted(model, seed, progress)
    return {"one_run": one_run, "two_files": two_files, "weights": weighed(style, model, seed, progress)}


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"runs; default: {SEEDS}")
    parser.add_argument("--work", type=Path, default=WORK, help=f"folder of the runs and figures; default: {WORK}")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    progress = Progress()
    for seed in range(1, options.seeds + 1):
        file = run_folder(options.work, "together", seed) / "figures.json"
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            json_file.write(file, measured(seed, options.work, progress))
    figures = together(options.work)
    assert figures is not None
    rows = [
        [f"{kind}: {name}", f"{star.value:.2f}", f"{styled.value:.2f}"]
        for kind in ("one_run", "two_files")
        for name, (star, styled) in figures[kind].items()
    ]
    rows += [
        [f"style at weight {weight}", "", f"{one['share'].value:.2f}"] for weight, one in figures["weights"].items()
    ]
    show(["prompts", "star", "two-tone"], rows, figures, options.json)
    return 0
