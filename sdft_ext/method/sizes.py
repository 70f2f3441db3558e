"""Sizes of a layer's trained matrices, without making them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence


def split(side: int, factor: int) -> tuple[int, int]:
    """Factor a side of a weight for LoKr, the smaller factor first: near ``factor``, or (0) as even as possible
    (LyCORIS' rule).
    """
    if factor and side % factor == 0:
        return min(factor, side // factor), max(factor, side // factor)
    most = min(factor or side, math.isqrt(side))
    first = next(number for number in range(most, 0, -1) if side % number == 0)
    return first, side // first


def lokr_whole(out: int, inputs: int, rank: int) -> bool:
    """Whether LoKr's second matrix is no larger whole than in two factors (LyCORIS' rule)."""
    return rank >= max(out, inputs) / 2


def numbers(kind: str, shape: Sequence[int], rank: int, factor: int) -> int:
    """Count the numbers that an adapter of this kind trains for a weight [out, in(, kh, kw)]."""
    out, columns = shape[0], math.prod(shape[1:])
    if kind == "loha":
        return 2 * rank * (out + columns)
    if kind == "lokr":
        (o1, o2), (i1, i2) = split(out, factor), split(shape[1], factor)
        kernel = math.prod(shape[2:])
        return o1 * i1 + (o2 * i2 * kernel if lokr_whole(o2, i2, rank) else rank * (o2 + i2 * kernel))
    return rank * (out + columns) + (shape[1] if kind == "dora" else 0)


def network_numbers(width: int, layers: Sequence[float], layer_norm: bool) -> int:
    """Count the numbers of a hypernetwork's two networks for one width."""
    sides = [int(width * layer) for layer in layers]
    return 2 * sum(
        before * after + after + (2 * after if layer_norm else 0) for before, after in itertools.pairwise(sides)
    )
