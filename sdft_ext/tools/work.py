"""Run one of the tools that write a file, by its name and the values of its fields."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .convert import convert
from .extract import extract
from .files import Progress
from .loras import merge_loras, resize
from .merge import merge


def work(tool: str, values: dict[str, Any], target: Path, progress: Progress | None = None) -> str:
    """Run a tool, and describe the result. ``values``: by the names of its fields in ``catalog.TOOLS``.

    Raises what the tool raises.
    """
    if tool == "merge":
        return merge(values["base"], values["loras"], target, values["precision"] or None, progress).text
    if tool == "convert":
        return convert(values["source"], target, values["precision"] or None, values["keep_ema"], progress)
    common = (target, values["rank"], values["error"], values["precision"], progress)
    if tool == "extract":
        return extract(values["base"], values["tuned"], *common).text
    return (resize(values["source"], *common) if tool == "resize" else merge_loras(values["files"], *common)).text
