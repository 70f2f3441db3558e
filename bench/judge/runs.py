"""The runs on which the judge is proved: good ones, and those that fail in each of the ways a user meets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sdft_ext.recipe import Recipe, presets
from sdft_ext.recipe import file as recipe_file
from sdft_ext.recipe.rules import fields
from sdft_ext.toy import world

from .concepts import CONCEPTS, JudgedConcept

PICTURES = 32
"""Control pictures of each set: four times as many as by default, so that the default can be compared with."""
SAVES = 6
"""Saves of each run, evenly spread, the last at its end."""


@dataclass(frozen=True)
class Kind:
    """One way to train. ``rate``: times the preset's learning rates; ``pictures``: of the instance pictures, evenly
    spread (None: all).
    """

    method: str = "lora"
    steps: int = 300
    rate: float = 1.0
    pictures: tuple[int, int] | None = None
    """Of a subject, of a style."""
    changes: tuple[str, ...] = ()


UNHELD = ("dataset.concepts.0.regularization=",)
KINDS: dict[str, Kind] = {
    "good": Kind(steps=300),
    "unheld": Kind(steps=180, changes=UNHELD),
    "weak": Kind(steps=240, rate=0.1),
    "short": Kind(steps=120),
    "long": Kind(steps=720, pictures=(6, 12), changes=("train.prior_loss_weight=0.3",)),
    "copied": Kind(steps=480, pictures=(3, 6), changes=("train.prior_loss_weight=0.5",)),
    "hot": Kind(steps=240, rate=6.0),
    "blank": Kind(changes=("dataset.regularization_caption_dropout=0",)),
    "trigger-alone": Kind(changes=("dataset.template=[name] shape",)),
    "dora": Kind("dora"),
    "loha": Kind("loha"),
    "lokr": Kind("lokr"),
    "dreambooth": Kind("dreambooth"),
    "hypernetwork": Kind("hypernetwork"),
    "textual_inversion": Kind("textual_inversion"),
}
COMMON = ("good", "unheld", "weak", "short", "long", "copied", "hot")
"""Every concept has these; the others are dealt out in turn."""


@dataclass(frozen=True)
class JudgedRun:
    """A run of the proof."""

    concept: JudgedConcept
    kind: str
    seed: int

    @property
    def name(self) -> str:
        return f"{self.concept.name}-{self.kind}-{self.seed}"

    def recipe(self, folder: Path, instance: Path) -> Recipe:
        """Return its recipe: the preset of the concept's kind and method, with this kind's changes."""
        how, of = KINDS[self.kind], self.concept
        settings = {setting.path: setting.value for setting in fields(of.recipe(instance))}
        settings |= presets.start(how.method, of.kind, "toy", world.SIZE)
        for path in ("train.learning_rate", "train.text_encoder_learning_rate", "method.embedding.learning_rate"):
            settings[path] *= how.rate
        settings |= {
            "watch.concept_prompts": [],
            "watch.bleeding_prompts": [],
            "watch.pictures": PICTURES,
            "watch.sampler_steps": 10,
            "train.length": how.steps,
            "save.every": how.steps // SAVES,
            "save.every_unit": "steps",
            "save.keep_last": 0,
            "save.state_share": 0,
            "save.output": str(folder),
            "save.name": self.name,
            "train.seed": self.seed,
            "watch.validation_every": how.steps // SAVES,
            "watch.validation_share": 0.15 if of.kind == "style" else 0.0,
            "watch.tensorboard": False,
        }
        return recipe_file.override(Recipe(), [*map("=".join, _texts(settings)), *how.changes])


def _texts(settings: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for path, value in settings.items():
        yield path, value if isinstance(value, str) else json.dumps(value)


def runs() -> list[JudgedRun]:
    """List all runs: for each concept the common kinds and one of the others, in an order in which any first part has
    some of every kind.
    """
    others = [kind for kind in KINDS if kind not in COMMON]
    found = []
    for number, concept in enumerate(CONCEPTS.values()):
        dealt = others[number % len(others)]
        found.append([JudgedRun(concept, kind, number + 1) for kind in (*COMMON, dealt)])
    return [row[place] for place in range(len(found[0])) for row in found]
