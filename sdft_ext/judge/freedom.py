"""What a run has left of the model's freedom: whether prompts still matter, and whether seeds still differ.

The guide's overtrained model "repeats its training pictures: the same pose, the same background, whatever the prompt
says". Pictures of the same prompts and seeds at step 0 say how much either mattered before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .features import Rows


class Freedom(NamedTuple):
    """Spreads of pictures, as shares of what they were at step 0; None where one prompt, or one seed of each, says
    nothing.
    """

    obedience: float | None
    """Spread between prompts: near 0, every prompt draws the same."""
    variety: float | None
    """Spread between the seeds of a prompt: near 0, every seed draws the same."""


UNKNOWN = Freedom(None, None)


def freedom(first: Rows, now: Rows, prompts: Sequence[str], scale: Rows) -> Freedom:
    """Compare the spreads of pictures [pictures, numbers] with those at step 0. ``scale``: standard deviation of each
    number, so that all weigh the same.
    """
    before, after = (_spreads(rows / scale, prompts) for rows in (first, now))
    return Freedom(*(_share(old, new) for old, new in zip(before, after, strict=True)))


def _spreads(rows: Rows, prompts: Sequence[str]) -> tuple[float | None, float | None]:
    """Return the root mean square spread between prompts and within them.

    The means of few seeds differ by the seeds' own spread, too: that part is taken off, as in an analysis of variance.
    """
    groups = [rows[[i for i, other in enumerate(prompts) if other == prompt]] for prompt in dict.fromkeys(prompts)]
    several = [group for group in groups if len(group) > 1]
    within = float(np.mean([group.var(0, ddof=1).mean() for group in several])) if several else None
    if len(groups) < 2:
        return None, None if within is None else within**0.5
    means = np.stack([group.mean(0) for group in groups])
    between = float(means.var(0, ddof=1).mean())
    noise = (within or 0.0) * float(np.mean([1 / len(group) for group in groups]))
    return max(between - noise, 0.0) ** 0.5, None if within is None else within**0.5


def _share(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None or before < 1e-6 else round(after / before, 4)
