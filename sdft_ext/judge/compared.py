"""What a run's control pictures are compared with: the dataset's pictures, and the control pictures of step 0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np

from ..recipe import Concept
from . import probe
from .features import Rows
from .freedom import UNKNOWN, freedom
from .nearness import Nearest
from .numbers import Numbers, numbers
from .prompts import calls

Entry = tuple[str, int, str]
"""(set, number in it, prompt) of a control picture."""


class Compared:
    """The judge's standard of one run.

    ``entries``: of the control pictures, in their order. ``dataset``: rows of each concept's instance pictures
    (``concept-0``, ``concept-1`` …) and of ``regularization`` pictures. ``first``: rows of the control pictures of step
    0, before the run had taught anything.
    """

    def __init__(
        self, concepts: Sequence[Concept], entries: Sequence[Entry], dataset: Mapping[str, Rows], first: Rows
    ) -> None:
        self.concepts, self.entries, self.first = concepts, entries, first
        self.instance = [dataset[f"concept-{number}"] for number in range(len(concepts))]
        self.regularization = dataset["regularization"]
        self.called = [
            i for i, (_, _, prompt) in enumerate(entries) if any(calls(prompt, concept) for concept in concepts)
        ]
        """Which control pictures' prompts call a concept."""

    def numbers(self, step: int, rows: Rows, nearest: Sequence[Nearest]) -> Numbers | None:
        """Compute the numbers of a step's control pictures, ``rows``; None where no concept can be told by so few
        instance pictures. ``nearest``: of those in ``called``.
        """
        free = UNKNOWN
        if self.called:
            texts = [self.entries[i][2] for i in self.called]
            free = freedom(self.first[self.called], rows[self.called], texts, self._scale)
        return numbers(step, self.concepts, self.probes, self.entries, rows, nearest, free)

    @cached_property
    def probes(self) -> list[probe.Probe | None]:
        """Train a probe for each concept: against the first control pictures, regularization, and other concepts."""
        found = []
        for number, positives in enumerate(self.instance):
            others = [rows for other, rows in enumerate(self.instance) if other != number]
            negatives = np.concatenate([self.first, *(rows for rows in (self.regularization, *others) if len(rows))])
            found.append(probe.train(positives, negatives) if len(positives) >= probe.LEAST else None)
        return found

    @cached_property
    def _scale(self) -> Rows:
        everything = [rows for rows in (self.first, self.regularization, *self.instance) if len(rows)]
        return np.asarray(np.concatenate(everything).std(0) + probe.LEAST_SPREAD)
