"""Find captions that are missing or empty."""

from __future__ import annotations

from ..dataset.folder import Scan
from .findings import Finding, named, paths, pictures


def caption_findings(scan: Scan) -> list[Finding]:
    """Return up to two findings: instance pictures without captions, and those with empty ones."""
    bare = [i for i in scan.instances if not scan.pictures[i].caption]
    empty = [i for i in bare if scan.pictures[i].text_file is not None]
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
    return found


def _have(rows: list[int]) -> str:
    return "has" if len(rows) == 1 else "have"
