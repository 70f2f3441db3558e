"""The rows of ``bench strategies``: ways to caption the same pictures, and the prompts whose pictures are counted.

The pictures show a star. In half of them it is green, and half have a badge in the corner: two features that the
concept doesn't need. The base knows the word for the one, and none for the other.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from make_assets.toymodel.examples import SUBJECT_RADII, Pair, write
from sdft_ext.randomness import numpy_generator
from sdft_ext.recipe import Recipe
from sdft_ext.recipe import file as recipe_file
from sdft_ext.toy import badges, demo, drawing, world

from .method_rows import ROWS, default_recipe

COLOUR = "green"
"""Of the star in half of the pictures."""
OTHERS = ("red", "blue", "yellow")
"""Of the others in turn; the remaining colours are in no picture."""
PAIRS = tuple((colour, background) for background in world.BACKGROUNDS for colour in world.COLOURS)


@dataclass(frozen=True)
class Shown:
    """What one instance picture shows, or a prompt asks for."""

    colour: str
    background: str
    badge: bool = False


@dataclass(frozen=True)
class Strategy:
    """A way to caption. ``text``: the caption with ``{colour}``, ``{background}`` and, where the picture has the badge,
    ``{badge}``; ``named``: it names both features.
    """

    name: str
    label: str
    text: str
    badge: str = ""

    @property
    def named(self) -> bool:
        return "{colour}" in self.text

    def caption(self, shown: Shown) -> str:
        return self.text.format(
            colour=shown.colour, background=shown.background, badge=self.badge if shown.badge else ""
        )


STRATEGIES: Mapping[str, Strategy] = {
    one.name: one
    for one in (
        Strategy("trigger", "Trigger alone", "sks"),
        Strategy("class", "Trigger and class word", "sks shape"),
        Strategy("tags-unnamed", "Tags, features unnamed", "sks shape, {background} background"),
        Strategy(
            "tags", "Tags, features named", "sks shape, {colour}, {background} background{badge}", f", {badges.WORD}"
        ),
        Strategy("sentence-unnamed", "Sentence, features unnamed", "a sks shape on a {background} background"),
        Strategy(
            "sentence",
            "Sentence, features named",
            "a {colour} sks shape on a {background} background{badge}",
            f" with a {badges.WORD}",
        ),
    )
}
REFERENCE = "class"
"""The strategy that the others are compared with."""
SENTENCE = STRATEGIES["sentence"]


@dataclass(frozen=True)
class Plan:
    """How much is trained and drawn. ``every``: steps between saves; ``pictures``: of each group of prompts."""

    steps: int = 120
    every: int = 30
    pictures: int = 24
    seeds: int = 3


QUICK = Plan(steps=4, every=2, pictures=2, seeds=2)
LONGER = 2.5
"""How many times as many steps a run with regularization pictures has, and between its saves: half of each batch is the
star's, and the others slow its learning.
"""


@dataclass(frozen=True)
class Row:
    """Runs of a strategy, one for each seed; ``regularized``: with the example's regularization pictures."""

    strategy: Strategy
    regularized: bool = False

    @property
    def name(self) -> str:
        return f"{self.strategy.name}-regularized" if self.regularized else self.strategy.name


def rows(regularized: bool) -> list[Row]:
    """List the rows with regularization pictures, or those without."""
    return [Row(one, regularized) for one in STRATEGIES.values()]


def instance() -> list[tuple[Shown, world.Picture]]:
    """Draw the 16 instance pictures: on each background, with and without the badge, a green star and one in another
    colour.
    """
    found, others = [], itertools.cycle(OTHERS)
    for number, (background, badge, green) in enumerate(
        itertools.product(world.BACKGROUNDS, (False, True), (False, True))
    ):
        shown = Shown(COLOUR if green else next(others), background, badge)
        draws = numpy_generator(demo.SEED, "strategies", number)
        scene = world.sample_scene(draws, world.STAR, shown.colour, background, radii=SUBJECT_RADII)
        picture = drawing.draw(badges.beside(scene))
        found.append((shown, badges.badged(picture) if badge else picture))
    return found


def write_instance(strategy: Strategy, folder: Path) -> None:
    """Write the instance pictures with a strategy's captions; replaces the folder."""
    pairs: list[Pair] = [(picture, strategy.caption(shown)) for shown, picture in instance()]
    write(folder, pairs)


def recipe(row: Row, seed: int, instance: Path, plan: Plan) -> Recipe:
    """Return a run's recipe: a LoRA of the subject with its preset; only the pictures and the length are others."""
    found = default_recipe(next(one for one in ROWS if one.name == "lora"), seed)
    factor = LONGER if row.regularized else 1
    changes = {
        "dataset.concepts.0.instance": str(instance),
        "train.length": round(plan.steps * factor),
        "save.every": round(plan.every * factor),
        "save.every_unit": "steps",
    }
    if not row.regularized:
        changes["dataset.concepts.0.regularization"] = ""
    return recipe_file.override(found, [f"{path}={value}" for path, value in changes.items()])


def _spread(count: int, purpose: str) -> list[Shown]:
    """Return colours on backgrounds, each pair as often as any other, in random order."""
    order = numpy_generator(demo.SEED, purpose).permutation(len(PAIRS))
    return [Shown(*PAIRS[int(order[number % len(PAIRS)])]) for number in range(count)]


def on_way(strategy: Strategy, count: int) -> dict[str, list[tuple[str, Shown | None]]]:
    """Return the prompts that are drawn with each save, each with what it asks for besides the star: the trigger alone,
    the strategy's own captions of other pictures, and, for what bleeds, captions with the class word but no trigger.
    """
    own = _spread(count, "own")
    return {
        "trigger": [("sks", None)] * count,
        "own": [(strategy.caption(shown), shown if strategy.named else None) for shown in own],
        "class word": [(text, None) for text in demo.bleeding_captions(count)["class word"]],
    }


def at_end(count: int) -> dict[str, list[tuple[str, Shown | None]]]:
    """Return the prompts that are drawn with the last save too, the same for all strategies."""
    sentences = _spread(count, "sentence")
    asked = [Shown(COLOUR, tuple(world.BACKGROUNDS)[n % len(world.BACKGROUNDS)], badge=True) for n in range(count)]
    return {
        "sentence": [(SENTENCE.caption(shown), shown) for shown in sentences],
        "asked": [(SENTENCE.caption(shown), shown) for shown in asked],
    }


def captions(strategy: Strategy) -> Sequence[str]:
    """Return the captions of a strategy's instance pictures."""
    return [strategy.caption(shown) for shown, _ in instance()]
