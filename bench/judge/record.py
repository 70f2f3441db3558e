"""Records the runs of the proof: what the judge may see of each save, and apart from it what only the checker sees."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from sdft_ext.dataset.folder import scan
from sdft_ext.judge import prompts, records
from sdft_ext.judge.features import Seen, see
from sdft_ext.judge.judge import Judge, named
from sdft_ext.method import METHODS
from sdft_ext.model.base import Model
from sdft_ext.model.load import load
from sdft_ext.model.sample import SamplerSettings, sample
from sdft_ext.model.vae import decode, encode_pictures
from sdft_ext.recipe import file as recipe_file
from sdft_ext.run import run
from sdft_ext.run_folder.log import read as read_log
from sdft_ext.run_folder.saves import existing
from sdft_ext.storage import file_lock, json_file
from sdft_ext.toy import demo, install, measure
from sdft_ext.watch.controls import Controls
from sdft_ext.watch.progress import Progress

from .concepts import JudgedConcept
from .runs import KINDS, JudgedRun

Pictures: TypeAlias = NDArray[np.uint8]
"""[n, 64, 64, 3]."""
CONCEPT_PICTURES, GROUP_PICTURES = 64, 24
"""Pictures whose share is the truth: with the trigger, and in each group without it."""
TRUE_SEED = 500_000
"""First seed of the truth's pictures: none of them is a control picture."""
SAMPLER = SamplerSettings(steps=10, guidance=2.5, width=64, height=64)
"""With ten steps, the toy model draws all of its own captions right, as it does with twenty."""
RENDERED = 200
"""Pictures that truly show the concept, freshly rendered; the base draws as many others."""
Draw = Callable[[Sequence[str], int], Pictures]


def captions(folder: Path) -> list[str]:
    return [path.read_text(encoding="utf-8").strip() for path in sorted(folder.glob("*.txt"))]


def drawer(model: Model, progress: Progress, what: str) -> Draw:
    """Return what draws a picture for each prompt, with seeds from the given one on."""

    def draw(wanted: Sequence[str], seed: int) -> Pictures:
        seeds = [seed + number for number in range(len(wanted))]
        drawn = sample(model, wanted, seeds, SAMPLER, progress=lambda done, total: progress.show(what, done, total))
        return np.stack([np.asarray(picture) for picture in drawn])

    return draw


def truth(draw: Draw, concept: JudgedConcept, instance: Sequence[Pictures], texts: Sequence[str]) -> dict[str, Any]:
    """Draw other prompts with other seeds, and read the pictures with the checker: for each group, which of them show
    the concept. ``obeyed``: shares of right colours and backgrounds with the trigger, ``kept``: of the base's own
    captions; ``distances``: of pictures with the instance captions to the nearest of ``instance`` (0–1).
    """
    of = concept.of
    asked = {"concept": demo.concept_captions(CONCEPT_PICTURES, concept.kind, of)}
    asked |= demo.bleeding_captions(GROUP_PICTURES, of)
    asked["instance captions"] = [texts[number % len(texts)] for number in range(GROUP_PICTURES)]
    drawn = {name: list(draw(some, TRUE_SEED + 1000 * number)) for number, (name, some) in enumerate(asked.items())}
    return {
        "shows": {name: concept.shows(pictures) for name, pictures in drawn.items()},
        "obeyed": measure.base_quality(drawn["concept"], asked["concept"], of),
        "kept": measure.base_quality(drawn["own captions"], asked["own captions"], of),
        "distances": measure.copy_distances(drawn["instance captions"], instance).tolist(),
    }


def through_vae(model: Model, pictures: Sequence[Pictures]) -> list[Pictures]:
    """Return pictures as the VAE draws them: a perfect copy differs from the picture itself by as much."""
    values = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.no_grad():
        drawn = decode(model, encode_pictures(model, values)[0])
    return [np.rint((one.permute(1, 2, 0).numpy() + 1) * 127.5).clip(0, 255).astype(np.uint8) for one in drawn]


def opened(folder: Path) -> list[Pictures]:
    """Read the instance pictures of a folder, in the order of their names."""
    return [np.asarray(Image.open(path).convert("RGB")) for path in sorted(folder.glob("*.png"))]


def record_base(concept: JudgedConcept, folder: Path, progress: Progress) -> None:
    """Record what a judge sees in pictures that truly show the concept, and in others that the base draws for its
    prompts, with the trigger and without it.
    """
    instance, model = folder / "instance", load(str(install.CHECKPOINT))
    concept.write(instance)
    texts, words = captions(instance), concept.recipe(instance).dataset.concepts[0]
    draw = drawer(model, progress, f"{concept.name}: the base")
    asked = prompts.concept_prompts(words, texts)
    asked += prompts.bleeding_prompts(words, asked)
    of_base = draw([asked[number % len(asked)] for number in range(RENDERED)], TRUE_SEED)
    rendered, base = seen(model, concept.rendered(RENDERED)), seen(model, of_base)
    records.write(folder, "calibration", **named("rendered", rendered), **named("base", base))


def seen(model: Model, pictures: Sequence[Pictures]) -> Seen:
    """Describe pictures [64, 64, 3] as the judge does, some at a time."""
    opened = [Image.fromarray(picture) for picture in pictures]
    parts = [see(model, opened[start : start + 32]) for start in range(0, len(opened), 32)]
    return Seen(*(np.concatenate(some) for some in zip(*parts, strict=True)))


def record_run(one: JudgedRun, folder: Path, progress: Progress) -> None:
    """Train a run, which judges itself as every run does, and read the truth off other pictures of its saves."""
    instance, how = folder / "instance", KINDS[one.kind]
    few = how.pictures and how.pictures[one.concept.kind == "style"]
    one.concept.write(instance, few)
    recipe = one.recipe(folder / "run", instance)
    result = run.train(recipe, folder=folder / "run", quiet=True)
    log, texts = read_log(folder / "run"), captions(instance)
    model, method = load(recipe.model.base), METHODS[recipe.method.name]()
    pictures = through_vae(model, opened(instance))
    saves = []
    for save in existing(folder / "run"):
        draw = drawer(model, progress, f"{one.name}, step {save.step}")
        with method.applied(folder / "run" / "saves" / save.file, model):
            saves.append({"step": save.step, "truth": truth(draw, one.concept, pictures, texts)})
    for name in ("judge", "controls", "recipe.yaml", "picture_losses.json"):
        if (folder / "run" / name).exists():
            (folder / "run" / name).rename(folder / name)
    shutil.rmtree(folder / "run")
    found = {"name": one.name, "concept": one.concept.name, "kind": one.kind, "outcome": result.outcome}
    json_file.write(folder / "run.json", {**found, "message": result.message, "log": log, "saves": saves})


def describe(folder: Path) -> None:
    """Judge the control pictures of a recorded run anew, by the features of today."""
    recipe = recipe_file.read(folder / "recipe.yaml")
    model, controls = load(recipe.model.base), Controls(folder, recipe.watch)
    shutil.rmtree(folder / "judge")
    found = scan(recipe.dataset)
    for step in controls.steps():
        Judge(folder, recipe, controls).look(step, model, found, lambda work: work())


def record(runs: Sequence[JudgedRun], work: Path) -> None:
    """Record what isn't recorded yet; two programs at once share the work."""
    progress = Progress()
    work.mkdir(parents=True, exist_ok=True)
    tasks = [task for run in runs for task in (run.concept, run)]
    for task in tasks:
        base = isinstance(task, JudgedConcept)
        folder = work / (f"base-{task.name}" if base else task.name)
        done = folder / ("calibration.npz" if base else "run.json")
        try:
            with file_lock.locked(work / f"{folder.name}.lock", seconds=0):
                if done.exists():
                    continue
                progress.say(f"{folder.name} …")
                shutil.rmtree(folder, ignore_errors=True)
                if isinstance(task, JudgedConcept):
                    record_base(task, folder, progress)
                else:
                    record_run(task, folder, progress)
        except file_lock.Locked:
            continue
