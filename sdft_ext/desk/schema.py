"""The recipe's settings as data, for pages and programs: sections, and each field with its texts and its range."""

from __future__ import annotations

import typing
from functools import lru_cache
from typing import Any, NamedTuple

from ..recipe import Recipe
from ..recipe.docs import sections as recipe_sections
from ..recipe.rules import Setting, choices, fields
from ..run.changed_settings import CHANGEABLE
from . import guide


class Part(NamedTuple):
    """Some of a long section's settings, under a heading of their own."""

    label: str
    help: str
    names: tuple[str, ...]


PARTS: dict[str, tuple[Part, ...]] = {
    "dataset": (
        Part(
            "Captions",
            "What the model reads with each picture.",
            (
                "captions",
                "caption_lines",
                "wildcards",
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
            "How the weights are updated, and how the learning rate changes.",
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
            "How the error is measured and weighted.",
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
            "Which noise the model learns to remove, and how much of it.",
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
            "How each step is computed.",
            ("precision", "checkpointing", "sdpa", "channels_last", "compile", "deterministic"),
        ),
    ),
}
"""Parts of sections with many settings; settings that no part names stay under the section's own heading."""
FOLDERS = ("instance", "regularization", "linked_folder", "cache_folder", "output")
"""Settings that name a folder, not a file."""
UNITS = {
    "px": ("resolution", "bucket_step", "bucket_min", "bucket_max", "size"),
    "steps": ("warmup", "state_every", "validation_every", "log_every", "watch.every"),
}
NO_CONTROL = ("version",)
"""Settings for the reader of the file, not for its user."""


@lru_cache(maxsize=4)
def sections(without: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """List every section with its fields, in the recipe's order, without the paths in ``without``.

    The settings of a concept have the paths of the first one (``dataset.concepts.0.trigger``), and their section is
    marked ``repeated``: a recipe may have several.
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
        "at_resume": setting.path in CHANGEABLE,
    }


def kind(hint: Any) -> str:
    """Return the kind of control for a type."""
    if choices(hint):
        return "choice"
    if typing.get_origin(hint) is list:
        return "list"
    if typing.get_origin(hint) is dict:
        return "map"
    return {int: "int", float: "float", bool: "bool"}.get(hint, "text")


def _unit(setting: Setting) -> str:
    """Return a number's unit; empty where its label says it."""
    return next((unit for unit, names in UNITS.items() if setting.path in names or _name(setting) in names), "")


def _exact(value: float | None) -> float | None:
    """Return a limit that JavaScript represents exactly (up to 2⁵³), or None: the recipe's own check still applies."""
    return None if value is not None and value > 2**53 else value


def _name(setting: Setting) -> str:
    return setting.path.rpartition(".")[2]
