"""Older layouts of OneTrainer's files → the present one, as far as their settings are read (TrainConfig, ConceptConfig:
``__migration_0`` and the following).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PARTS = ("unet", "text_encoder", "text_encoder_2", "vae")
"""Parts of a model that had settings at the top of the file before version 2."""
OTHERS = ("prior", "effnet_encoder", "decoder", "decoder_text_encoder", "decoder_vqgan")
"""Parts of other models, whose settings were there too."""
OF_PARTS = {
    "train_{}": "train",
    "train_{}_epochs": "stop_training_after",
    "{}_learning_rate": "learning_rate",
    "{}_weight_dtype": "weight_dtype",
    "{}_model_name": "model_name",
}
RENAMED = {
    "save_after": "save_every",
    "save_after_unit": "save_every_unit",
    "lora_layers": "layer_filter",
    "lora_layer_preset": "layer_filter_preset",
    "lora_layers_regex": "layer_filter_regex",
}


def current(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config in the present layout. Fields that the file has already are kept."""
    found = dict(config)
    _optimizer(found)
    _parts(found)
    for old, new in RENAMED.items():
        if old in found:
            value = found.pop(old)
            found.setdefault(new, value)
    found.pop("__version", None)
    if not found.get("align_prop"):
        found = {name: value for name, value in found.items() if not name.startswith("align_prop")}
    for part in PARTS:
        inner = found.get(part)
        if isinstance(inner, dict) and inner.get("weight_dtype") == "NONE" and "weight_dtype" in found:
            found[part] = {**inner, "weight_dtype": found["weight_dtype"]}
    gamma = found.pop("min_snr_gamma", None)
    if gamma:
        found.setdefault("loss_weight_fn", "MIN_SNR_GAMMA")
        found.setdefault("loss_weight_strength", gamma)
    checkpointing = found.pop("gradient_checkpointing", None)
    if checkpointing is not None and isinstance(found.setdefault("unet", {}), dict):
        found["unet"] = {"gradient_checkpointing": checkpointing not in (False, "OFF"), **found["unet"]}
    if "embedding_model_names" in found or "token_count" in found or "initial_embedding_text" in found:
        inner = {name: found.pop(name) for name in ("token_count", "initial_embedding_text") if name in found}
        models = found.pop("embedding_model_names", None)
        if isinstance(models, list) and models:
            inner["model_name"] = models[0]
        found.setdefault("embedding", inner)
    return found


def current_concept(concept: Mapping[str, Any]) -> dict[str, Any]:
    """Return a concept in the present layout."""
    found = {name: value for name, value in concept.items() if name != "__version"}
    if "repeats" in found:
        value = found.pop("repeats")
        found.setdefault("balancing", value)
    if "validation_concept" in found:
        found.setdefault("type", "VALIDATION" if found.pop("validation_concept") else "STANDARD")
    return found


def _optimizer(found: dict[str, Any]) -> None:
    """Move the optimizer's settings into their own table, which version 0 didn't have."""
    name = found.get("optimizer")
    if not isinstance(name, str):
        return
    inner: dict[str, Any] = {"optimizer": name}
    for key in [key for key in found if key.startswith("optimizer_") and key != "optimizer_defaults"]:
        inner[key.removeprefix("optimizer_")] = found.pop(key)
    found["optimizer"] = inner


def _parts(found: dict[str, Any]) -> None:
    """Move what is set for each part into its own table."""
    for part in (*PARTS, *OTHERS):
        for pattern, name in OF_PARTS.items():
            key = pattern.format(part)
            if key not in found or (part == "text_encoder" and key.startswith("text_encoder_2")):
                continue
            inner = found.setdefault(part, {})
            if not isinstance(inner, dict):
                continue
            inner.setdefault(name, found.pop(key))
            if name == "stop_training_after":
                inner.setdefault("stop_training_after_unit", "EPOCH")
