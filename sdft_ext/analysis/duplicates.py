"""Pictures that show the same: the same file twice, or copies that are mirrored, resized, re-encoded, cropped a little,
brightened or darkened.

Perceptual hashes (pHash) say which pairs might be, all against all by one matrix product for each hashed window; then
each such pair is laid over one another, pixel by pixel (``likeness``). Pairs that share a picture make a group.
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

NEAR = 14
"""Bits of 64 in which the hashes of two likely copies differ at most."""
NEIGHBOURS = 24
"""Likely copies of a picture that are looked at, through one window; those of very many are found by way of others."""
LAID, LAID_PER_PICTURE = 2000, 3
"""Pairs laid over one another, in all and for each picture, before the search ends: sets of thousands of look-alikes
end too, with the likeliest pairs looked at."""
COARSE = 40.0
"""Colours of sixteenths of two pictures that differ by more (of 255, their mean brightness set aside) are not laid at
all.
"""
TRIES = 3
"""So many windows of a pair are tried."""
MIRROR_AGREES = 0.9
"""Least correlation of details with a mirrored picture: the halves of a symmetrical thing are no copies."""
AT_ONCE = 64
BLOCK = 1024


@dataclass(frozen=True)
class Group:
    """Pictures (rows of the thumbnails) that show the same, the one to keep first; how each of the others is its
    copy.
    """

    rows: tuple[int, ...]
    relations: tuple[Relation, ...]

    @property
    def exact(self) -> bool:
        """Whether all are the same file."""
        return all(relation == "exact" for relation in self.relations)


def duplicates(thumbnails: Thumbnails, rank: Sequence[tuple[int, ...]] | None = None) -> list[Group]:
    """Groups of two and more, in the order of their first pictures.

    ``rank`` says for each row how much it is worth; of a group the highest comes first (of equal ones the first).
    """
    count = len(thumbnails)
    joined = _Joined(count)
    first: dict[bytes, int] = {}
    copies: dict[int, Relation] = {}
    for row, digest in enumerate(thumbnails.digests.tolist()):
        if digest in first:
            joined.join(first[digest], row)
            copies[row] = "exact"
        else:
            first[digest] = row
    related = _laid(thumbnails, np.array(sorted(first.values()), dtype=np.int64), joined)
    groups = []
    for rows in joined.groups():
        worth = {row: tuple(rank[row]) if rank is not None else () for row in rows}
        best = max(rows, key=lambda row: (worth[row], -row))
        others = [row for row in rows if row != best]
        relations: list[Relation] = [_relation(best, row, thumbnails, related) for row in others]
        groups.append(Group((best, *others), tuple(relations)))
    return groups


class _Joined:
    """Which rows are in one group: each row's group is named by its smallest row."""

    def __init__(self, count: int) -> None:
        self.group = np.arange(count)

    def join(self, one: int, other: int) -> None:
        a, b = sorted((int(self.group[one]), int(self.group[other])))
        if a != b:
            self.group[self.group == b] = a

    def groups(self) -> list[list[int]]:
        found: dict[int, list[int]] = {}
        names, counts = np.unique(self.group, return_counts=True)
        wanted = set(names[counts > 1].tolist())
        for row, group in enumerate(self.group.tolist()):
            if group in wanted:
                found.setdefault(group, []).append(row)
        return list(found.values())


Related = dict[tuple[int, int], Relation]
"""How the pairs that were laid over one another and found the same are copies of each other."""


def _relation(one: int, other: int, thumbnails: Thumbnails, related: Related) -> Relation:
    if thumbnails.digests[one] == thumbnails.digests[other]:
        return "exact"
    return related.get((min(one, other), max(one, other)), "near")


def _laid(thumbnails: Thumbnails, rows: np.ndarray, joined: _Joined) -> Related:
    """Lay likely pairs over one another, the likeliest first, and join those that show the same."""
    related: Related = {}
    wholes, parts, windows = _likely(thumbnails.hashes[rows])
    wholes, parts = rows[wholes], rows[parts]
    alike = _coarsely_alike(thumbnails.thumbs, wholes, parts, windows)
    wholes, parts, windows = wholes[alike], parts[alike], windows[alike]
    left = LAID + LAID_PER_PICTURE * len(rows)
    tried: Counter[tuple[int, int]] = Counter()
    start = 0
    while start < len(wholes) and left > 0:
        # A pair comes up once for each window, so those that were joined meanwhile are passed over.
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
        likeness = compare(pictures, thumbnails.thumbs[other], starts)
        for place in np.flatnonzero(likeness.same & (~mirrored | (likeness.details >= MIRROR_AGREES))):
            a, b = int(one[place]), int(other[place])
            joined.join(a, b)
            cut = float(likeness.window[place, 2:].min()) < 0.975
            kind: Relation = "mirrored" if mirrored[place] else "cropped" if cut else "near"
            related[min(a, b), max(a, b)] = kind
    return related


def _coarsely_alike(thumbs: np.ndarray, one: np.ndarray, other: np.ndarray, window: np.ndarray) -> np.ndarray:
    """Which pairs are of about the same colours in about the same places."""
    whole = cells(thumbs, WHOLE)
    alike = np.zeros(len(one), dtype=bool)
    for number in np.unique(window):
        part = whole[:, :, ::-1] if number == MIRRORED else cells(thumbs, WINDOWS[int(number)])
        places = np.flatnonzero(window == number)
        for start in range(0, len(places), BLOCK):
            block = places[start : start + BLOCK]
            a, b = part[one[block]], whole[other[block]]
            a, b = (each - each.mean(axis=(1, 2, 3), keepdims=True) for each in (a, b))
            difference = np.abs(a - b)
            alike[block] = difference.max(axis=(1, 2, 3)) <= COARSE
    return alike


def _likely(hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs whose hashes are near: rows of the whole, rows of the part, and the window; nearest first."""
    count = len(hashes)
    if not count:
        return (np.zeros(0, np.int64),) * 3
    signs = np.unpackbits(hashes, axis=2).astype(np.float32) * 2 - 1  # [n, windows, 64]
    found: list[np.ndarray] = []
    for window in range(HASHES):
        for start in range(0, count, BLOCK):
            # 64 less twice the number of bits that differ.
            product = signs[:, window] @ signs[start : start + BLOCK, 0].T
            rows = np.arange(start, min(start + BLOCK, count))
            product[rows, rows - start] = -64
            if window in (0, MIRRORED):  # either of two whole pictures may be the first
                product[np.arange(count)[:, None] > rows[None, :]] = -64
            if count > NEIGHBOURS:
                least = np.partition(product, count - NEIGHBOURS, axis=0)[count - NEIGHBOURS]
                product[product < least] = -64
            one, other = np.nonzero(product >= 64 - 2 * NEAR)
            distance = (64 - product[one, other]) / 2
            places = [distance, one, other + start, np.full(len(one), window)]
            found.append(np.stack(places).astype(np.int32))
    every = np.concatenate(found, axis=1)
    every = every[:, np.lexsort((every[3], every[0]))]
    return every[1], every[2], every[3]
