"""Optimizers of sd-scripts and OneTrainer, by the recipe's names, with the same decay and options.

Both use the authors' own packages (bitsandbytes, lion-pytorch, prodigyopt, dadaptation, transformers' Adafactor,
schedulefree), whose defaults differ from torch's AdamW: their weight decay is 0.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .draft import shown
from .values import Values, finite

DECAY = {"adamw": 0.01, "adamw8bit": 0.01}
"""Weight decay where none is given; 0 for the other optimizers."""
OPTIONS: dict[str, dict[str, str]] = {
    "adamw": {"betas": "betas", "eps": "eps", "amsgrad": "amsgrad"},
    "adamw8bit": {"betas": "betas", "eps": "eps"},
    "lion": {"betas": "betas"},
    "prodigy": {
        "betas": "betas",
        "beta3": "beta3",
        "eps": "eps",
        "decouple": "weight_decouple",
        "use_bias_correction": "bias_correction",
        "safeguard_warmup": "safeguard_warmup",
        "d_coef": "d_coef",
        "d0": "d0",
        "growth_rate": "growth_rate",
    },
    "dadaptadam": {"betas": "betas", "eps": "eps", "d0": "d0", "growth_rate": "growth_rate"},
    "adafactor": {
        "decay_rate": "decay_rate",
        "clip_threshold": "clip_threshold",
        "scale_parameter": "scale_parameter",
        "relative_step": "relative_step",
        "warmup_init": "warmup_init",
        "betas": "betas",
    },
    "came": {"betas": "betas", "clip_threshold": "clip_threshold"},
    "adamw_schedule_free": {
        "betas": "betas",
        "eps": "eps",
        "r": "r",
        "weight_lr_power": "weight_lr_power",
        "warmup_steps": "warmup_steps",
    },
}
"""The options of each optimizer that mean the same here: their names there and here."""
IMPLIED: dict[str, dict[str, Any]] = {
    # transformers' Adafactor scales the rate by each parameter, and keeps no mean of the gradient (beta1 of 0 here).
    "adafactor": {"scale_parameter": True, "betas": (0.0, 0.999)},
    "prodigy": {"decouple": True},
}
"""Options with another default there than here, or one that the recipe had better show."""
MOST_CHARACTERS = 10_000
"""Of arguments in one text."""
INACTIVE: dict[str, Any] = {"decouple": (False, True), "momentum": 0, "block_wise": (True, False), "is_paged": False}


@dataclass(frozen=True)
class Found:
    """The recipe's optimizer for another program's; ``instead`` says what is different, empty where nothing is."""

    name: str
    instead: str = ""


_8BIT = "8 bits are used only by adamw8bit here: the same optimizer in full precision takes more memory"
_PAGED = "states aren't moved to the computer's memory here"
_NEAREST = "there is no such optimizer here, so {0} was chosen: check the learning rate, which it may need another of"
NAMES: dict[str, Found] = {
    "adamw": Found("adamw"),
    "adamw8bit": Found("adamw8bit"),
    "pagedadamw": Found("adamw", _PAGED),
    "pagedadamw32bit": Found("adamw", _PAGED),
    "pagedadamw8bit": Found("adamw8bit", _PAGED),
    "adam": Found(
        "adamw", "Adam adds its weight decay to the gradient, AdamW takes it from the weights: the same at 0"
    ),
    "adam8bit": Found("adamw8bit", "Adam adds its weight decay to the gradient, AdamW takes it from the weights"),
    "lion": Found("lion"),
    "lion8bit": Found("lion", _8BIT),
    "pagedlion8bit": Found("lion", _8BIT),
    "prodigy": Found("prodigy"),
    "dadaptation": Found("dadaptadam", "this was D-Adaptation's preliminary form, and Adam's final one was chosen"),
    "dadaptadampreprint": Found("dadaptadam", "its final form was chosen"),
    "dadaptadam": Found("dadaptadam"),
    "adafactor": Found("adafactor"),
    "came": Found("came"),
    "came8bit": Found("came", _8BIT),
    "adamwschedulefree": Found("adamw_schedule_free"),
    "schedulefreeadamw": Found("adamw_schedule_free"),
    "radamschedulefree": Found("adamw_schedule_free", _NEAREST.format("adamw_schedule_free")),
    "prodigyplusschedulefree": Found("prodigy", _NEAREST.format("prodigy")),
    "prodigyadv": Found("prodigy", _NEAREST.format("prodigy")),
    "lionadv": Found("lion", _NEAREST.format("lion")),
}
"""By the name in small letters, without a module and underscores."""


def set_optimizer(values: Values, name: str, options: Mapping[str, Any]) -> str:
    """Set the recipe's optimizer, weight decay and options from a named setting and its options; return its name."""
    given = values.text(name) or "AdamW"
    key = re.sub(r"[_\s]", "", given.rpartition(".")[2]).lower()
    found = NAMES.get(key)
    if found is None:
        near = "dadaptadam" if key.startswith("dadapt") else "adamw"
        found = Found(near, _NEAREST.format(near))
    values.set("train.optimizer", name, found.name)
    if found.instead:
        values.leave(name, f"{found.instead}. Choose another in train.optimizer if you like.")
    _set_options(values, found.name, name, options)
    return found.name


def _set_options(values: Values, optimizer: str, name: str, options: Mapping[str, Any]) -> None:
    decay = options.get("weight_decay")
    valid = isinstance(decay, int | float) and not isinstance(decay, bool)
    values.draft.set(
        "train.weight_decay",
        decay if valid else DECAY.get(optimizer, 0.0),
        f"{values.name(name)}'s weight_decay",
        decay if valid else None,
    )
    if decay is not None and not valid:
        values.draft.note(
            f"{values.name(name)}'s weight_decay is {shown(decay)}, which isn't a usable number, so it was "
            "left out. Set train.weight_decay."
        )
    known, found = OPTIONS[optimizer], dict[str, str]()
    for option, value in {**IMPLIED.get(optimizer, {}), **options}.items():
        if option == "weight_decay":
            continue
        if option == "beta1" and optimizer == "adafactor":
            option, value = "betas", (value or 0.0, 0.999)
        if option in known:
            found[known[option]] = _text(value)
        elif option not in INACTIVE or value not in _tuple(INACTIVE[option]):
            values.draft.note(
                f"{values.name(name)}'s option {option[:40]} = {shown(value)} was left out: {optimizer} has no such "
                "option here. See train.optimizer_options for those that it has."
            )
    if optimizer == "adafactor" and found.get("relative_step") == "true":
        values.draft.note(
            f"{values.name(name)} finds its own learning rate (relative_step): train.schedule and train.learning_rate "
            "have no effect. Set relative_step=False with a rate of your own to use them."
        )
    if found:
        values.draft.set("train.optimizer_options", found, f"{values.name(name)}'s options", dict(options))


def arguments(values: Values, name: str) -> dict[str, Any]:
    """Parse kohya's arguments, ``["weight_decay=0.1", "betas=(0.9, 0.99)"]``, or one text with spaces between them.

    Values are Python's literals: numbers, true or false, tuples, texts; anything else stays text. Nothing is executed.
    """
    given = values.raw(name, [])
    if isinstance(given, str) and len(given) > MOST_CHARACTERS:
        values.leave(name, f"it is longer than {MOST_CHARACTERS:,} characters, so it was left out. Shorten it.")
        given = []
    parts = (
        _split(given) if isinstance(given, str) else [str(part) for part in given] if isinstance(given, list) else []
    )
    found: dict[str, Any] = {}
    for part in parts:
        option, equals, text = part.partition("=")
        if equals and option.strip():
            found[option.strip()] = _literal(text.strip())
        elif part.strip():
            values.draft.note(
                f"{values.name(name)} has {shown(part)}, which isn't written as name=value, so it was left out. "
                "Correct it and import again."
            )
    return found


def _split(text: str) -> list[str]:
    """Split arguments at the spaces before a name and its =, so that ``betas=(0.9, 0.99)`` stays in one piece.

    Quotes are left out, as kohya_ss does.
    """
    return [part for part in re.split(r" (?=[A-Za-z_]\w* ?=)", " ".join(text.replace('"', "").split())) if part]


def _literal(text: str) -> Any:
    text = text.strip("\"'") if text[:1] in "\"'" else text
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if len(text) > 200 or text.count("(") + text.count("[") > 4:
        return text
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return text
    return text if isinstance(value, int | float) and finite(value) is None else value


def _text(value: Any) -> str:
    """Write an option's value as the recipe does."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return ", ".join(_text(item) for item in value)
    return "none" if value is None else str(value)


def _tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)
