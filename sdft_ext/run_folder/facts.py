"""``facts.json``: what a run remembers for its report and for a resume."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..storage import json_file

FILE = "facts.json"


def add_facts(folder: Path, **facts: Any) -> None:
    """Add facts (JSON types) to those that the run remembers, in place of those with the same name."""
    json_file.write(folder / FILE, {**read_facts(folder), **facts})


def read_facts(folder: Path) -> dict[str, Any]:
    """Read the run's facts; empty where it has none yet."""
    return dict(json_file.read(folder / FILE, missing={}))
