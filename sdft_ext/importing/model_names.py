"""Models and names of results, as a recipe allows them."""

from __future__ import annotations

import re

from .files import Files
from .values import Values


def set_model_path(values: Values, files: Files, path: str, name: str, given: str) -> None:
    """Set the path of a model's file; the name of a model on Hugging Face is reported."""
    if not given:
        return
    found = files.find(given)
    if not found and re.fullmatch(r"[\w.-]+/[\w.-]+", given) and not given.endswith((".safetensors", ".ckpt")):
        values.leave(
            name, f"this names a model on Hugging Face, not a file. Set {path} to a file, or choose it in the WebUI."
        )
        return
    values.set(path, name, found or given)


def safe_name(name: str) -> str:
    """Return a name that is allowed for files, as near as possible to another."""
    return re.sub(r'[\x00-\x1f\x7f/\\:*?"<>|]', "-", name).strip(" .")[:100] or "imported"
