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

LEARNED = 0.9
"""Runs are compared with each other at the save where they have learned this much."""
EVERY = 50
"""Steps between the saves of such a run."""


@dataclass(frozen=True)
class Row:
    """One run. ``changes``: where it differs from its preset. ``compared``: at the first save that has learned
    ``LEARNED``.

    ``known``: its subject is one that the base can draw, but has no such word for.
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


_LISTED = (
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
ROWS = _LISTED + tuple(
    Row(info.name, info.label, info.name)
    for info in METHOD_INFO.values()
    if info.name not in {row.method for row in _LISTED}
)
"""Every run; a method that isn't listed has one with its preset."""
CONCEPTS = {
    "subject": "subject (a star)",
    "style": "style (two-tone)",
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
        "a purple cross on a white background in twotone style",
        "an orange ring on a grey background in twotone style",
        "a purple cross on a white background",
        "",
    ),
}
"""Prompts of the pictures in the page; no dataset has such pictures."""


def default_recipe(row: Row) -> Recipe:
    """Build the recipe that the page begins with: the method's preset, the normal length, and the rest from the
    example.

    There are no control pictures and no saves on the way, which change nothing of what is learned.
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


def settings_of(recipe: Recipe) -> dict[str, Any]:
    """Return the settings that decide what is learned: figures of other settings are told apart by them."""
    return {
        setting.path: setting.value
        for setting in fields(recipe)
        if not setting.is_path and setting.path not in ("save.name", "save.output")
    }
