"""The numbers of a save: how much of each concept it has learned, and where that shows without its trigger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..recipe import Concept
from .freedom import UNKNOWN, Freedom
from .nearness import Nearest
from .probe import SHOWN, Scores
from .prompts import calls
from .shares import Share, pooled, worst

RAMP = 0.3
"""Scores this far below and above ``SHOWN`` count as not at all, and as wholly shown, where saves are compared."""

LEAST_COPIES = 4
"""With fewer pictures of instance captions, all pictures with the trigger say how many are copies."""


@dataclass(frozen=True)
class OfPrompt:
    """What a prompt's pictures show of a concept.

    ``scores``: of each picture, 0 for one like the base's, 1 for one like the dataset's.
    """

    set: str
    prompt: str
    concept: str
    called: bool
    """Whether the prompt has the concept's trigger."""
    scores: tuple[float, ...]
    least: float = SHOWN["subject"]
    """The score from which on a picture shows the concept."""

    @property
    def share(self) -> Share:
        return Share(sum(score >= self.least for score in self.scores), len(self.scores))


@dataclass(frozen=True)
class Numbers:
    """The numbers of a step. ``learned``: by concept, of the pictures whose prompt calls it. ``bleeding``: of those
    whose prompt doesn't.
    """

    step: int
    prompts: tuple[OfPrompt, ...]
    nearest: tuple[Nearest, ...] = ()
    """Of each picture whose prompt calls a concept, in the order of the control pictures; empty where nothing can be
    compared."""
    freedom: Freedom = UNKNOWN
    captioned: tuple[bool, ...] = ()
    """Whether the prompt of each picture in ``nearest`` is an instance picture's caption; empty where not known."""

    def _of(self, concept: str, called: bool) -> Share:
        found = [one.share for one in self.prompts if one.concept == concept and one.called == called]
        return pooled(found) if found else Share(0, 0)

    @property
    def concepts(self) -> list[str]:
        """Name the concepts that could be judged."""
        return list(dict.fromkeys(one.concept for one in self.prompts))

    @property
    def learned(self) -> dict[str, Share]:
        return {name: self._of(name, True) for name in self.concepts}

    @property
    def bleeding(self) -> dict[str, Share]:
        return {name: self._of(name, False) for name in self.concepts}

    @property
    def least_learned(self) -> Share:
        """Return the share of the concept that is learned least; of no pictures where no prompt calls one."""
        return min((one for one in self.learned.values() if one.of), key=lambda share: share.value, default=Share(0, 0))

    @property
    def worst_bleeding(self) -> Share:
        """Return the share of the concept that bleeds most; of no pictures where every prompt calls it."""
        return worst([one for one in self.bleeding.values() if one.of] or [Share(0, 0)])

    @property
    def copied(self) -> Share:
        """Return the share of pictures that repeat an instance picture: of those with captions of instance pictures,
        where enough were drawn: they are what is learned by heart.
        """
        asked = [one for one, caption in zip(self.nearest, self.captioned, strict=False) if caption]
        of = asked if len(asked) >= LEAST_COPIES else self.nearest
        return Share(sum(one.copy for one in of), len(of))

    @property
    def merits(self) -> tuple[float, ...]:
        """Say of each picture how much it speaks for the save: their mean is *learned* less *bleeding*, with scores
        near ``SHOWN`` counted in part, so that few pictures tell more. Pictures are in the same order at every step.
        """
        return tuple(np.mean([self._merits(name) for name in self.concepts], axis=0).tolist())

    def _merits(self, concept: str) -> list[float]:
        """Return the merits of all pictures for one of the concepts."""
        own = [one for one in self.prompts if one.concept == concept]
        of = {called: sum(len(one.scores) for one in own if one.called == called) for called in (True, False)}
        return [
            (1 if one.called else -1) * sum(of.values()) / of[one.called] * float(value)
            for one in own
            for value in np.clip((np.array(one.scores) - one.least + RAMP) / (2 * RAMP), 0, 1)
        ]

    @property
    def worth(self) -> float:
        """Return *learned* less *bleeding* less *copied*, from -2 to 1."""
        return float(np.mean(self.merits)) - (self.copied.value if self.copied.of else 0.0)

    def plain(self) -> dict[str, Any]:
        """Return the numbers for the log's event: each share as [hits, of], and its 95 % interval."""
        shares = {"learned": self.least_learned, "bleeding": self.worst_bleeding}
        if self.copied.of:
            shares["copied"] = self.copied
        return {
            **{name: value for name, value in self.freedom._asdict().items() if value is not None},
            **{name: [share.hits, share.of] for name, share in shares.items()},
            **{f"{name}_interval": [round(end, 4) for end in share.interval] for name, share in shares.items()},
        }


def numbers(
    step: int,
    concepts: Sequence[Concept],
    scores: Sequence[Scores | None],
    entries: Sequence[tuple[str, int, str]],
    nearest: Sequence[Nearest] = (),
    freedom: Freedom = UNKNOWN,
    captioned: Sequence[bool] = (),
) -> Numbers | None:
    """Sum up a step's control pictures by each concept's ``scores`` of them, None of a concept without a probe; None
    where no concept has one.

    ``entries``: (set, number, prompt) of each picture. ``nearest``, ``captioned`` and ``freedom``: of those whose
    prompt calls a concept.
    """
    found = []
    for concept, label, of in zip(concepts, _labels(concepts), scores, strict=True):
        if of is None:
            continue
        for name, prompt in dict.fromkeys((name, prompt) for name, _, prompt in entries):
            own = [i for i, (other, _, text) in enumerate(entries) if (other, text) == (name, prompt)]
            of_prompt = tuple(round(float(of[i]), 4) for i in own)
            found.append(OfPrompt(name, prompt, label, calls(prompt, concept), of_prompt, SHOWN[concept.kind]))
    return Numbers(step, tuple(found), tuple(nearest), freedom, tuple(captioned)) if found else None


def _labels(concepts: Sequence[Concept]) -> list[str]:
    """Name the concepts, those of one name by their number, too."""
    names = [concept.name for concept in concepts]
    return [name if names.count(name) == 1 else f"{name} {number}" for number, name in enumerate(names, 1)]
