"""Find phrases that are in most captions of a concept, in tags and in sentences, and say what follows from that.

What a caption names is put down to its words; what it doesn't name is learned with the concept. So a phrase that is in
every caption is no fault, and one that is in most of them is a reason to look at the others.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from ..dataset.folder import Scan
from ..storage.text import printable
from .findings import Finding, named, paths, pictures, whose

MIN_SHARE = 0.5
"""Least share of the captions that a recurring phrase is in."""
MIN_CAPTIONS = 4
"""Fewer captions than this aren't examined."""
LISTED = 12
"""Most phrases that are reported."""
LONGEST = 10
"""Most words of a phrase."""
SAME = 0.9
"""A part of a longer phrase is left out where the longer one is in at least this share of the part's captions."""

_CLAUSES = re.compile(r"[,.;:!?\n|]+")
_EDGES = "\"'()[]{}<>“”‘’«»*_-"
EMPTY_WORDS = frozenset(
    {
        *("a", "an", "the", "this", "that", "these", "those", "it", "its", "his", "her", "their", "my", "of"),
        *("in", "on", "at", "by", "to", "from", "for", "with", "without", "and", "or", "but", "as", "is", "are"),
        *("was", "were", "be", "being", "has", "have", "having", "there", "here", "while", "near", "next"),
        *("some", "very", "one", "photo", "photos", "picture", "pictures", "image", "images", "photograph"),
        *("photography", "drawing", "painting", "illustration", "style"),
    }
)
"""Words that say nothing about what is shown; no phrase begins or ends with one."""

Phrase = tuple[str, ...]


def recurring(scan: Scan, concept: int) -> list[Finding]:
    """Return a finding for each phrase in most captions, without the trigger and the class word, which belong there."""
    settings = scan.concepts[concept]
    own = sorted((each for each in (_words(settings.trigger), _words(settings.class_word)) if each), key=len)[::-1]
    rows = [i for i in scan.instances if scan.pictures[i].concept == concept and scan.pictures[i].caption]
    if len(rows) < MIN_CAPTIONS:
        return []
    clauses = [_clauses(scan.pictures[row].caption, own) for row in rows]
    found = _longest(_frequent(clauses))
    return [_finding(scan, concept, rows, phrase, captions) for phrase, captions in found[:LISTED]]


def _words(text: str) -> Phrase:
    return tuple(word for each in text.lower().split() if (word := each.strip(_EDGES)))


def _clauses(caption: str, own: Sequence[Phrase]) -> list[Phrase]:
    """Return a caption's words between its punctuation, the trigger and the class word."""
    found: list[Phrase] = []
    for part in _CLAUSES.split(caption):
        words, start, place = _words(part), 0, 0
        while place < len(words):
            length = next((len(each) for each in own if words[place : place + len(each)] == each), 0)
            if length:
                found.append(words[start:place])
                start = place + length
            place += length or 1
        found.append(words[start:])
    return [clause for clause in found if clause]


def _frequent(clauses: Sequence[Sequence[Phrase]]) -> dict[Phrase, set[int]]:
    """Return the phrases that are in enough captions, with the numbers of these."""
    least = MIN_SHARE * len(clauses)
    words = Counter(word for caption in clauses for word in {word for clause in caption for word in clause})
    found: dict[Phrase, set[int]] = {}
    for number, caption in enumerate(clauses):
        for clause in caption:
            for start, first in enumerate(clause):
                if first in EMPTY_WORDS:
                    continue
                for end in range(start + 1, min(start + LONGEST, len(clause)) + 1):
                    if words[clause[end - 1]] < least:
                        break
                    if clause[end - 1] not in EMPTY_WORDS:
                        found.setdefault(clause[start:end], set()).add(number)
    return {phrase: captions for phrase, captions in found.items() if len(captions) >= least}


def _longest(found: dict[Phrase, set[int]]) -> list[tuple[Phrase, set[int]]]:
    """Leave out the parts of longer phrases; return the others, the most frequent first."""
    kept: list[tuple[Phrase, set[int]]] = []
    for phrase, captions in sorted(found.items(), key=lambda item: -len(item[0])):
        whole = (longer for longer, others in kept if _within(phrase, longer) and len(others) >= SAME * len(captions))
        if next(whole, None) is None:
            kept.append((phrase, captions))
    return sorted(kept, key=lambda item: (-len(item[1]), -len(item[0]), item[0]))


def _within(phrase: Phrase, longer: Phrase) -> bool:
    return any(longer[n : n + len(phrase)] == phrase for n in range(len(longer) - len(phrase) + 1))


def _finding(scan: Scan, concept: int, rows: Sequence[int], phrase: Phrase, captions: set[int]) -> Finding:
    words, count = " ".join(phrase), len(captions)
    facts = {"tag": words, "count": count, "captions": len(rows), "share": round(count / len(rows), 3)}
    text = f"{printable(words)!r} is in {count:,} of {len(rows):,} captions{whose(scan, concept)}"
    if count == len(rows):
        files = paths(scan.pictures, rows)
        text += (
            ", so what it names is learned under these words, not as part of the concept. That is right unless it "
            "belongs to the concept: then remove it from the captions."
        )
        return Finding("recurring_tag", text, files, concept, {**facts, "case": "named"})
    files = paths(scan.pictures, (row for number, row in enumerate(rows) if number not in captions))
    text += (
        f". What it names is learned with the concept only where no caption names it: look at {pictures(len(files))} "
        f"without it ({named(files)}), and add it to the captions of those that show it."
    )
    return Finding("recurring_tag", text, files, concept, {**facts, "case": "named_in_some"})
