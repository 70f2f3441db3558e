"""What a run's control pictures are compared with: the dataset's pictures, and the control pictures of step 0."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
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
    (``concept-0``, ``concept-1`` …) and of ``regularization`` pictures, each with its ``-details``. ``first``: ``rows``
    and ``details`` of the control pictures of step 0, before the run had taught anything. ``captions``: of the instance
    pictures; empty where they aren't known.
    """

    def __init__(
        self,
        concepts: Sequence[Concept],
        entries: Sequence[Entry],
        dataset: Mapping[str, Rows],
        first: Mapping[str, Rows],
        captions: Collection[str] = (),
    ) -> None:
        self.concepts, self.entries, self.dataset, self.first = concepts, entries, dataset, first
        self.called = [
            i for i, (_, _, prompt) in enumerate(entries) if any(calls(prompt, concept) for concept in concepts)
        ]
        """Which control pictures' prompts call a concept."""
        self.captioned = [entries[i][2] in captions for i in self.called] if captions else []

    def numbers(self, step: int, now: Mapping[str, Rows], nearest: Sequence[Nearest]) -> Numbers | None:
        """Compute the numbers of a step's control pictures from their ``rows`` and ``details``; None where no concept
        can be told, by so few instance pictures, or without details. ``nearest``: of those in ``called``.
        """
        free = UNKNOWN
        if self.called:
            texts = [self.entries[i][2] for i in self.called]
            free = freedom(self.first["rows"][self.called], now["rows"][self.called], texts, self._scale)
        scores: list[probe.Scores | None] = []
        for concept, of in zip(self.concepts, self.probes, strict=True):
            rows = told_by(concept, now["rows"], now.get("details"))
            scores.append(None if of is None or rows is None else of.scores(rows))
        return numbers(step, self.concepts, scores, self.entries, nearest, free, self.captioned)

    @cached_property
    def probes(self) -> list[probe.Probe | None]:
        """Train a probe for each concept: against the first control pictures, regularization, and other concepts."""
        names = [f"concept-{number}" for number in range(len(self.concepts))]
        found: list[probe.Probe | None] = []
        for concept, name in zip(self.concepts, names, strict=True):
            positives = self._told(concept, name)
            compared = [told_by(concept, self.first["rows"], self.first.get("details"))]
            compared += [self._told(concept, other) for other in (*names, "regularization") if other != name]
            negatives = [rows for rows in compared if rows is not None and len(rows)]
            if positives is None or len(positives) < probe.LEAST or compared[0] is None:
                found.append(None)
            else:
                found.append(probe.train(positives, np.concatenate(negatives), concept.kind))
        return found

    def _told(self, concept: Concept, name: str) -> Rows | None:
        """Return the rows of some of the dataset's pictures, as they tell a concept."""
        return told_by(concept, self.dataset[name], self.dataset.get(f"{name}-details"))

    @cached_property
    def _scale(self) -> Rows:
        instance = [self.dataset[f"concept-{number}"] for number in range(len(self.concepts))]
        everything = [rows for rows in (self.first["rows"], self.dataset["regularization"], *instance) if len(rows)]
        return np.asarray(np.concatenate(everything).std(0) + probe.LEAST_SPREAD)


def told_by(concept: Concept, rows: Rows, details: Rows | None) -> Rows | None:
    """Return the features that tell a concept: of a style, the details too; None where these are missing, as in runs of
    older versions.
    """
    if concept.kind != "style":
        return rows
    return None if details is None or len(details) != len(rows) else np.concatenate([rows, details], axis=1)
