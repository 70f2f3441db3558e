"""The pictures of a run's trained words: ``words/step-000000/000.png``, and ``index.json`` with what they show."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from ..storage import json_file

FOLDER, INDEX = "words", "index.json"


def path(run_folder: Path, step: int, number: int) -> Path:
    """Give the file of a picture of the save of a step."""
    return _folder(run_folder, step) / f"{number:03d}.png"


def begin(run_folder: Path, planned: dict[str, Any]) -> Path:
    """Note what is drawn, and remove pictures of another plan; returns their folder. Raises OSError."""
    folder = _folder(run_folder, planned["step"])
    if json_file.read_or(folder / INDEX, {}) != planned:
        if folder.exists():
            shutil.rmtree(folder)
        json_file.write(folder / INDEX, planned)
    return folder


def read(run_folder: Path) -> dict[str, Any] | None:
    """Read what the newest grid shows, ``drawn`` with each picture that there is; None where there is no grid."""
    found = [
        (index.stat().st_mtime, index) for index in (run_folder / FOLDER).glob(f"step-*/{INDEX}") if index.is_file()
    ]
    if not found:
        return None
    plan = json_file.read_or(max(found)[1], {})
    try:
        step, words = int(plan["step"]), [{"word": str(w["word"]), "count": int(w["count"])} for w in plan["words"]]
        pictures: list[dict[str, Any]] = [
            {
                "number": int(one["number"]),
                "word": int(one["word"]),
                "prompt": str(one["prompt"]),
                "trigger": bool(one["trigger"]),
                "seed": int(one["seed"]),
                "drawn": path(run_folder, step, int(one["number"])).is_file(),
            }
            for one in plan["pictures"]
        ]
    except (KeyError, TypeError, ValueError):
        return None
    sound = all(0 <= one["word"] < len(words) for one in pictures)
    return {"step": step, "words": words, "pictures": pictures} if sound else None


def _folder(run_folder: Path, step: int) -> Path:
    return run_folder / FOLDER / f"step-{step:06d}"
