"""The strength of a LoRA where it isn't in a tensor: peft's configuration, next to the file or in its metadata.

peft writes ``adapter_config.json`` next to ``adapter_model.safetensors``; diffusers writes the same values into the
file's metadata as ``lora_adapter_metadata``, each name with the part that it is for (``unet.lora_alpha``). The effect
is up·down·alpha/rank; with ``use_rslora``, alpha/√rank (Kalajdzievski 2023). Patterns give some layers another alpha.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..storage import json_file

IN_METADATA = "lora_adapter_metadata"
NEXT_TO_FILE = "adapter_config.json"
PEFT_NAME = "adapter_model"
"""Start of the names of peft's own files."""
MAX_PATTERN, MAX_PATH = 500, 300
"""Characters of a pattern that is a regular expression, and of a layer's name that it is applied to."""
MAX_GROUPS, MAX_CHOICES = 2, 10
"""Of such a pattern: it then has few ways to match."""
PARTS = ("unet", "text_encoder", "text_encoder_2", "transformer")


class AdapterStrength:
    """The alphas of a file's layers. Raises ValueError where the configuration can't be read."""

    def __init__(self, path: Path, metadata: Mapping[str, str]) -> None:
        self._parts = _by_part(_read(path, metadata))

    def alpha(self, name: str, rank: int) -> float:
        """Return the alpha, to be divided by the rank, of a layer 'part.path'; the rank where nothing is said of it."""
        part, _, path = name.partition(".")
        found = self._parts.get(part) or self._parts.get("")
        if not found:
            return float(rank)
        alpha = found.get("lora_alpha", found.get("alpha"))
        patterns = found.get("alpha_pattern") or {}
        if not isinstance(patterns, dict):
            raise ValueError("its alpha_pattern is not a table")
        alpha = next((value for pattern, value in patterns.items() if _matches(pattern, path)), alpha)
        if alpha is None:
            return float(rank)
        if isinstance(alpha, bool) or not isinstance(alpha, int | float) or not math.isfinite(alpha):
            raise ValueError(f"its alpha for {name} is not a number")
        return float(alpha) * (math.sqrt(rank) if found.get("use_rslora") is True else 1.0)


def _read(path: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    if IN_METADATA in metadata:
        found = json_file.parse(metadata[IN_METADATA])
    else:
        file = path.with_name(NEXT_TO_FILE)
        if not path.name.startswith(PEFT_NAME) or not file.is_file():
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
