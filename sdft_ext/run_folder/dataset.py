"""``dataset.json``: the summary of a run's dataset, and the fingerprint that a resumed run compares."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..storage import json_file

FILE = "dataset.json"


def write(folder: Path, summary: dict[str, Any], fingerprint: str) -> None:
    """Write the summary (JSON types only) with the fingerprint beside its other keys."""
    json_file.write(folder / FILE, {**summary, "fingerprint": fingerprint})


def steps_per_epoch(folder: Path) -> int | None:
    """Read how many steps an epoch has; None where that isn't known yet, or can't be read."""
    try:
        return int(json_file.read(folder / FILE)["steps_per_epoch"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def read_fingerprint(folder: Path) -> str | None:
    """Read the fingerprint of the dataset that the run began with; None where there is none yet, or it can't be
    read.
    """
    try:
        return str(json_file.read(folder / FILE)["fingerprint"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
