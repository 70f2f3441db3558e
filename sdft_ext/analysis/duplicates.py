"""Find duplicates: the same file twice, or copies that are mirrored, rotated by quarter turns or by up to 3°, resized,
stretched, re-encoded, cropped, padded, brightened, darkened, faded, grey, or have a logo.

Perceptual hashes give candidate pairs (``candidates``), all against all by matrix products; then each pair is aligned
and compared pixel by pixel (``similarity``). Pairs that share a picture form a group.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .candidates import ORIENTATIONS, Candidates, candidates, oriented
from .similarity import compare
from .thumbnails import Thumbnails

Relation = Literal["exact", "mirrored", "rotated", "cropped", "near"]

COMPARED, COMPARED_PER_PICTURE = 2000, 3
"""Pairs compared before the search ends, in all and for each picture. So it ends for thousands of look-alikes too; the
most likely pairs come first.
"""
TRIES = 2
"""Windows and orientations tried for each pair, with either of them as the whole."""
CROPPED = 0.975
"""A part with a side below this share of the whole's is cropped."""
AT_ONCE = 64
"""Pairs compared in one call."""


@dataclass(frozen=True)
class Group:
    """Copies, as rows of the thumbnails: the one to keep first, and how each of the others relates to it."""

    rows: tuple[int, ...]
    relations: tuple[Relation, ...]

    @property
    def exact(self) -> bool:
        """Return whether all are the same file."""
        return all(relation == "exact" for relation in self.relations)


def duplicates(thumbnails: Thumbnails, rank: Sequence[tuple[int, ...]] | None = None) -> list[Group]:
    """Return the groups of two or more copies, in the order of their first pictures.

    ``rank``: a sort key for each row; the row with the highest, or the first of equal ones, comes first in its group.
    """
    count = len(thumbnails)
    joined = _Groups(count)
    first: dict[bytes, int] = {}
    copies: dict[int, Relation] = {}
    for row, digest in enumerate(thumbnails.digests.tolist()):
        if digest in first:
            joined.join(first[digest], row)
            copies[row] = "exact"
        else:
            first[digest] = row
    related = _compare_candidates(thumbnails, np.array(sorted(first.values()), dtype=np.int64), joined)
    groups = []
    for rows in joined.groups():
        ranks = {row: tuple(rank[row]) if rank is not None else () for row in rows}
        best = max(rows, key=lambda row: (ranks[row], -row))
        others = [row for row in rows if row != best]
        relations: list[Relation] = [_relation(best, row, thumbnails, related) for row in others]
        groups.append(Group((best, *others), tuple(relations)))
    return groups


class _Groups:
    """Disjoint groups of rows; each group is identified by its smallest row."""

    def __init__(self, count: int) -> None:
        self.group = np.arange(count)

    def join(self, one: int, other: int) -> None:
        """Join the groups of two rows."""
        a, b = sorted((int(self.group[one]), int(self.group[other])))
        if a != b:
            self.group[self.group == b] = a

    def groups(self) -> list[list[int]]:
        """Return the groups of two or more rows, in the order of their first rows."""
        found: dict[int, list[int]] = {}
        names, counts = np.unique(self.group, return_counts=True)
        wanted = set(names[counts > 1].tolist())
        for row, group in enumerate(self.group.tolist()):
            if group in wanted:
                found.setdefault(group, []).append(row)
        return list(found.values())


Related = dict[tuple[int, int], Relation]
"""How the two rows of each pair that was found to be copies, smaller row first, relate to each other."""


def _relation(one: int, other: int, thumbnails: Thumbnails, related: Related) -> Relation:
    if thumbnails.digests[one] == thumbnails.digests[other]:
        return "exact"
    return related.get((min(one, other), max(one, other)), "near")


def _compare_candidates(thumbnails: Thumbnails, rows: np.ndarray, joined: _Groups) -> Related:
    """Compare candidate pairs, the most likely first, and join those that are copies."""
    related: Related = {}
    thumbs, owners = thumbnails.without_borders(rows)
    pairs = candidates(thumbs, owners)
    wholes, parts = owners[pairs.wholes], owners[pairs.parts]
    left = COMPARED + COMPARED_PER_PICTURE * len(rows)
    tried: Counter[tuple[int, int]] = Counter()
    waiting = deque(range(len(wholes)))
    while waiting and left > 0:
        # A pair comes up for several windows, one after the other; pairs that have been joined meanwhile are skipped.
        chosen: list[int] = []
        later: list[int] = []
        seen: set[tuple[int, int]] = set()
        while waiting and len(chosen) < AT_ONCE:
            place = waiting.popleft()
            a, b = int(wholes[place]), int(parts[place])
            pair = (min(a, b), max(a, b))
            if joined.group[a] == joined.group[b] or tried[a, b] >= TRIES:
                continue
            if pair in seen:
                later.append(place)
                continue
            chosen.append(place)
            seen.add(pair)
            tried[a, b] += 1
        waiting.extendleft(reversed(later))
        left -= len(chosen)
        for place, kind in _copies(thumbs, pairs, np.array(chosen, dtype=np.int64)):
            a, b = int(wholes[place]), int(parts[place])
            joined.join(a, b)
            related[min(a, b), max(a, b)] = kind
    return related


def _copies(thumbs: np.ndarray, pairs: Candidates, chosen: np.ndarray) -> list[tuple[int, Relation]]:
    """Compare some of the candidate pairs; return those that are copies, and how they relate."""
    if not len(chosen):
        return []
    parts = thumbs[pairs.parts[chosen]]
    orientations = pairs.orientations[chosen]
    for number in np.unique(orientations):
        those = orientations == number
        parts[those] = oriented(parts[those], ORIENTATIONS[number])
    similarity = compare(thumbs[pairs.wholes[chosen]], parts, pairs.windows[chosen])
    turns = np.array([turned or down for turned, _, down in ORIENTATIONS])[orientations]
    found: list[tuple[int, Relation]] = []
    for place in np.flatnonzero(similarity.same(orientations > 0, turns)).tolist():
        kind: Relation = "cropped" if similarity.sides[place].min() < CROPPED else "near"
        if orientations[place]:
            kind = "rotated" if turns[place] else "mirrored"
        found.append((int(chosen[place]), kind))
    return found
