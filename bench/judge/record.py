"""Records the runs of the proof: what the judge may see of each save, and apart from it what only the checker sees."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sdft_ext.judge import prompts
from sdft_ext.method import METHODS
from sdft_ext.model.base import Model
from sdft_ext.model.load import load
from sdft_ext.model.sample import SamplerSettings, sample
from sdft_ext.recipe import Concept
from sdft_ext.recipe import file as recipe_file
from sdft_ext.run import run
from sdft_ext.run_folder.log import read as read_log
from sdft_ext.storage import atomic, file_lock, json_file
from sdft_ext.toy import demo, install, measure
from sdft_ext.watch.progress import Progress

from .concepts import JudgedConcept
from .runs import KINDS, JudgedRun

Pictures: TypeAlias = NDArray[np.uint8]
"""[n, 64, 64, 3]."""
SEEDS = 8
"""Pictures of each prompt that the judge may see; a user's control pictures are the first two of each."""
NEGATIVES = 96
"""Pictures that the base draws for the judge to compare with."""
CONCEPT_PICTURES, GROUP_PICTURES = 64, 32
"""Pictures whose share is the truth: with the trigger, and in each group without it."""
JUDGED_SEED, NEGATIVE_SEED, TRUE_SEED = 1_000, 20_000, 500_000
"""First seeds of the pictures; no picture of the truth is one of the judge's."""
SAMPLER = SamplerSettings(steps=20, guidance=2.5, width=64, height=64)
RENDERED = 200
"""Pictures that truly show the concept, freshly rendered."""
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


def judged(draw: Draw, concept: Concept, texts: Sequence[str]) -> dict[str, Pictures]:
    """Draw what a user has: each prompt with several seeds, [prompt 1 seed 1, prompt 2 seed 1, …]."""
    wanted = prompts.concept_prompts(concept, texts)
    return {
        "concept": draw(wanted * SEEDS, JUDGED_SEED),
        "bleeding": draw(prompts.bleeding_prompts(concept, wanted) * SEEDS, JUDGED_SEED + 500),
    }


def truth(draw: Draw, concept: JudgedConcept, instance: Sequence[Pictures], texts: Sequence[str]) -> dict[str, Any]:
    """Draw other prompts with other seeds, and read the pictures with the checker: for each group, which of them show
    the concept. ``obeyed``: shares of right colours and backgrounds with the trigger, ``kept``: of the base's own
    captions; ``distances``: of pictures with the instance captions to the nearest instance picture (0–1).
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


def write(path: Path, pictures: Mapping[str, Pictures]) -> None:
    """Write named pictures as one file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic.write(path, lambda file: np.savez_compressed(file, **pictures))


def opened(folder: Path) -> list[Pictures]:
    """Read the instance pictures of a folder, in the order of their names."""
    return [np.asarray(Image.open(path).convert("RGB")) for path in sorted(folder.glob("*.png"))]


def record_base(concept: JudgedConcept, folder: Path, progress: Progress) -> None:
    """Record what the base itself draws for a concept's prompts, and pictures that truly show the concept."""
    instance = folder / "instance"
    concept.write(instance)
    texts, words = captions(instance), concept.recipe(instance).dataset.concepts[0]
    draw = drawer(load(str(install.CHECKPOINT)), progress, f"{concept.name}: the base")
    asked = prompts.concept_prompts(words, texts)
    negatives = [prompts.without_trigger(text, words) for text in [*texts, *asked]]
    write(
        folder / "pictures.npz",
        {
            **judged(draw, words, texts),
            "negatives": draw([negatives[number % len(negatives)] for number in range(NEGATIVES)], NEGATIVE_SEED),
            "rendered": np.stack(concept.rendered(RENDERED)),
        },
    )
    json_file.write(folder / "truth.json", truth(draw, concept, opened(instance), texts))


def record_run(one: JudgedRun, folder: Path, progress: Progress) -> None:
    """Train a run, and record each of its saves."""
    instance, how = folder / "instance", KINDS[one.kind]
    few = how.pictures and how.pictures[one.concept.kind == "style"]
    one.concept.write(instance, few)
    recipe = one.recipe(folder / "run", instance)
    recipe_file.write(folder / "recipe.yaml", recipe)
    result = run.train(recipe, folder=folder / "run", quiet=True)
    log, texts, pictures = read_log(folder / "run"), captions(instance), opened(instance)
    model, method, words = load(recipe.model.base), METHODS[recipe.method.name](), recipe.dataset.concepts[0]
    saves = []
    for entry, path in zip(json_file.read(folder / "run" / "saves" / "index.json"), result.saves, strict=True):
        step = int(entry["step"])
        draw = drawer(model, progress, f"{one.name}, step {step}")
        with method.applied(path, model):
            write(folder / f"step-{step:06d}.npz", judged(draw, words, texts))
            saves.append({"step": step, "truth": truth(draw, one.concept, pictures, texts)})
        path.unlink()
    shutil.rmtree(folder / "run")
    found = {"name": one.name, "concept": one.concept.name, "kind": one.kind, "outcome": result.outcome}
    json_file.write(folder / "run.json", {**found, "message": result.message, "log": log, "saves": saves})


def record(runs: Sequence[JudgedRun], work: Path) -> None:
    """Record what isn't recorded yet; two programs at once share the work."""
    progress = Progress()
    work.mkdir(parents=True, exist_ok=True)
    tasks = [task for run in runs for task in (run.concept, run)]
    for task in tasks:
        base = isinstance(task, JudgedConcept)
        folder = work / (f"base-{task.name}" if base else task.name)
        done = folder / ("truth.json" if base else "run.json")
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
