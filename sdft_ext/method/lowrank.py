"""The best low-rank approximation of a weight delta (Eckart and Young 1936: the truncated singular value
decomposition).
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..formats.kohya import LoraLayer
from ..randomness import generator

OVERSAMPLING, ITERATIONS = 16, 4
"""For the randomized decomposition (Halko 2011), which is used if the rank is far below the matrix's sides."""


@torch.no_grad()
def approximated(change: Tensor, rank: int = 0, error: float = 0.0) -> LoraLayer:
    """Make a LoRA layer for ``change`` [out, in(, kh, kw)], of the given rank or the least whose error is at most
    ``error``.

    ``error`` is the norm of what is missing as a share of the change's norm. Both 0: the full rank. With both, the
    smaller rank. Alpha is the rank; down and up share the strength evenly.
    """
    matrix = change.float().flatten(1)
    most = min(matrix.shape)
    wanted = min(rank or most, most)
    if error == 0.0 and 4 * wanted < most:
        left, values, right = _largest(matrix, min(wanted + OVERSAMPLING, most))
    else:
        left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    if error:
        wanted = min(wanted, least_rank(values, error))
    return _layer(left[:, :wanted], values[:wanted], right[:wanted], change.shape)


@torch.no_grad()
def resized(layer: LoraLayer, rank: int = 0, error: float = 0.0) -> LoraLayer:
    """Return the layer at another rank, decomposing matrices as small as its own rank; ``rank`` and ``error`` as
    above.
    """
    up, down = layer.up.float().flatten(1) * layer.scale, layer.down.float().flatten(1)
    left, first = torch.linalg.qr(up)
    right, second = torch.linalg.qr(down.T)
    inner_left, values, inner_right = torch.linalg.svd(first @ second.T, full_matrices=False)
    wanted = min(rank or len(values), len(values))
    if error:
        wanted = min(wanted, least_rank(values, error))
    shape = torch.Size((layer.up.shape[0], *layer.down.shape[1:]))
    return _layer((left @ inner_left)[:, :wanted], values[:wanted], (inner_right @ right.T)[:wanted], shape)


def least_rank(values: Tensor, error: float) -> int:
    """Return how many singular values (largest first) leave out at most this share of the norm; at least 1."""
    squares = values.double().square()
    missing = squares.flip(0).cumsum(0).flip(0)  # of rank 0, 1, …
    allowed = error**2 * float(missing[0])
    return max(int((missing > allowed).sum()), 1)


def _largest(matrix: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Approximate the ``count`` largest singular values and their vectors (Halko 2011, algorithms 4.4 and 5.1).

    It draws from a generator of its own: saves are made outside the host's lock, while others may draw from the global
    ones.
    """
    draws = torch.randn((matrix.shape[1], count), generator=generator(0, "low rank")).to(matrix.device)
    span = torch.linalg.qr(matrix @ draws).Q
    for _ in range(ITERATIONS):
        span = torch.linalg.qr(matrix.T @ span).Q
        span = torch.linalg.qr(matrix @ span).Q
    left, values, right = torch.linalg.svd(span.T @ matrix, full_matrices=False)
    return span @ left, values, right


def _layer(left: Tensor, values: Tensor, right: Tensor, shape: torch.Size) -> LoraLayer:
    root = values.clamp_min(0).sqrt()
    rank, kernel = len(values), shape[2:]
    up = (left * root).reshape(shape[0], rank, *(1 for _ in kernel))
    down = (root[:, None] * right).reshape(rank, *shape[1:])
    return LoraLayer(down.contiguous().cpu(), up.contiguous().cpu(), float(rank))
