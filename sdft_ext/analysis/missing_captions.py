"""Find captions that are missing or empty, and text files that belong to no picture."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ..dataset.folder import CAPTION_ENDINGS, Scan
from .findings import Finding, named, paths, pictures

SKIPPED = frozenset({"__macosx", "@eadir", "$recycle.bin"})
NO_CAPTIONS = frozenset({"readme", "license", "licence", "info", "prompts"})
"""Stems of text files that are no captions."""


def caption_findings(scan: Scan) -> list[Finding]:
    """Return up to three findings: instance pictures without captions, empty captions, and texts without pictures."""
    bare = [i for i in scan.instances if not scan.pictures[i].caption]
    empty = [i for i in bare if _has_text(scan.pictures[i].path)]
    missing = sorted(set(bare) - set(empty))
    found = []
    if missing:
        files = paths(scan.pictures, missing)
        text = (
            f"{pictures(len(missing))} of {len(scan.instances):,} {_have(missing)} no caption ({named(files)}): "
            "each is trained with the trigger and class word alone; add captions that describe what is shown."
        )
        found.append(Finding("captions_missing", text, files))
    if empty:
        files = paths(scan.pictures, empty)
        text = (
            f"{pictures(len(empty))} of {len(scan.instances):,} {_have(empty)} an empty caption file ({named(files)}): "
            "describe what each shows, or delete the file."
        )
        found.append(Finding("captions_empty", text, files))
    lone = tuple(texts_without_pictures(scan))
    if lone:
        text = (
            f"{len(lone):,} text file{'' if len(lone) == 1 else 's'} ({named(lone)}) "
            f"{'has' if len(lone) == 1 else 'have'} no picture of the same name: "
            f"rename or remove {'it' if len(lone) == 1 else 'them'}."
        )
        found.append(Finding("texts_without_pictures", text, lone))
    return found


def texts_without_pictures(scan: Scan) -> Iterator[Path]:
    """Yield caption files in the concepts' folders that have no other file of the same stem next to them."""
    roots = {Path(f).expanduser() for c in scan.concepts for f in (c.instance, c.regularization) if f}
    seen: set[str] = set()
    for root in sorted(roots):
        for folder, folders, files in os.walk(root):
            real = os.path.realpath(folder)
            folders[:] = sorted(f for f in folders if not f.startswith(".") and f.lower() not in SKIPPED)
            if real in seen:
                continue
            seen.add(real)
            split = [os.path.splitext(name) for name in sorted(files) if not name.startswith(".")]
            stems = {stem for stem, ending in split if ending.lower() not in CAPTION_ENDINGS}
            for stem, ending in split:
                if ending.lower() in CAPTION_ENDINGS and stem not in stems and stem.lower() not in NO_CAPTIONS:
                    yield Path(folder) / (stem + ending)


def _has_text(path: Path) -> bool:
    return any(path.with_name(path.stem + ending).is_file() for ending in CAPTION_ENDINGS)


def _have(rows: list[int]) -> str:
    return "has" if len(rows) == 1 else "have"
