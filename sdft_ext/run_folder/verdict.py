"""A run's newest verdict, in ``judge/verdict.json``: which save is the best, and its numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..storage import json_file

FILE = "judge/verdict.json"


def write(run_folder: Path, verdict: dict[str, Any], numbers: dict[str, Any] | None) -> None:
    """Keep a verdict, and the numbers of the save that it recommends. Raises OSError where it can't be written."""
    json_file.write(run_folder / FILE, {**verdict, "judged": numbers})


def read(run_folder: Path) -> dict[str, Any]:
    """Read a run's newest verdict, and in ``judged`` the numbers of the save that it recommends (None in runs of older
    versions); empty before there is one.
    """
    found = json_file.read_or(run_folder / FILE, {})
    if not isinstance(found.get("save"), int) or not isinstance(found.get("word"), str):
        return {}
    return {"text": "", "judged": None, **found}


def recommended(run_folder: Path) -> int | None:
    """Return the step of the save that the newest verdict recommends; None before there is one."""
    return read(run_folder).get("save")
