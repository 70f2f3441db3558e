"""The guide: chapters and terms in plain English, each term with the settings and places that it leads to."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).with_name("guide.yaml")


def guide(runs: Path | None = None) -> dict[str, Any]:
    """Return ``chapters`` (title, paragraphs) and ``entries`` (id, term, text, settings, command), both with ``places``
    and ``links``. Commands name ``runs``, the folder of the runs, or RUNS without it.
    """
    found = _read()
    name = "RUNS" if runs is None else str(runs)
    named = [{**entry, "command": entry["command"].replace("{runs}", name)} for entry in found["entries"]]
    return {**found, "entries": named}


@functools.cache
def _read() -> dict[str, Any]:
    raw: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return {
        "chapters": [
            {"title": chapter["title"], "paragraphs": chapter["paragraphs"], **_leads(chapter)}
            for chapter in raw["chapters"]
        ],
        "entries": [
            {
                "id": name,
                "term": entry["term"],
                "text": entry["text"],
                "settings": entry.get("settings", []),
                "command": entry.get("command", ""),
                **_leads(entry),
            }
            for name, entry in raw["entries"].items()
        ],
    }


def _leads(part: dict[str, Any]) -> dict[str, Any]:
    """Return a chapter's or an entry's ``places`` (panel and tool, or setting; label) and ``links`` (label, url)."""
    places = [{"panel": "", "tool": "", "setting": "", "label": "", **place} for place in part.get("places", [])]
    return {"places": places, "links": part.get("links", [])}


@functools.cache
def _entries_by_setting() -> dict[str, str]:
    return {path: entry["id"] for entry in _read()["entries"] for path in entry["settings"]}


def entry_of(path: str) -> str | None:
    """Return the id of the entry that explains a setting."""
    return _entries_by_setting().get(path)
