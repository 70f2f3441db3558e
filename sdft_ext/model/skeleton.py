"""A model's names and shapes without its memory: modules on the meta device, cached for the last few families."""

from __future__ import annotations

import functools
import json
from typing import Any

import torch

from ..formats.family import Family
from ..storage import json_file
from .base import Model
from .borrow import skeletons


def skeleton(family: Family) -> Model:
    """Return a model of the family's sizes on the meta device. All callers share it: read it, change nothing."""
    return of_sizes(sizes(family))


def sizes(family: Family) -> str:
    """Write the family's sizes as a key for caches: equal keys, equal shapes."""
    return json.dumps([family.name, family.unet, family.vae, family.text])


@functools.lru_cache(maxsize=8)
def of_sizes(key: str) -> Model:
    """Return the skeleton of these sizes (see ``sizes``)."""
    name, unet, vae, text = json_file.parse(key)
    family = Family(name, "epsilon", False, _tuples(unet), _tuples(vae), tuple(text), (1,) * len(text), 1.0)
    parts = skeletons(family)
    return Model(family, parts[0], parts[1], parts[2:], [], torch.ones(0))


def _tuples(config: dict[str, Any]) -> dict[str, Any]:
    """Turn JSON's lists into the tuples that diffusers expects."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in config.items()}


def model_numbers(family: Family) -> int:
    """Count the parameters of a whole model."""
    return sum(parameter.numel() for module in skeleton(family).modules for parameter in module.parameters())
