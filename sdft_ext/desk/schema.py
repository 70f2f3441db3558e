"""The recipe's settings as data, for pages and programs: sections, and in them each field with its words and its
range.
"""

from __future__ import annotations

import typing
from collections.abc import Collection
from typing import Any, NamedTuple

from ..recipe import Recipe
from ..recipe.docs import sections as recipe_sections
from ..recipe.rules import Setting, choices, fields
from . import guide


class Part(NamedTuple):
    """A heading of its own for some of a long section's settings."""

    label: str
    help: str
    names: tuple[str, ...]


PARTS: dict[str, tuple[Part, ...]] = {
    "dataset": (
        Part(
            "Captions",
            "What the model reads beside each picture.",
            (
                "captions",
                "template",
                "prefix",
                "suffix",
                "shuffle_tags",
                "keep_tags",
                "tag_dropout",
                "caption_dropout",
                "regularization_caption_dropout",
            ),
        ),
    ),
    "train": (
        Part(
            "Optimizer",
            "Who makes the steps, and how the learning rate moves.",
            (
                "optimizer",
                "optimizer_options",
                "weight_decay",
                "clip_norm",
                "schedule",
                "warmup",
                "cycles",
                "power",
                "schedule_steps",
                "ema",
            ),
        ),
        Part(
            "Loss",
            "How the distance to the right answer is measured and weighted.",
            (
                "loss",
                "huber_delta",
                "snr_weighting",
                "snr_gamma",
                "prior_loss_weight",
                "masked_loss",
                "unmasked_weight",
            ),
        ),
        Part(
            "Noise and timesteps",
            "What noise the model learns to take away, and how much of it.",
            (
                "noise_offset",
                "multires_iterations",
                "multires_discount",
                "input_perturbation",
                "timestep_min",
                "timestep_max",
                "timestep_distribution",
                "logit_mean",
                "logit_std",
                "zero_terminal_snr",
            ),
        ),
        Part(
            "Speed and memory",
            "How the same steps are computed.",
            ("precision", "checkpointing", "sdpa", "channels_last", "compile", "deterministic"),
        ),
    ),
}
"""Sections with many settings, in parts; what no part names stays under the section's own heading."""
FOLDERS = ("instance", "regularization", "cache_folder", "output")
"""Settings that name a folder, not a file."""
UNITS = {
    "px": ("resolution", "bucket_step", "bucket_min", "bucket_max", "size"),
    "steps": ("warmup", "state_every", "validation_every", "log_every", "watch.every"),
}
NO_CONTROL = ("version",)
"""What the file's reader looks after, not its user."""


def sections(without: Collection[str] = ()) -> list[dict[str, Any]]:
    """Every section with its fields, in the recipe's order. ``without``: paths of settings that the host decides
    itself.

    The settings of a concept have the paths of the first one (``dataset.concepts.0.trigger``), and their section is
    marked ``repeated``: a recipe may hold several.
    """
    left_out = {*NO_CONTROL, *without}
    settings = [setting for setting in fields(Recipe) if setting.path not in left_out]
    found = []
    for path, label, help_ in recipe_sections(Recipe):
        own = path.replace(".N", ".0")
        mine = [setting for setting in settings if setting.path.rpartition(".")[0] == own]
        parts = PARTS.get(path, ())
        elsewhere = {name for part in parts for name in part.names}
        rest = [setting for setting in mine if _name(setting) not in elsewhere]
        found.append(_section(own, label, help_, rest, repeated=path.endswith(".N")))
        for part in parts:
            named = [setting for setting in mine if _name(setting) in part.names]
            found.append(_section(own, part.label, part.help, named))
    return [section for section in found if section["fields"]]


def _section(path: str, label: str, help_: str, settings: list[Setting], repeated: bool = False) -> dict[str, Any]:
    return {
        "path": path,
        "label": label,
        "help": help_,
        "repeated": repeated,
        "fields": [_field(setting) for setting in settings],
    }


def _field(setting: Setting) -> dict[str, Any]:
    return {
        "path": setting.path,
        "label": setting.label,
        "help": setting.help,
        "type": kind(setting.type),
        "choices": list(choices(setting.type)),
        "low": setting.low,
        "high": _exact(setting.high),
        "folded": bool(setting.field.metadata["folded"]),
        "methods": list(setting.methods),
        "is_path": setting.is_path,
        "is_folder": setting.is_path and _name(setting) in FOLDERS,
        "unit": _unit(setting),
        "default": setting.value,
        "allowed": setting.allowed,
        "guide": guide.entry_of(setting.path),
    }


def kind(hint: Any) -> str:
    """The kind of control that a type asks for."""
    if choices(hint):
        return "choice"
    if typing.get_origin(hint) is list:
        return "list"
    if typing.get_origin(hint) is dict:
        return "map"
    return {int: "int", float: "float", bool: "bool"}.get(hint, "text")


def _unit(setting: Setting) -> str:
    """What a number counts; empty where its label says so."""
    return next((unit for unit, names in UNITS.items() if setting.path in names or _name(setting) in names), "")


def _exact(value: float | None) -> float | None:
    """JavaScript's numbers hold whole ones up to 2⁵³; beyond that the recipe's own check is the one that counts."""
    return None if value is not None and value > 2**53 else value


def _name(setting: Setting) -> str:
    return setting.path.rpartition(".")[2]
