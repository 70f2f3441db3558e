"""The two example concepts: their pictures, and regularization pictures that the finished base model draws itself."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

import numpy as np
from PIL import Image

from make_assets.toymodel import single_file
from make_assets.toymodel.common import EXAMPLE, Place, generator, say
from sdft_ext.analysis.duplicates import duplicates
from sdft_ext.analysis.thumbnails import make_thumbnails
from sdft_ext.dataset.folder import scan
from sdft_ext.recipe import Concept, DatasetRecipe, Kind
from sdft_ext.recipe import file as recipe_file
from sdft_ext.toy import checker, demo, drawing, measure, world
from sdft_ext.toy.world_file import TOY, World

SUBJECT_RADII = (16.5, 20.5)
"""Pixels: a star's arms would drown in the autoencoder's blur if it were as small as the smallest shapes."""
TURNS = 8
"""How often pictures are drawn in place of those that were left out."""
STYLE_BACKGROUNDS = 3
"""Each shape in each colour is shown on this many of the backgrounds."""
REGULARIZATION = 20
"""Regularization pictures for each instance picture: the least that the guide recommends."""


Pair: TypeAlias = tuple[world.Picture, str]
"""A picture and its caption."""


def write(folder: Path, pairs: Iterable[Pair], small: bool = False) -> None:
    """Write pictures with their captions beside them as 001.png, 001.txt …; replaces the folder.

    ``small``: as JPEG, a third of the size where a model drew the pictures.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for number, (picture, caption) in enumerate(pairs, start=1):
        name = f"{number:03d}"
        if small:
            Image.fromarray(picture).save(folder / f"{name}.jpg", quality=90, subsampling=0, optimize=True)
        else:
            Image.fromarray(picture).save(folder / f"{name}.png", optimize=True)
        (folder / f"{name}.txt").write_text(caption + "\n", encoding="utf-8")


def subject_scenes(of: World = TOY) -> list[world.Scene]:
    """The subject in each of its example's colours on each of the backgrounds, in varied places and sizes; the other
    colours are left for the test of learning.
    """
    pairs = [(c, b) for c in of.subject.colours for b in of.backgrounds]
    return [
        world.sample_scene(generator(2, "subject", i), of.subject.shape, colour, background, radii=SUBJECT_RADII, of=of)
        for i, (colour, background) in enumerate(pairs)
    ]


def style_scenes(of: World = TOY) -> list[world.Scene]:
    """Every shape in the style, in each of its example's colours, on three of the backgrounds in turn."""
    backgrounds = tuple(of.backgrounds)
    pairs = [(s, c) for s in of.shapes for c in of.style.colours]
    wanted = [
        (s, c, backgrounds[(i + k) % len(backgrounds)])
        for i, (s, c) in enumerate(pairs)
        for k in range(STYLE_BACKGROUNDS)
    ]
    return [
        world.sample_scene(generator(2, "style", i), *names, style=of.style.name, of=of)
        for i, names in enumerate(wanted)
    ]


def agrees(picture: world.Picture, caption: str, of: World) -> bool:
    """Whether the checker sees what the caption says, and one of the known shapes in the plain style."""
    reading, want = checker.read(picture, of), measure.wanted(caption, of)
    return (
        reading.shape in of.shapes
        and not reading.styled
        and want.shape in (None, reading.shape)
        and want.colour in (None, reading.colour)
        and want.background in (None, reading.background)
    )


def copies(pairs: Sequence[Pair]) -> set[int]:
    """Return which of the pictures the dataset report would call copies of an earlier one."""
    if not pairs:
        return set()
    with TemporaryDirectory() as name:
        write(Path(name), pairs, small=True)
        scanned = scan(DatasetRecipe(concepts=[Concept(instance=name)])).pictures
        thumbnails = make_thumbnails(scanned)
    numbers = [int(scanned[picture].path.stem) - 1 for picture in thumbnails.pictures]
    groups = duplicates(thumbnails, [(-number,) for number in numbers])
    return {numbers[row] for group in groups for row in group.rows[1:]}


def regularization(place: Place, captions: list[str], count: int, seed: int, distinct: bool = False) -> list[Pair]:
    """``count`` pictures that the base model draws for the captions; only those that the checker agrees with, and where
    ``distinct``, no two that the dataset report would call copies.
    """
    model = single_file.load(place.model)
    kept: list[Pair] = []
    asked = 0
    for turn in range(TURNS):
        batch = [captions[i % len(captions)] for i in range(len(kept), count)]
        if not batch:
            break
        pictures = np.concatenate(
            [model.sample(batch[i : i + 32], seed=seed + 1000 * turn + i) for i in range(0, len(batch), 32)]
        )
        asked += len(batch)
        kept += [(p, c) for p, c in zip(pictures, batch, strict=True) if agrees(p, c, place.of)]
        if distinct:
            dropped = copies(kept)
            kept = [pair for number, pair in enumerate(kept) if number not in dropped]
    say(f"regularization: {len(kept)} of {asked} pictures kept")
    return kept


def write_recipe(place: Place, kind: Kind) -> None:
    """The shipped example's recipe, with this world's model, words and pictures."""
    of, recipe = place.of, recipe_file.read(EXAMPLE / f"{kind}.yaml")
    concept = recipe.dataset.concepts[0]
    if kind == "subject":
        concept.name, concept.trigger, concept.class_word = of.subject.shape, of.subject.trigger, of.class_word
    else:
        concept.name, concept.trigger = of.style.name, of.style.trigger
    concept.instance, concept.regularization = (
        str(place.examples / kind / part) for part in ("instance", "regularization")
    )
    recipe.model.base, recipe.save.name = str(place.model), concept.name
    recipe.save.output = str(place.model.parent)
    shown = demo.concept_captions(len(recipe.watch.concept_prompts), kind, of)
    recipe.watch.concept_prompts = shown
    recipe.watch.bleeding_prompts = [group[0] for group in demo.bleeding_captions(1, of).values()]
    recipe_file.write(place.examples / f"{kind}.yaml", recipe)


def make_examples(place: Place) -> None:
    """Writes the examples' pictures, and in other worlds than the shipped one their recipes."""
    of, subject, style = place.of, place.examples / "subject", place.examples / "style"
    stars, shaded = subject_scenes(of), style_scenes(of)
    write(subject / "instance", [(drawing.draw(s), world.caption(s, of=of)) for s in stars])
    write(style / "instance", [(drawing.draw(s), world.caption(s, of=of)) for s in shaded])
    classes, known = world.world_captions(class_word=True, of=of), world.world_captions(of=of)
    # The class by its word, and by its members' names: whatever isn't shown here may bleed.
    pairs = regularization(place, 3 * classes + known, REGULARIZATION * len(stars), seed=100_000)
    write(subject / "regularization", pairs)
    pairs = regularization(place, known + classes, REGULARIZATION * len(shaded), seed=200_000, distinct=True)
    write(style / "regularization", pairs, small=True)
    if not place.shipped:
        write_recipe(place, "subject")
        write_recipe(place, "style")
