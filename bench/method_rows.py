"""The rows of ``bench methods``: which runs are trained and measured, each with its recipe."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sdft_ext.recipe import METHOD_INFO, Kind, Recipe, presets
from sdft_ext.recipe import file as recipe_file
from sdft_ext.recipe.rules import fields
from sdft_ext.toy import demo, world

from .method_concepts import CONCEPTS, Concept

LEARNED = 0.9
"""Runs are compared with each other at the save where they have learned this much."""
EVERY = 50
"""Steps between the saves of such a run."""


@dataclass(frozen=True)
class Row:
    """Runs of one recipe, one for each seed. ``changes``: where it differs from its preset.

    ``compared``: measured at the first save that has learned ``LEARNED``.
    """

    name: str
    label: str
    method: str
    concept: str = "subject"
    changes: tuple[str, ...] = ()
    compared: bool = False

    @property
    def taught(self) -> Concept:
        return CONCEPTS[self.concept]

    @property
    def kind(self) -> Kind:
        return self.taught.kind


def _both(name: str, label: str, method: str, *changes: str) -> tuple[Row, Row]:
    """Return the rows of the subject and of the style."""
    return Row(name, label, method, changes=changes), Row(f"{name}-style", label, method, "style", changes)


_TAUGHT = (
    _both("lora", "LoRA", "lora"),
    _both("locon", "LoRA, convolutions at rank 8 (LoCon)", "lora", "method.lora.conv_rank=8"),
    _both("dora", "DoRA", "dora"),
    _both("loha", "LoHa", "loha"),
    _both("lokr", "LoKr", "lokr"),
    _both("pivotal", "Pivotal tuning", "pivotal"),
    _both("dreambooth", "DreamBooth, a checkpoint", "dreambooth"),
    _both("dreambooth-lora", "DreamBooth, saved as a LoRA", "dreambooth", "method.full.save_as=lora"),
    _both("full", "Full fine-tune", "full"),
)
_CALLED = tuple(
    Row(f"{method}{ending}", label, method, concept)
    for method, label in (("textual_inversion", "Textual inversion"), ("hypernetwork", "Hypernetwork"))
    for ending, concept in (("-known", "known"), ("-known-style", "known-style"), ("", "subject"), ("-style", "style"))
)
_HELD = (
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
_LISTED = (*(one for one, _ in _TAUGHT), *(one for _, one in _TAUGHT), *_CALLED, *_HELD)
ROWS = _LISTED + tuple(
    row
    for info in METHOD_INFO.values()
    if info.name not in {row.method for row in _LISTED}
    for row in _both(info.name, info.label, info.name)
)
"""Every row; a method that isn't listed has its preset's."""


def default_recipe(row: Row, seed: int = 1) -> Recipe:
    """Build the recipe that the page begins with: the method's preset, the normal length, and the rest from the
    example.

    There are no control pictures and no saves on the way, which change nothing of what is learned.
    """
    example = recipe_file.read(demo.EXAMPLES / f"{row.kind}.yaml")
    settings = {setting.path: setting.value for setting in fields(example)}
    settings |= presets.start(row.method, row.kind, "toy", world.SIZE)
    settings |= {
        "dataset.concepts.0.trigger": row.taught.trigger,
        "watch.concept_prompts": [],
        "watch.bleeding_prompts": [],
        "watch.propose_prompts": False,
        "save.every": EVERY if row.compared else 0,
        "save.keep_last": 0,
        "train.seed": seed,
    }
    return recipe_file.override(Recipe(), [*map("=".join, _texts(settings)), *row.changes])


def _texts(settings: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for path, value in settings.items():
        yield path, value if isinstance(value, str) else json.dumps(value)


def settings_of(recipe: Recipe) -> dict[str, Any]:
    """Return the settings that decide what is learned: figures of other settings are told apart by them."""
    return {
        setting.path: setting.value
        for setting in fields(recipe)
        if not setting.is_path and setting.path not in ("save.name", "save.output")
    }
