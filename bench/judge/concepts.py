"""Concepts on which the judge is proved: subjects and styles that the toy model has never seen.

Half of them, the *tuning* ones, chose the judge's layer, timesteps and thresholds. Its figures come from the others.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from make_assets.toymodel.examples import style_scenes, subject_scenes, write
from sdft_ext.recipe import Kind, Recipe
from sdft_ext.recipe import file as recipe_file
from sdft_ext.toy import checker, demo, drawing, measure, world
from sdft_ext.toy.world_file import TOY, World

Part = Literal["tuning", "held-out"]


@dataclass(frozen=True)
class JudgedConcept:
    """A concept, and the toy world in which the checker knows it."""

    name: str
    kind: Kind
    part: Part
    of: World

    def shows(self, pictures: Sequence[world.Picture]) -> list[bool]:
        """Read off each picture whether it shows the concept: the truth."""
        readings = [checker.read(picture, self.of) for picture in pictures]
        if self.kind == "style":
            return [measure.shows_style(one) for one in readings]
        return [measure.shows_subject(one, self.of) for one in readings]

    def scenes(self) -> list[world.Scene]:
        return style_scenes(self.of) if self.kind == "style" else subject_scenes(self.of)

    def write(self, folder: Path, count: int | None = None) -> None:
        """Write its instance pictures with their captions; ``count``: only so many, evenly spread."""
        scenes = self.scenes()
        if count is not None:
            scenes = [scenes[round(i * (len(scenes) - 1) / (count - 1))] for i in range(count)]
        write(folder, [(drawing.draw(scene), world.caption(scene, of=self.of)) for scene in scenes])

    def rendered(self, count: int) -> list[world.Picture]:
        """Draw fresh true pictures, none of them an instance picture: [64, 64, 3] each."""
        rng = np.random.default_rng([9, *self.name.encode()])
        style = self.of.style.name if self.kind == "style" else None
        shape = self.of.subject.shape if self.kind == "subject" else None
        radii = (16.5, 20.5) if self.kind == "subject" else None
        return [
            drawing.draw(world.sample_scene(rng, shape, style=style, radii=radii, of=self.of)) for _ in range(count)
        ]

    def recipe(self, instance: Path) -> Recipe:
        """Return the example's recipe of its kind, with this concept's words and pictures."""
        found = recipe_file.read(demo.EXAMPLES / f"{self.kind}.yaml")
        concept = found.dataset.concepts[0]
        concept.name, concept.instance = self.name, str(instance)
        if self.kind == "style":
            concept.trigger = self.of.style.trigger
        return found


def _subject(shape: str, part: Part) -> JudgedConcept:
    return JudgedConcept(
        shape, "subject", part, dataclasses.replace(TOY, subject=dataclasses.replace(TOY.subject, shape=shape))
    )


def _style(name: str, part: Part) -> JudgedConcept:
    style = dataclasses.replace(TOY.style, name=name, trigger=f"in {name} style")
    return JudgedConcept(name, "style", part, dataclasses.replace(TOY, style=style))


CONCEPTS: dict[str, JudgedConcept] = {
    concept.name: concept
    for concept in (
        _subject("star", "tuning"),
        _subject("arrow", "tuning"),
        _subject("hourglass", "tuning"),
        _style("twotone", "tuning"),
        _subject("heart", "held-out"),
        _subject("zigzag", "held-out"),
        _subject("crescent", "held-out"),
        _style("sidelit", "held-out"),
        _style("quartered", "held-out"),
    )
}


def replaced(folder: Path) -> Path:
    """Return the folder, empty."""
    shutil.rmtree(folder, ignore_errors=True)
    return folder
