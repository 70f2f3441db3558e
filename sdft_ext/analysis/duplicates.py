"""Find duplicates: the same file twice, or copies that are mirrored, resized, re-encoded, slightly cropped, brightened
or darkened.

Perceptual hashes (pHash) give candidate pairs, all against all by one matrix product for each hashed window; then each
pair is aligned and compared pixel by pixel (``similarity``). Pairs that share a picture form a group.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .similarity import WHOLE, cells, compare
from .thumbnails import HASHES, MIRRORED, WINDOWS, Thumbnails

Relation = Literal["exact", "mirrored", "cropped", "near"]

MAX_DISTANCE = 14
"""Hashes of candidates differ in at most this many of 64 bits."""
NEIGHBOURS = 24
"""Candidates for each picture and window; copies beyond that number are found through the others of their group."""
COMPARED, COMPARED_PER_PICTURE = 2000, 3
"""Pairs compared before the search ends, in all and for each picture. So it ends for thousands of look-alikes too; the
most likely pairs come first.
"""
COARSE = 40.0
"""Pairs whose colours differ by more than this (of 255, without mean brightness) in one of 4 × 4 cells are skipped."""
TRIES = 3
"""Windows tried for each pair."""
MIN_MIRRORED_CORRELATION = 0.9
"""Least correlation of details with a mirrored picture: symmetrical pictures are not copies of each other."""
AT_ONCE = 64
"""Pairs compared in one call."""
BLOCK = 1024
"""Pictures or pairs in one array operation."""


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
    wholes, parts, windows = _candidates(thumbnails.hashes[rows])
    wholes, parts = rows[wholes], rows[parts]
    similar = _coarsely_similar(thumbnails.thumbs, wholes, parts, windows)
    wholes, parts, windows = wholes[similar], parts[similar], windows[similar]
    left = COMPARED + COMPARED_PER_PICTURE * len(rows)
    tried: Counter[tuple[int, int]] = Counter()
    start = 0
    while start < len(wholes) and left > 0:
        # A pair comes up once for each window; pairs that have been joined meanwhile are skipped.
        chosen: list[int] = []
        seen: set[tuple[int, int]] = set()
        while start < len(wholes) and len(chosen) < AT_ONCE:
            a, b = int(wholes[start]), int(parts[start])
            pair = (min(a, b), max(a, b))
            if joined.group[a] != joined.group[b] and pair not in seen and tried[pair] < TRIES:
                chosen.append(start)
                seen.add(pair)
                tried[pair] += 1
            start += 1
        if not chosen:
            continue
        left -= len(chosen)
        one, other, window = wholes[chosen], parts[chosen], windows[chosen]
        pictures = thumbnails.thumbs[one]
        mirrored = window == MIRRORED
        pictures[mirrored] = pictures[mirrored, :, ::-1]
        starts = np.array([WINDOWS[int(n)] if n != MIRRORED else WHOLE for n in window])
        similarity = compare(pictures, thumbnails.thumbs[other], starts)
        same = similarity.same & (~mirrored | (similarity.details >= MIN_MIRRORED_CORRELATION))
        for place in np.flatnonzero(same):
            a, b = int(one[place]), int(other[place])
            joined.join(a, b)
            cropped = float(similarity.window[place, 2:].min()) < 0.975
            kind: Relation = "mirrored" if mirrored[place] else "cropped" if cropped else "near"
            related[min(a, b), max(a, b)] = kind
    return related


def _coarsely_similar(thumbs: np.ndarray, one: np.ndarray, other: np.ndarray, window: np.ndarray) -> np.ndarray:
    """Return which pairs have about the same colours in about the same places, bool [pairs]."""
    whole = cells(thumbs, WHOLE)
    similar = np.zeros(len(one), dtype=bool)
    for number in np.unique(window):
        part = whole[:, :, ::-1] if number == MIRRORED else cells(thumbs, WINDOWS[int(number)])
        places = np.flatnonzero(window == number)
        for start in range(0, len(places), BLOCK):
            block = places[start : start + BLOCK]
            a, b = part[one[block]], whole[other[block]]
            a, b = (each - each.mean(axis=(1, 2, 3), keepdims=True) for each in (a, b))
            difference = np.abs(a - b)
            similar[block] = difference.max(axis=(1, 2, 3)) <= COARSE
    return similar


def _candidates(hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return pairs with close hashes, closest first: rows of the whole, rows of the part, the window; int32 [pairs]."""
    count = len(hashes)
    if not count:
        return (np.zeros(0, np.int64),) * 3
    signs = np.unpackbits(hashes, axis=2).astype(np.float32) * 2 - 1  # [n, windows, 64]
    found: list[np.ndarray] = []
    for window in range(HASHES):
        for start in range(0, count, BLOCK):
            # 64 minus twice the number of bits that differ.
            product = signs[:, window] @ signs[start : start + BLOCK, 0].T
            rows = np.arange(start, min(start + BLOCK, count))
            product[rows, rows - start] = -64
            if window in (0, MIRRORED):  # of two whole pictures, each pair once
                product[np.arange(count)[:, None] > rows[None, :]] = -64
            if count > NEIGHBOURS:
                least = np.partition(product, count - NEIGHBOURS, axis=0)[count - NEIGHBOURS]
                product[product < least] = -64
            one, other = np.nonzero(product >= 64 - 2 * MAX_DISTANCE)
            distance = (64 - product[one, other]) / 2
            places = [distance, one, other + start, np.full(len(one), window)]
            found.append(np.stack(places).astype(np.int32))
    every = np.concatenate(found, axis=1)
    every = every[:, np.lexsort((every[3], every[0]))]
    return every[1], every[2], every[3]
