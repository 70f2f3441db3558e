"""``facts.json``: what a run remembers of itself for its report and for a resume."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..storage import atomic

FILE = "facts.json"


def add_facts(folder: Path, **facts: Any) -> None:
    """Remember facts of a run for its report."""
    atomic.as_json(folder / FILE, {**read_facts(folder), **facts})


def read_facts(folder: Path) -> dict[str, Any]:
    path = folder / FILE
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}
