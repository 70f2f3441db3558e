"""Count the tags in the captions of a concept."""

from __future__ import annotations

from collections import Counter

from ..dataset import captions
from ..dataset.folder import Scan


def counts(scan: Scan, concept: int) -> Counter[str]:
    """Count the captions that each tag of a concept's instance pictures is in (lower case)."""
    found: Counter[str] = Counter()
    for row in scan.instances:
        if scan.pictures[row].concept == concept:
            found.update({" ".join(tag.lower().split()) for tag in captions.tags(scan.pictures[row].caption)})
    return found
