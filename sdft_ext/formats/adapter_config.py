"""The strength of a LoRA where it isn't in a tensor: peft's configuration, next to the file or in its metadata.

peft writes ``adapter_config.json`` next to ``adapter_model.safetensors``; diffusers writes the same values into the
file's metadata as ``lora_adapter_metadata``, each name with the part that it is for (``unet.lora_alpha``). The effect
is up·down·alpha/rank; with ``use_rslora``, alpha/√rank (Kalajdzievski 2023). Patterns give some layers another alpha or
rank. peft's LoHa and LoKr have no alpha in their tensors either.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..storage import json_file

IN_METADATA = "lora_adapter_metadata"
NEXT_TO_FILE = "adapter_config.json"
PEFT_NAME, PEFT_PREFIX = "adapter_model", "base_model.model."
"""Start of the names of peft's own files, and of the keys in them."""
CHANGES_THE_BASE = ("pissa", "olora", "corda", "loftq")
"""Values of ``init_lora_weights`` that change the base model's weights too: the file alone isn't the whole effect."""
MAX_PATTERN, MAX_PATH = 500, 300
"""Characters of a pattern that is a regular expression, and of a layer's name that it is applied to."""
MAX_GROUPS, MAX_CHOICES = 2, 10
"""Of such a pattern: it then has few ways to match."""
PARTS = ("unet", "text_encoder", "text_encoder_2", "transformer")


class AdapterStrength:
    """The alphas of a file's layers. Raises ValueError where the configuration can't be read, or needs a base model
    with other weights.

    ``by_peft``: whether the file's keys are peft's own, so that it may have been given another name.
    """

    def __init__(self, path: Path, metadata: Mapping[str, str], by_peft: bool = False) -> None:
        self._parts = _by_part(_read(path, metadata, by_peft))
        for found in self._parts.values():
            start = found.get("init_lora_weights")
            if isinstance(start, str) and start.lower().startswith(CHANGES_THE_BASE):
                raise ValueError(f"its base weights were changed too, by {start[:20]}; convert it to a plain LoRA")

    def alpha(self, name: str, rank: int) -> float:
        """Return the alpha, to be divided by the rank, of a layer 'part.path'; the rank where nothing is said of it."""
        found = self._of(name)
        alpha = _number(found, "alpha_pattern", found.get("lora_alpha", found.get("alpha")), name)
        if alpha is None:
            return float(rank)
        return alpha * (math.sqrt(rank) if found.get("use_rslora") is True else 1.0)

    def rank(self, name: str) -> int | None:
        """Return the rank of a layer 'part.path', where it can't be seen in its tensors; None where nothing is said."""
        found = self._of(name)
        rank = _number(found, "rank_pattern", found.get("r"), name)
        if rank is not None and rank < 1:
            raise ValueError(f"its rank for {name} is below 1")
        return None if rank is None else int(rank)

    def _of(self, name: str) -> Mapping[str, Any]:
        return self._parts.get(name.partition(".")[0]) or self._parts.get("") or {}


def peft_metadata(path: Path, keys: Iterable[str]) -> dict[str, str]:
    """Return the metadata by which a copy of peft's file, away from its configuration, keeps its strength; none for
    other files.
    """
    file = path.with_name(NEXT_TO_FILE)
    if not any(key.startswith(PEFT_PREFIX) for key in keys) or not file.is_file():
        return {}
    return {IN_METADATA: json.dumps(json_file.read(file))}


def _number(found: Mapping[str, Any], table: str, value: Any, name: str) -> float | None:
    """Return a layer's number, its pattern's or else ``value``; None where there is none."""
    patterns = found.get(table) or {}
    if not isinstance(patterns, dict):
        raise ValueError(f"its {table} is not a table")
    path = name.partition(".")[2]
    value = next((value for pattern, value in patterns.items() if _matches(pattern, path)), value)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"its {table.removesuffix('_pattern')} for {name} is not a number")
    return float(value)


def _read(path: Path, metadata: Mapping[str, str], by_peft: bool) -> dict[str, Any]:
    if IN_METADATA in metadata:
        found = json_file.parse(metadata[IN_METADATA])
    else:
        file = path.with_name(NEXT_TO_FILE)
        if not (by_peft or path.name.startswith(PEFT_NAME)) or not file.is_file():
            return {}
        found = json_file.read(file)
    if not isinstance(found, dict):
        raise ValueError("its configuration is not a table")
    return found


def _by_part(values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Sort the values by the part that their names begin with; '' for those of every part."""
    found: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        part, dot, rest = name.partition(".")
        if dot and part in PARTS:
            found.setdefault(part, {})[rest] = value
        else:
            found.setdefault("", {})[name] = value
    return found


def _matches(pattern: str, path: str) -> bool:
    """Return whether a pattern's layers include this one. As in peft, it is the end of the path, or a regular
    expression for it. Raises ValueError for an expression that might take forever.
    """
    if path == pattern or path.endswith(f".{pattern}"):
        return True
    if not re.search(r"[^\w.]", pattern):
        return False
    branches = pattern.count("(") > MAX_GROUPS or pattern.count("|") > MAX_CHOICES
    repeats = re.search(r"[*+{?]", pattern.replace(".*", "", 1))
    if branches or repeats or len(pattern) > MAX_PATTERN or len(path) > MAX_PATH:
        raise ValueError(f"the pattern {pattern[:60]!r} is too complicated")
    try:
        return re.fullmatch(rf"(?:.*\.)?(?:{pattern})", path) is not None
    except re.error as error:
        raise ValueError(f"the pattern {pattern[:60]!r} is not a regular expression") from error
