"""Find tags that are in most captions of a concept: what they name is in most pictures, and is tied to the concept."""

from __future__ import annotations

from collections import Counter

from ..dataset import captions
from ..dataset.folder import Scan
from ..storage.text import printable
from .findings import Finding, paths, whose

MIN_SHARE = 0.5
"""Least share of the captions that a recurring tag is in."""
MIN_CAPTIONS = 4
"""Fewer captions than this aren't examined."""
LISTED = 12
"""Most tags that are reported."""


def counts(scan: Scan, concept: int) -> tuple[Counter[str], list[int]]:
    """Count the captions that each tag of a concept's instance pictures is in (lower case); also return the pictures
    that have a caption.
    """
    rows = [i for i in scan.instances if scan.pictures[i].concept == concept and scan.pictures[i].caption]
    found: Counter[str] = Counter()
    for row in rows:
        found.update(_tags(scan.pictures[row].caption))
    return found, rows


def recurring(scan: Scan, concept: int) -> list[Finding]:
    """Return a finding for each tag in most captions, except the trigger and the class word, which belong there."""
    settings = scan.concepts[concept]
    found, rows = counts(scan, concept)
    if len(rows) < MIN_CAPTIONS:
        return []
    trigger, class_word = (" ".join(text.lower().split()) for text in (settings.trigger, settings.class_word))
    own = {trigger, class_word, f"{trigger} {class_word}".strip()}
    often = [(tag, count) for tag, count in found.most_common() if count >= MIN_SHARE * len(rows) and tag not in own]
    findings = []
    for tag, count in often[:LISTED]:
        those = paths(scan.pictures, (row for row in rows if tag in _tags(scan.pictures[row].caption)))
        text = (
            f"The tag {printable(tag)!r} is in {count:,} of {len(rows):,} captions{whose(scan, concept)}, so what it "
            "names is learned with the concept: add pictures without it, or remove it from the captions if it belongs "
            "to the concept."
        )
        facts = {"tag": tag, "count": count, "captions": len(rows), "share": round(count / len(rows), 3)}
        findings.append(Finding("recurring_tag", text, those, concept, facts))
    return findings


def _tags(caption: str) -> set[str]:
    return {" ".join(tag.lower().split()) for tag in captions.tags(caption)}
