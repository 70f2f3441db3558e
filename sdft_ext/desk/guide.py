"""The guide: chapters and terms in plain English, each term with the settings it explains."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).with_name("guide.yaml")


@functools.cache
def guide() -> dict[str, Any]:
    """Read ``chapters`` (title, paragraphs) and ``entries`` (id, term, text, settings)."""
    raw: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return {
        "chapters": [{"title": c["title"], "paragraphs": c["paragraphs"]} for c in raw["chapters"]],
        "entries": [
            {"id": name, "term": entry["term"], "text": entry["text"], "settings": entry.get("settings", [])}
            for name, entry in raw["entries"].items()
        ],
    }


@functools.cache
def _entries_by_setting() -> dict[str, str]:
    return {path: entry["id"] for entry in guide()["entries"] for path in entry["settings"]}


def entry_of(path: str) -> str | None:
    """Return the id of the entry that explains a setting."""
    return _entries_by_setting().get(path)
