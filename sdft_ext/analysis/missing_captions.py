"""Find captions that are missing or empty, and pictures that would be trained on empty text."""

from __future__ import annotations

from ..dataset.folder import Scan
from ..dataset.plan import Plan
from .findings import Finding, named, paths, pictures, whose


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
            "add captions that describe what is shown."
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


def empty_texts(scan: Scan, plan: Plan) -> list[Finding]:
    """Return a finding for each concept with instance pictures that are trained on empty text: without a caption, a
    trigger, a class word, and a template that has words of its own.

    Its facts are the number of such ``pictures``, and of ``all`` that the concept has.
    """
    found = []
    for number in range(len(scan.concepts)):
        own = [i for i in scan.instances if scan.pictures[i].concept == number]
        empty = [i for i in own if not plan.fixed_sample(i).caption]
        if not empty:
            continue
        files = paths(scan.pictures, empty)
        if len(empty) == len(own):
            text = (
                f"No picture{whose(scan, number)} has a caption, and there is neither a trigger nor a class word: the "
                "training would see no text, and no word could call up what it learned. Choose a trigger, or write "
                "captions."
            )
        else:
            text = (
                f"{pictures(len(empty))} of {len(own):,}{whose(scan, number)} would be trained without any text "
                f"({named(files)}): there is no caption, no trigger and no class word. Choose a trigger, or write the "
                "missing captions."
            )
        found.append(Finding("empty_text", text, files, number, {"pictures": len(empty), "all": len(own)}))
    return found


def _have(rows: list[int]) -> str:
    return "has" if len(rows) == 1 else "have"
