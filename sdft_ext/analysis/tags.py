"""Tags that most captions of a concept hold: what they name is in most pictures, and is tied to the concept."""

from __future__ import annotations

from collections import Counter

from ..dataset import captions
from ..dataset.folder import Scan
from ..storage.text import printable
from .findings import Finding, paths, whose

MOST = 0.5
"""Share of the captions."""
FEWEST = 4
"""Captions, below which nothing recurs."""
LISTED = 12
"""Tags that get a sentence of their own."""


def counts(scan: Scan, concept: int) -> tuple[Counter[str], list[int]]:
    """In how many captions each tag of a concept's instance pictures stands (in lower case), and those with a
    caption.
    """
    rows = [i for i in scan.instances if scan.pictures[i].concept == concept and scan.pictures[i].caption]
    found: Counter[str] = Counter()
    for row in rows:
        found.update(_tags(scan.pictures[row].caption))
    return found, rows


def recurring(scan: Scan, concept: int) -> list[Finding]:
    """A finding for each tag in most captions. The trigger and the class word belong there and are none."""
    settings = scan.concepts[concept]
    found, rows = counts(scan, concept)
    if len(rows) < FEWEST:
        return []
    trigger, class_word = (" ".join(text.lower().split()) for text in (settings.trigger, settings.class_word))
    own = {trigger, class_word, f"{trigger} {class_word}".strip()}
    often = [(tag, count) for tag, count in found.most_common() if count >= MOST * len(rows) and tag not in own]
    findings = []
    for tag, count in often[:LISTED]:
        those = paths(scan.pictures, (row for row in rows if tag in _tags(scan.pictures[row].caption)))
        text = (
            f"The tag {printable(tag)!r} stands in {count:,} of {len(rows):,} captions{whose(scan, concept)}, so "
            f"what it "
            "names is learned with the concept: add pictures without it, or take it out of the captions if it belongs "
            "to the concept."
        )
        facts = {"tag": tag, "count": count, "captions": len(rows), "share": round(count / len(rows), 3)}
        findings.append(Finding("recurring_tag", text, those, concept, facts))
    return findings


def _tags(caption: str) -> set[str]:
    return {" ".join(tag.lower().split()) for tag in captions.tags(caption)}
