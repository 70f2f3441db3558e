"""The ``.yaml`` beside a checkpoint: programs read from it what the tensors don't tell."""

from __future__ import annotations

import re
from pathlib import Path

from ..formats import atomic

VERSION = re.compile(r"^(?P<before>\s*version:\s*)(?P<folder>\S.*?)\s*$")


def copy_config(source: Path, target: Path) -> Path | None:
    """Copy the configuration beside ``source`` to beside ``target``; returns it, or None where there is none.

    A text encoder's folder that it names from its own place is named absolutely in the copy.
    """
    config, copied = source.with_suffix(".yaml"), target.with_suffix(".yaml")
    if not config.is_file():
        return None
    if copied.exists() and copied.samefile(config):
        return copied
    atomic.text(copied, config_text(source))
    return copied


def config_text(source: Path) -> str:
    """What the copy of the configuration beside ``source`` holds."""
    lines = []
    for line in source.with_suffix(".yaml").read_text(encoding="utf-8").splitlines():
        match = VERSION.match(line)
        folder = source.parent / match["folder"].strip("'\"") if match else None
        if match and folder is not None and folder.is_dir():
            quoted = str(folder.resolve()).replace("'", "''")
            line = f"{match['before']}'{quoted}'"
        lines.append(line)
    return "\n".join(lines) + "\n"
