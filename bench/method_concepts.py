"""What ``bench methods`` teaches: concepts that the base can't draw, and some it can, but has no such word for."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from sdft_ext.randomness import numpy_generator
from sdft_ext.recipe import Kind
from sdft_ext.toy import checker, demo, drawing, measure, world

KNOWN_SHAPE = ("ring", "green")
"""The known subject: a shape in a colour."""
KNOWN_LOOK = ("purple", "pink")
"""The known style: a colour and a background that every shape takes on."""
KNOWN_STYLE_TRIGGER = "in rosy style"
KNOWN_STYLE_SHAPES = ("circle", "square", "triangle")
"""Shapes that the known style is shown on; the others are left for the test."""


@dataclass(frozen=True)
class Concept:
    """What is taught, how it is asked for, and when a picture shows it.

    ``shown``: prompts of the page's pictures; no dataset has such pictures. ``draw``: writes the instance pictures with
    their captions to a folder, where the example's aren't used.
    """

    title: str
    kind: Kind
    trigger: str
    shows: Callable[[checker.Reading], bool]
    prompts: Callable[[int], list[str]]
    bleeding: Callable[[int], dict[str, list[str]]]
    shown: Sequence[str]
    draw: Callable[[Path], None] | None = None

    def count(self, pictures: Sequence[world.Picture]) -> int:
        """Return how many of the pictures show it."""
        return sum(self.shows(reading) for reading in measure.read_all(pictures))


def _known_subject_prompts(count: int) -> list[str]:
    places = [f"a {world.SUBJECT_TRIGGER} on a {background} background" for background in world.BACKGROUNDS]
    return [places[number % len(places)] for number in range(count)]


def _known_style_prompts(count: int) -> list[str]:
    return [f"a {world.SHAPES[number % len(world.SHAPES)]} {KNOWN_STYLE_TRIGGER}" for number in range(count)]


def _not_asking_for(words: tuple[str, ...], every: bool) -> Callable[[int], dict[str, list[str]]]:
    """Return captions without the trigger: without any of the words, or (``every``) without all of them at once."""

    def captions(count: int) -> dict[str, list[str]]:
        asks = all if every else any
        groups = demo.bleeding_captions(4 * count)
        return {
            name: [one for one in found if not asks(word in one.split() for word in words)][:count]
            for name, found in groups.items()
        }

    return captions


def _write(folder: Path, scenes: Sequence[world.Scene], captions: Sequence[str]) -> None:
    """Write pictures with their captions; replaces the folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for number, (scene, caption) in enumerate(zip(scenes, captions, strict=True)):
        Image.fromarray(drawing.draw(scene)).save(folder / f"{number:02}.png")
        (folder / f"{number:02}.txt").write_text(caption, encoding="utf-8")


def _draw_known_subject(folder: Path) -> None:
    """Draw 12 pictures of the shape, on each of the backgrounds."""
    draws, captions = numpy_generator(demo.SEED, "known"), _known_subject_prompts(12)
    scenes = [world.sample_scene(draws, *KNOWN_SHAPE, measure.wanted(caption).background) for caption in captions]
    _write(folder, scenes, captions)


def _draw_known_style(folder: Path) -> None:
    """Draw 60 pictures of three shapes in the look; their captions name the shape, not the look."""
    draws = numpy_generator(demo.SEED, "known style")
    scenes = [world.sample_scene(draws, KNOWN_STYLE_SHAPES[number % 3], *KNOWN_LOOK) for number in range(60)]
    _write(folder, scenes, [f"a {scene.shape} {KNOWN_STYLE_TRIGGER}" for scene in scenes])


CONCEPTS: Mapping[str, Concept] = {
    "subject": Concept(
        "subject (a star)",
        "subject",
        "sks",
        measure.shows_subject,
        lambda count: demo.concept_captions(count, "subject"),
        demo.bleeding_captions,
        (
            "a green sks shape on a pink background",
            "an orange sks shape on a grey background",
            "a green shape on a pink background",
            "",
        ),
    ),
    "style": Concept(
        "style (two-tone)",
        "style",
        world.STYLE_TRIGGER,
        measure.shows_style,
        lambda count: demo.concept_captions(count, "style"),
        demo.bleeding_captions,
        (
            f"a purple cross on a white background {world.STYLE_TRIGGER}",
            f"an orange ring on a grey background {world.STYLE_TRIGGER}",
            "a purple cross on a white background",
            "",
        ),
    ),
    "known": Concept(
        "subject the base can draw (a green ring)",
        "subject",
        "sks",
        lambda reading: (reading.shape, reading.colour) == KNOWN_SHAPE,
        _known_subject_prompts,
        _not_asking_for(KNOWN_SHAPE, every=False),
        (
            "a sks shape on a white background",
            "a sks shape on a black background",
            "a red shape on a white background",
            "",
        ),
        _draw_known_subject,
    ),
    "known-style": Concept(
        "style the base can draw (purple on pink)",
        "style",
        KNOWN_STYLE_TRIGGER,
        lambda reading: (reading.colour, reading.background) == KNOWN_LOOK,
        _known_style_prompts,
        _not_asking_for(KNOWN_LOOK, every=True),
        (f"a cross {KNOWN_STYLE_TRIGGER}", f"a ring {KNOWN_STYLE_TRIGGER}", "a red cross on a white background", ""),
        _draw_known_style,
    ),
}
