"""Presets: settings that are known to work for a kind of concept, a method and a family of models.

The numbers for SD 1, SD 2 and SDXL are those that trainers and guides agree on; those for the toy model were measured.
"""

from __future__ import annotations

import copy
from typing import Any

from .concept import Kind
from .file import put
from .method import Precision
from .method_info import METHOD_INFO, MethodInfo
from .recipe import Recipe
from .rules import fields

KINDS: dict[Kind, tuple[str, str]] = {
    "subject": ("Subject", "A person, an animal or a thing that should look the same in every picture: 5–20 pictures."),
    "style": ("Style", "A way of drawing that any motif can take on: 50–200 pictures."),
}

RANKS: dict[Kind, int] = {"subject": 16, "style": 32}

COMMON: dict[str, dict[str, Any]] = {
    "sd1": {"train.learning_rate": 1e-4, "train.text_encoder_learning_rate": 5e-5, "train.batch_size": 2},
    "sd2": {"train.learning_rate": 1e-4, "train.text_encoder_learning_rate": 5e-5, "train.batch_size": 2},
    "sdxl": {"train.learning_rate": 1e-4, "train.batch_size": 1, "train.accumulation": 2},
}

STEPS = {"quick": 500, "normal": 1500, "thorough": 3000}
TOY_STEPS = {"quick": 150, "normal": 450, "thorough": 900}
THOROUGH = {
    "quick": ("Quick", "A first look: shows whether the pictures teach anything."),
    "normal": ("Normal", "Enough for most concepts."),
    "thorough": ("Thorough", "For difficult concepts; compare the saves, an earlier one may be better."),
}
SAVES = 5
"""Saves of a run, evenly spread, to choose from."""


def presets(family: str, resolution: int, precision: Precision) -> list[dict[str, Any]]:
    """List the presets for a model: for each kind of concept a LoRA's, then those of methods that differ from it.

    ``family``: ``sd1``, ``sd2``, ``sdxl`` or ``toy``; ``precision``: the best one for runs on the device (see
    ``host.base.suited``).
    """
    found = []
    used_by = {setting.path: setting.methods for setting in fields(Recipe) if setting.methods}
    for name, method in METHOD_INFO.items():
        if name != "lora" and not method.start:
            continue
        for kind, (label, help_) in KINDS.items():
            settings = _settings(kind, family, resolution, precision)
            if name != "lora":
                settings |= {"method.name": name, **_of_method(method, kind, family)}
                if method.whole_model:
                    settings = _whole(settings, family)
                settings = {path: value for path, value in settings.items() if name in used_by.get(path, (name,))}
                label = f"{label} · {method.label}"
            found.append({"name": f"{kind}-{name}", "label": label, "help": help_, "settings": settings})
    return found


def thorough(family: str) -> list[dict[str, Any]]:
    """List the three lengths of training, with their settings."""
    steps = TOY_STEPS if family == "toy" else STEPS
    return [
        {
            "name": name,
            "label": label,
            "help": help_,
            "settings": {
                "train.length": steps[name],
                "train.length_unit": "steps",
                "save.every": steps[name] // SAVES,
                "save.every_unit": "steps",
            },
        }
        for name, (label, help_) in THOROUGH.items()
    ]


def start(method: str, kind: Kind, family: str, resolution: int, precision: Precision = "fp32") -> dict[str, Any]:
    """Return the settings that a recipe starts with, as on the page: the method's preset, or else a LoRA's, and the
    normal length.
    """
    settings = {preset["name"]: preset["settings"] for preset in presets(family, resolution, precision)}
    preset = settings.get(f"{kind}-{method}", settings[f"{kind}-lora"])
    length = next(length["settings"] for length in thorough(family) if length["name"] == "normal")
    return {**preset, **length, "method.name": method}


def with_method(recipe: Recipe, method: str, family: str, resolution: int, precision: Precision) -> Recipe:
    """Return the recipe as the page makes it when another method is chosen: settings that are still the old one's start
    become the new one's, and those that the user has changed stay.
    """
    kind = recipe.dataset.concepts[0].kind
    old, new = (start(name, kind, family, resolution, precision) for name in (recipe.method.name, method))
    now = {setting.path: setting.value for setting in fields(recipe)}
    defaults = {setting.path: setting.value for setting in fields(Recipe())}
    changed = copy.deepcopy(recipe)
    for path in {**old, **new}:
        if now[path] == old.get(path, defaults[path]):
            put(changed, path, new.get(path, defaults[path]))
    changed.method.name = method
    return changed


def _settings(kind: Kind, family: str, resolution: int, precision: Precision) -> dict[str, Any]:
    common: dict[str, Any] = {
        "dataset.concepts.0.kind": kind,
        "dataset.resolution": resolution,
        "method.name": "lora",
        "method.unet": True,
        "method.lora.layers": "all",
    }
    if family == "toy":
        return {**common, **_toy(kind)}
    rank = RANKS[kind]
    return {
        **common,
        **COMMON[family],
        # Stable Diffusion 1.5 itself was trained with a tenth of its captions left out (its model card), within the
        # 10–20 % of Ho & Salimans, "Classifier-free diffusion guidance", 2022: the empty prompt stays as it was.
        "dataset.regularization_caption_dropout": 0.1,
        "dataset.bucket_max": resolution * 2,
        "dataset.bucket_min": resolution // 2,
        "method.lora.rank": rank,
        "method.lora.alpha": float(rank),
        # Without the text encoder, a style hangs less on its trigger and bleeds into other prompts (measured on the toy
        # model). SDXL's two take much memory and add little: kohya's documentation trains its UNet alone.
        "method.text_encoder": family != "sdxl",
        "train.optimizer": "adamw",
        "train.schedule": "cosine",
        "train.snr_weighting": "min_snr",
        "train.snr_gamma": 5.0,
        "train.precision": precision,
        "train.checkpointing": family == "sdxl" and precision != "fp32",
    }


def _of_method(method: MethodInfo, kind: Kind, family: str) -> dict[str, Any]:
    """Return the settings in which a method differs from a LoRA."""
    found = {**method.start, **(method.toy_start if family == "toy" else {})}
    if "method.embedding.vectors" in found and kind == "style":
        found["method.embedding.vectors"] = 2 * found["method.embedding.vectors"]
    return found


def _whole(settings: dict[str, Any], family: str) -> dict[str, Any]:
    """Keep SDXL's weights in bf16 where the device computes in half precision."""
    found = dict(settings)
    if family == "sdxl" and found["train.precision"] != "fp32":
        found["train.precision"] = found["method.full.weights"] = "bf16"
    return found


def _toy(kind: Kind) -> dict[str, Any]:
    return {
        "method.lora.rank": 16,
        "method.lora.alpha": 16.0,
        "method.lora.text_rank": 8,
        "method.text_encoder": True,
        "train.batch_size": 12,
        "train.learning_rate": 4e-3,
        "train.text_encoder_learning_rate": 1e-2,
        "train.snr_weighting": "min_snr",
        "train.snr_gamma": 1.0,
        "train.prior_loss_weight": 0.7 if kind == "subject" else 1.5,
        "dataset.regularization_caption_dropout": 0.15,
        "dataset.bucket_min": 32,
        "dataset.bucket_max": 128,
        "dataset.bucket_step": 16,
        "watch.guidance": 2.5,
    }
