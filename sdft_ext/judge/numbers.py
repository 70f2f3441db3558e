"""The numbers of a save: how much of each concept it has learned, and where that shows without its trigger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..recipe import Concept
from .features import Rows
from .probe import SHOWN, Probe
from .prompts import calls
from .shares import Share, pooled, worst


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

    @property
    def share(self) -> Share:
        return Share(sum(score >= SHOWN for score in self.scores), len(self.scores))


@dataclass(frozen=True)
class Numbers:
    """The numbers of a step. ``learned``: by concept, of the pictures whose prompt calls it. ``bleeding``: of those
    whose prompt doesn't.
    """

    step: int
    prompts: tuple[OfPrompt, ...]

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

    def plain(self) -> dict[str, Any]:
        """Return the numbers for the log's event: each share as [hits, of], and its 95 % interval."""
        shares = {"learned": self.least_learned, "bleeding": self.worst_bleeding}
        return {
            **{name: [share.hits, share.of] for name, share in shares.items()},
            **{f"{name}_interval": [round(end, 4) for end in share.interval] for name, share in shares.items()},
        }


def numbers(
    step: int,
    concepts: Sequence[Concept],
    probes: Sequence[Probe | None],
    entries: Sequence[tuple[str, int, str]],
    rows: Rows,
) -> Numbers | None:
    """Score a step's control pictures with each concept's probe; None where no concept has one.

    ``entries``: (set, number, prompt) of each row.
    """
    found = []
    for concept, probe in zip(concepts, probes, strict=True):
        if probe is None:
            continue
        scores = probe.scores(rows)
        for name, prompt in dict.fromkeys((name, prompt) for name, _, prompt in entries):
            own = [i for i, (other, _, text) in enumerate(entries) if (other, text) == (name, prompt)]
            of_prompt = tuple(round(float(scores[i]), 4) for i in own)
            found.append(OfPrompt(name, prompt, concept.name, calls(prompt, concept), of_prompt))
    return Numbers(step, tuple(found)) if found else None
