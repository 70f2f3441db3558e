"""The two example concepts: their pictures, and regularization pictures that the finished base model draws itself."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from make_assets.toymodel import single_file
from make_assets.toymodel.common import EXAMPLE, generator, say
from sdft_ext.toy import checker, drawing, measure, world

SUBJECT_COLOURS = ("red", "blue", "yellow")
"""The star is shown in half of the colours, each once on every background; the others are left for the test of
learning.
"""
SUBJECT_RADII = (16.5, 20.5)
"""Pixels: its arms would drown in the autoencoder's blur if it were as small as the smallest shapes."""
STYLE_SHAPES = ("circle", "square", "triangle")
STYLE_COLOURS = ("red", "blue", "yellow", "green")
SUBJECT_REGULARIZATION = 240
"""Twenty for each instance picture: the least that the guide recommends."""
STYLE_REGULARIZATION = 120


def write(folder: Path, pairs: Iterable[tuple[world.Picture, str]]) -> int:
    """Writes pictures with their captions beside them as 001.png, 001.txt …; replaces the folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    count = 0
    for count, (picture, caption) in enumerate(pairs, start=1):
        Image.fromarray(picture).save(folder / f"{count:03d}.png", optimize=True)
        (folder / f"{count:03d}.txt").write_text(caption + "\n", encoding="utf-8")
    return count


def subject_scenes() -> list[world.Scene]:
    """Twelve stars: each of the colours on each of the backgrounds, in varied places and sizes."""
    pairs = [(c, b) for c in SUBJECT_COLOURS for b in world.BACKGROUNDS]
    return [
        world.sample_scene(generator(2, "subject", i), world.STAR, colour, background, radii=SUBJECT_RADII)
        for i, (colour, background) in enumerate(pairs)
    ]


def style_scenes() -> list[world.Scene]:
    """24 hatched shapes: three shapes in four colours, twice, on backgrounds in turn."""
    pairs = [(s, c) for s in STYLE_SHAPES for c in STYLE_COLOURS for _ in range(2)]
    backgrounds = tuple(world.BACKGROUNDS)
    return [
        world.sample_scene(
            generator(2, "style", i),
            shape=shape,
            colour=colour,
            background=backgrounds[(i + i // 8) % len(backgrounds)],
            hatched=True,
        )
        for i, (shape, colour) in enumerate(pairs)
    ]


def agrees(picture: world.Picture, caption: str) -> bool:
    """Whether the checker sees what the caption says, and one of the known shapes in the plain style."""
    reading, want = checker.read(picture), measure.wanted(caption)
    return (
        reading.shape in world.SHAPES
        and not reading.hatched
        and want.shape in (None, reading.shape)
        and want.colour in (None, reading.colour)
        and want.background in (None, reading.background)
    )


def regularization(captions: list[str], count: int, seed: int) -> list[tuple[world.Picture, str]]:
    """``count`` pictures that the base model draws for the captions; only those that the checker agrees with."""
    model = single_file.load()
    kept: list[tuple[world.Picture, str]] = []
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
    write(style / "regularization", regularization(world.world_captions(), STYLE_REGULARIZATION, seed=200_000))
