"""Checks of a tool's settings as a page sends them: files that may be read, numbers in range, known choices."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from ..tools.catalog import Field, Tool
from .errors import DeskError
from .model_files import ModelFiles


def check_settings(tool: Tool, settings: dict[str, Any], files: ModelFiles) -> dict[str, Any]:
    """Return checked values by the tool's field names, with defaults for those left out. Raises DeskError."""
    known = {field.name for field in tool.fields}
    for name in settings:
        if name not in known:
            raise DeskError(f"{tool.label} has no setting {name[:100]!r}; it has {', '.join(sorted(known))}.")
    return {field.name: _value(field, settings.get(field.name, field.default), files) for field in tool.fields}


def _value(field: Field, value: Any, files: ModelFiles) -> Any:
    if field.kind == "loras":
        rows = value if isinstance(value, list) else []
        return [_weighted(row, files) for row in rows]
    if field.kind in ("checkpoint", "lora", "any", "pickle"):
        return files.requested(value if isinstance(value, str) else "", field.label)
    if field.kind == "rank":
        rank = _number(value or 0)
        if rank is None or rank != int(rank) or rank < 0:
            raise DeskError(f"{field.label}: write a whole number of at least 1, or leave it empty.")
        return int(rank)
    if field.kind == "error":
        share = _number(value or 0)
        if share is None or not 0 <= share < 1:
            raise DeskError(f"{field.label}: write a number between 0 and 1, such as 0.05, or leave it empty.")
        return share
    if field.kind == "switch":
        if not isinstance(value, bool):
            raise DeskError(f"{field.label}: write true or false.")
        return value
    if value not in [choice for choice, _ in field.choices]:
        raise DeskError(f"{field.label}: choose one of {', '.join(label for _, label in field.choices)}.")
    return value


def _weighted(row: Any, files: ModelFiles) -> tuple[Path, float]:
    row = row if isinstance(row, dict) else {}
    weight, file = _number(row.get("weight", 1.0)), row.get("file")
    path = files.requested(file if isinstance(file, str) else "", "LoRA")
    if weight is None:
        raise DeskError(f"The weight of {path.name} is not a number: write one such as 0.8.")
    return path, weight


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)
