"""``facts.json``: what a run remembers of itself for its report and for a resume."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..storage import json_file

FILE = "facts.json"


def add_facts(folder: Path, **facts: Any) -> None:
    """Remember facts of a run for its report."""
    json_file.write(folder / FILE, {**read_facts(folder), **facts})


def read_facts(folder: Path) -> dict[str, Any]:
    return dict(json_file.read(folder / FILE, missing={}))
