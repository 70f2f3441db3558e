"""``facts.json``: what a run remembers for its report and for a resume."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..storage import json_file

FILE = "facts.json"


def add_facts(folder: Path, **facts: Any) -> None:
    """Add facts (JSON types) to those that the run remembers, in place of those with the same name.

    Raises OSError where the file can't be read or written.
    """
    json_file.write(folder / FILE, {**read_facts(folder), **facts})


def read_facts(folder: Path) -> dict[str, Any]:
    """Read the run's facts; empty where it has none yet, or they are damaged (a resume says so: ``repair``).

    Raises OSError where the file can't be read.
    """
    try:
        found = json_file.read(folder / FILE, missing={})
    except json_file.JsonFileError:
        return {}
    return found if isinstance(found, dict) else {}
