"""One of the tools that make a file, by its name and its fields' values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .convert import convert
from .extract import extract
from .files import Progress
from .loras import merge_loras, resize
from .merge import merge


def work(tool: str, values: dict[str, Any], target: Path, progress: Progress | None = None) -> str:
    """Do it; what came of it in words. ``values``: by the fields' names of ``catalog.TOOLS``. Raises what the tool
    does.
    """
    if tool == "merge":
        return merge(values["base"], values["loras"], target, values["precision"] or None, progress).text
    if tool == "convert":
        return convert(values["source"], target, values["precision"] or None, values["keep_ema"], progress)
    rest = (target, values["rank"], values["error"], values["precision"], progress)
    if tool == "extract":
        return extract(values["base"], values["tuned"], *rest).text
    return (resize(values["source"], *rest) if tool == "resize" else merge_loras(values["files"], *rest)).text
