"""python -m bench methods [--only NAME …] [--json FILE]: what every method learns of the examples, on the toy model.

Each is trained as the page would begin: its preset, the normal length, the example. What it learned and what bleeds is read
off pictures that it draws. ``docs/methods.md`` and its pictures are written from the figures of all runs in the work folder, once
there are all: ``--only`` makes some anew and keeps the others'.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import sys
import textwrap
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from sdft_ext.method import METHODS
from sdft_ext.model.base import Model
from sdft_ext.model.load import load
from sdft_ext.model.sample import sample
from sdft_ext.randomness import numpy_generator
from sdft_ext.recipe import Kind, Recipe, presets
from sdft_ext.recipe import file as recipe_file
from sdft_ext.recipe.rules import fields
from sdft_ext.run import run
from sdft_ext.storage import atomic, json_file
from sdft_ext.toy import demo, measure, world
from sdft_ext.watch.controls import grid
from sdft_ext.watch.progress import Progress

from .table import show

DOCS = Path(__file__).resolve().parent.parent / "docs"
WORK = Path("out/methods")
LEARNED = 0.9
"""Runs that are held against each other are looked at where they have learned this much."""
EVERY = 50
"""Steps between the saves of such a run."""


@dataclass(frozen=True)
class Row:
    """One run. ``changes``: what it has otherwise than its preset. ``compared``: at the save that has learned ``LEARNED``.

    ``known``: of a subject that the base can draw, and has no such word for.
    """

    name: str
    label: str
    method: str
    kind: Kind = "subject"
    changes: tuple[str, ...] = ()
    compared: bool = False
    known: bool = False

    @property
    def concept(self) -> str:
        return "known" if self.known else self.kind


ROWS = (
    Row("lora", "LoRA", "lora"),
    Row("locon", "LoRA, convolutions at rank 8 (LoCon)", "lora", changes=("method.lora.conv_rank=8",)),
    Row("dora", "DoRA", "dora"),
    Row("loha", "LoHa", "loha"),
    Row("lokr", "LoKr", "lokr"),
    Row("pivotal", "Pivotal tuning", "pivotal"),
    Row("dreambooth", "DreamBooth, a checkpoint", "dreambooth"),
    Row("dreambooth-lora", "DreamBooth, saved as a LoRA", "dreambooth", changes=("method.full.save_as=lora",)),
    Row("full", "Full fine-tune", "full"),
    Row("textual_inversion-known", "Textual inversion", "textual_inversion", known=True),
    Row("textual_inversion", "Textual inversion", "textual_inversion"),
    Row("hypernetwork-known", "Hypernetwork", "hypernetwork", known=True),
    Row("hypernetwork", "Hypernetwork", "hypernetwork"),
    Row("lora-style", "LoRA", "lora", "style"),
    Row("textual_inversion-style", "Textual inversion", "textual_inversion", "style"),
    Row("hypernetwork-style", "Hypernetwork", "hypernetwork", "style"),
    Row("held-by-nothing", "Nothing", "lora", changes=("dataset.concepts.0.regularization=",), compared=True),
    Row("held-by-pictures", "Regularization pictures", "lora", compared=True),
    Row(
        "held-by-base",
        "The frozen base's own answers",
        "lora",
        changes=(
            "dataset.concepts.0.regularization=",
            "train.class_preservation=1",
            "train.blank_preservation=1",
        ),
        compared=True,
    ),
)
COMMAND = "python -m bench methods"
PICTURES: dict[Kind, str] = {"subject": "methods.png", "style": "methods-style.png"}
CONCEPTS = {
    "subject": "subject (a star)",
    "style": "style (stripes)",
    "known": "subject the base can draw (a green ring)",
}
KNOWN = ("ring", "green")
SHOWN: dict[Kind, tuple[str, ...]] = {
    "subject": (
        "a green sks shape on a pink background",
        "an orange sks shape on a grey background",
        "a green shape on a pink background",
        "",
    ),
    "style": (
        "a purple cross on a white background in hatch style",
        "an orange ring on a grey background in hatch style",
        "a purple cross on a white background",
        "",
    ),
}
"""Prompts of the pictures in the page; no dataset has such a picture."""


def default_recipe(row: Row) -> Recipe:
    """What the page begins with: the method's preset, the normal length, and what they leave open from the example.

    No control pictures and no saves on the way, which change nothing of what is learned.
    """
    example = recipe_file.read(demo.EXAMPLES / f"{row.kind}.yaml")
    settings = {setting.path: setting.value for setting in fields(example)}
    settings |= presets.start(row.method, row.kind, "toy", world.SIZE)
    settings |= {
        "watch.concept_prompts": [],
        "watch.bleeding_prompts": [],
        "save.every": EVERY if row.compared else 0,
        "save.keep_last": 0,
    }
    return recipe_file.override(Recipe(), [*map("=".join, _texts(settings)), *row.changes])


def _texts(settings: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for path, value in settings.items():
        yield path, value if isinstance(value, str) else json.dumps(value)


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
        settings=told(recipe),
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
        Image.fromarray(world.draw(scene)).save(folder / f"{number:02}.png")
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
        return measure.concept_learned(pictures, world.HATCH if concept == "style" else world.STAR)
    return sum((one.shape, one.colour) == KNOWN for one in measure.read_all(pictures)) / len(pictures)


def shown(row: Row, recipe: Recipe, model: Model, progress: Progress) -> dict[str, Any]:
    """The figures of a model as it is now. Of the known subject: captions without the trigger that don't ask for it."""
    if not row.known:
        return demo.shown(recipe, model, progress)
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
    drawn = sample(model, prompts, seeds, steps=demo.STEPS, guidance=demo.GUIDANCE, width=world.SIZE, height=world.SIZE)
    for number, picture in enumerate(drawn):
        picture.save(folder / f"shown-{number}.png")


def write_figures(folder: Path, figures: dict[str, Any], **more: Any) -> None:
    kept = ("concept_learned", "bleeding", "bleeding_groups")
    json_file.write(folder / "figures.json", {**{name: figures[name] for name in kept}, **more})


def read_figures(work: Path) -> dict[str, dict[str, Any]]:
    """By row, of all that lie in the work folder."""
    names = [*(row.name for row in ROWS), *(f"base-{concept}" for concept in CONCEPTS)]
    files = {name: work / name / "figures.json" for name in names}
    return {name: json_file.read(path) for name, path in files.items() if path.exists()}


def told(recipe: Recipe) -> dict[str, Any]:
    """The settings that decide what is learned, to tell figures of other ones."""
    return {
        setting.path: setting.value
        for setting in fields(recipe)
        if not setting.is_path and setting.path not in ("save.name", "save.output")
    }


def machine() -> str:
    """In words, as far as the system tells."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
        cpu = names[0] if names else cpu
    return f"{cpu}, one thread, torch {torch.__version__.partition('+')[0]}"


def size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count / 1e3:.1f} kB"


def page(figures: dict[str, dict[str, Any]]) -> str:
    """docs/methods.md."""
    labels = {method["name"]: method for method in presets.METHODS}
    rows = [row for row in ROWS if row.name in figures and not row.compared]
    compared = [row for row in ROWS if row.name in figures and row.compared]
    machines = sorted({figures[row.name]["machine"] for row in (*rows, *compared)})
    lines = [
        "# The methods, measured",
        "",
        "What each method learns on the embedded toy model, from the two examples that come with the program. Every run begins as "
        "the page begins: the method's preset, the normal length, the example's pictures; nothing is tuned beside that. The toy's presets were chosen by these same figures, so a row "
        "flatters its method a little; each is one run with one seed, and the ring is in twelve pictures drawn for it. What a "
        "picture shows is read off its pixels by a small checker (`sdft_ext/toy/checker.py`), so these are counts, not "
        "impressions. The toy model is small: compare the methods with each other, not with what they take on a real one.",
        "",
        f"    {COMMAND}",
        "",
        "trains and measures all this again (about an hour on one core) and writes this page; `--only NAME …` does so for some rows.",
        "",
        f"- **Learned**: of {demo.CONCEPT_PICTURES} pictures with the trigger, most of colours and backgrounds that no training "
        "picture has, the share that shows the concept. *Base* is the same prompts' share before training.",
        f"- **Bleeding**: the share of pictures *without* the trigger that show the concept all the same; the worst of three groups of "
        f"{demo.GROUP_PICTURES} pictures (the class word, no words at all, the base's own captions). 0 is the aim.",
        f"- **Seconds**: of processor time, for the whole run ({'; '.join(machines)}).",
        "- **File**: what the WebUI loads. The subject and style columns of the page's method chooser say what to expect on real models.",
        "",
        "| method | name for `--only` | concept | learned | base | bleeding | steps | seconds | file |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        one, base = figures[row.name], figures[f"base-{row.concept}"]
        lines.append(
            f"| {row.label} | `{row.name}` | {CONCEPTS[row.concept]} | {one['concept_learned']:.2f} | {base['concept_learned']:.2f} "
            f"| {one['bleeding']:.3f} | {one['steps']} | {one['seconds']} | {size(one['bytes'])} |"
        )
    lines += [
        "",
        "Textual inversion changes no weight, and a hypernetwork only what the attention layers' keys and values are made of: they call what "
        "the base can draw already. A green ring, which the base draws by other words, both call nearly every time (the base's own pictures "
        "without words show one in 0.05 as well); the star and the stripes, which this small base can't draw, hardly or not at all. (With the "
        "text encoder's whole output trained in a word's place, the star stood in 0.11 of the pictures.)",
    ]
    missing = set(METHODS) - {row.method for row in rows}
    if missing:
        lines += [
            "",
            "Not measured yet: " + ", ".join(labels[name]["label"] for name in METHODS if name in missing) + ".",
        ]
    for kind, name in PICTURES.items():
        if f"base-{kind}" in figures:
            lines += [
                "",
                f"![The same prompts and seeds: the base, then the methods in the order of the table; {CONCEPTS[kind]}]({name})",
            ]
    lines += [
        "",
        "## What holds the rest in place",
        "",
        "A LoRA of the subject, its preset, three times: with nothing that holds the class, with regularization pictures, and "
        "with the frozen base's own answers (`train.class_preservation` and `train.blank_preservation`, both 1, no "
        f"pictures). What holds the rest also slows the learning, so they are held against each other where they have learned as much: each row is "
        f"the first of the run's saves, one every {EVERY} steps, that shows the star in at least {LEARNED:.0%} of the pictures.",
        "",
        "| held in place by | name for `--only` | steps | learned | bleeding | class word | empty prompt | own captions | seconds, whole run |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in compared:
        one = figures[row.name]
        groups = " | ".join(
            f"{one['bleeding_groups'][name]:.3f}" for name in ("class word", "empty prompt", "own captions")
        )
        lines.append(
            f"| {row.label} | `{row.name}` | {one['steps']} | {one['concept_learned']:.2f} | {one['bleeding']:.3f} | {groups} "
            f"| {one['seconds']} |"
        )
    return "\n".join(line if line.startswith(("|", "!", " ")) else _wrapped(line) for line in lines) + "\n"


def _wrapped(text: str) -> str:
    indent = "  " if text.startswith("- ") else ""
    return textwrap.fill(text, 120, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def write_page(work: Path, docs: Path) -> None:
    """The page and its pictures, from what lies in the work folder."""
    figures = read_figures(work)
    atomic.text(docs / "methods.md", page(figures))
    for kind, name in PICTURES.items():
        if f"base-{kind}" not in figures:
            continue
        shown = [(f"base-{kind}", "base")]
        shown += [
            (row.name, row.name) for row in ROWS if row.concept == kind and not row.compared and row.name in figures
        ]
        columns = [
            (label, [Image.open(work / folder / f"shown-{number}.png") for number in range(len(SHOWN[kind]))])
            for folder, label in shown
        ]
        sheet = grid(columns, SHOWN[kind])
        atomic.write(docs / name, lambda file, sheet=sheet: sheet.quantize(256).save(file, "PNG"))  # type: ignore[misc]


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
        if row.name in figures and figures[row.name]["settings"] != told(default_recipe(row)):
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
