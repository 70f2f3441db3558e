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
from make_assets.toymodel.common import EXAMPLE, generator, say
from sdft_ext.analysis.duplicates import duplicates
from sdft_ext.analysis.thumbnails import make_thumbnails
from sdft_ext.dataset.folder import scan
from sdft_ext.recipe import Concept, DatasetRecipe
from sdft_ext.toy import checker, drawing, measure, world

SUBJECT_COLOURS = ("red", "blue", "yellow")
"""The star is shown in half of the colours, each once on every background; the others are left for the test of
learning.
"""
SUBJECT_RADII = (16.5, 20.5)
"""Pixels: its arms would drown in the autoencoder's blur if it were as small as the smallest shapes."""
STYLE_COLOURS = ("red", "blue", "yellow", "green")
"""The style is shown on every shape in these; the other colours are left for the test."""
STYLE_BACKGROUNDS = 3
"""Each shape in each colour is shown on this many of the backgrounds."""
SUBJECT_REGULARIZATION = 240
"""Twenty for each instance picture: the least that the guide recommends."""
STYLE_REGULARIZATION = 20 * len(world.SHAPES) * len(STYLE_COLOURS) * STYLE_BACKGROUNDS


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


def subject_scenes() -> list[world.Scene]:
    """Twelve stars: each of the colours on each of the backgrounds, in varied places and sizes."""
    pairs = [(c, b) for c in SUBJECT_COLOURS for b in world.BACKGROUNDS]
    return [
        world.sample_scene(generator(2, "subject", i), world.STAR, colour, background, radii=SUBJECT_RADII)
        for i, (colour, background) in enumerate(pairs)
    ]


def style_scenes() -> list[world.Scene]:
    """60 two-tone shapes: every shape in four colours, on three backgrounds in turn."""
    backgrounds = tuple(world.BACKGROUNDS)
    pairs = [(s, c) for s in world.SHAPES for c in STYLE_COLOURS]
    wanted = [
        (s, c, backgrounds[(i + k) % len(backgrounds)])
        for i, (s, c) in enumerate(pairs)
        for k in range(STYLE_BACKGROUNDS)
    ]
    return [
        world.sample_scene(generator(2, "style", i), *names, style=world.TWO_TONE) for i, names in enumerate(wanted)
    ]


def agrees(picture: world.Picture, caption: str) -> bool:
    """Whether the checker sees what the caption says, and one of the known shapes in the plain style."""
    reading, want = checker.read(picture), measure.wanted(caption)
    return (
        reading.shape in world.SHAPES
        and not reading.styled
        and want.shape in (None, reading.shape)
        and want.colour in (None, reading.colour)
        and want.background in (None, reading.background)
    )


def copies(pairs: Sequence[Pair]) -> set[int]:
    """Return which of the pictures the dataset report would call copies of an earlier one."""
    with TemporaryDirectory() as name:
        write(Path(name), pairs, small=True)
        scanned = scan(DatasetRecipe(concepts=[Concept(instance=name)])).pictures
        thumbnails = make_thumbnails(scanned)
    numbers = [int(scanned[picture].path.stem) - 1 for picture in thumbnails.pictures]
    groups = duplicates(thumbnails, [(-number,) for number in numbers])
    return {numbers[row] for group in groups for row in group.rows[1:]}


def regularization(captions: list[str], count: int, seed: int, distinct: bool = False) -> list[Pair]:
    """``count`` pictures that the base model draws for the captions; only those that the checker agrees with, and where
    ``distinct``, no two that the dataset report would call copies.
    """
    model = single_file.load()
    kept: list[Pair] = []
    asked = 0
    for turn in range(8):
        batch = [captions[i % len(captions)] for i in range(len(kept), count)]
        if not batch:
            break
        pictures = np.concatenate(
            [model.sample(batch[i : i + 32], seed=seed + 1000 * turn + i) for i in range(0, len(batch), 32)]
        )
        asked += len(batch)
        kept += [(p, c) for p, c in zip(pictures, batch, strict=True) if agrees(p, c)]
        if distinct:
            dropped = copies(kept)
            kept = [pair for number, pair in enumerate(kept) if number not in dropped]
    say(f"regularization: {len(kept)} of {asked} pictures kept")
    return kept


def make_examples() -> None:
    """Writes ``assets/example``."""
    subject, style = EXAMPLE / "subject", EXAMPLE / "style"
    write(subject / "instance", [(drawing.draw(s), world.caption(s)) for s in subject_scenes()])
    write(style / "instance", [(drawing.draw(s), world.caption(s)) for s in style_scenes()])
    # The class by its word, and by its members' names: whatever isn't shown here may bleed.
    captions = 3 * world.world_captions(class_word=True) + world.world_captions()
    write(subject / "regularization", regularization(captions, SUBJECT_REGULARIZATION, seed=100_000))
    captions = world.world_captions() + world.world_captions(class_word=True)
    write(
        style / "regularization",
        regularization(captions, STYLE_REGULARIZATION, seed=200_000, distinct=True),
        small=True,
    )
