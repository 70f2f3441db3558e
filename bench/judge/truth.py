"""The truth about a recorded run: what the checker reads off pictures that the judge never saw, and the verdict that
those shares deserve.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from sdft_ext.judge import verdict

COPY = 0.05
"""Root mean square difference of pixels (0–1) to an instance picture, both as the VAE draws them, below which a drawn
picture repeats it: of freshly rendered pictures with the same captions, one or two in a hundred are as near."""
WITHOUT = ("class word", "empty prompt", "own captions")
"""Groups of pictures without the trigger."""
OBEYED, KEPT = 0.6, 0.5
"""Shares of right colours or backgrounds below which prompts with the trigger hardly matter any more, and below which
the model is broken: even its own captions are drawn wrong."""
WORSE = 0.15
"""How much less the last save is worth than the best one where the run is overtrained."""
DOUBT = 0.1
"""Half of the 95 % interval of a share of 64 pictures: a verdict is right if shares that far away deserve it."""


@dataclass(frozen=True)
class SaveTruth:
    """Shares of pictures of a save: that show the concept with the trigger, and without it; that repeat an instance
    picture; and whose colours and backgrounds are right, with the trigger, and of the base's own captions.
    """

    step: int
    learned: float
    bleeding: float
    copied: float
    obeyed: float
    kept: float

    @property
    def worth(self) -> float:
        return self.learned - self.bleeding - self.copied


def of_save(entry: Mapping[str, Any]) -> SaveTruth:
    """Read a save's truth from the recording of its run."""
    truth = entry["truth"]
    shows = truth["shows"]
    return SaveTruth(
        step=int(entry["step"]),
        learned=float(np.mean(shows["concept"])),
        bleeding=float(np.mean([one for group in WITHOUT for one in shows[group]])),
        copied=float(np.mean(np.array(truth["distances"]) < COPY)),
        obeyed=min(truth["obeyed"]["colour"], truth["obeyed"]["background"]),
        kept=min(truth["kept"].values()),
    )


def best(saves: Sequence[SaveTruth]) -> SaveTruth:
    """Return the best save, the earliest of equal ones."""
    return max(saves, key=lambda one: one.worth)


def word_of(saves: Sequence[SaveTruth], failed: bool) -> str:
    """Return the verdict that a run deserves.

    ``failed``: the run ended itself. That was right where its last save is broken, or where none was made.
    """
    if failed and (not saves or saves[-1].kept < KEPT):
        return "diverged"
    return _word(saves, 0, 0, 0)


def words(saves: Sequence[SaveTruth], failed: bool) -> set[str]:
    """Return the verdicts that are true of a run: more than one where a share is in doubt."""
    if failed:
        return {word_of(saves, failed)}
    return {_word(saves, *some) for some in product((-DOUBT, 0, DOUBT), repeat=3)}


def _word(saves: Sequence[SaveTruth], learned: float, bleeding: float, worse: float) -> str:
    found, last = best(saves), saves[-1]
    if found.learned + learned < verdict.PART:
        return "not learned"
    if found.bleeding + bleeding / 2 >= verdict.BLEEDING:
        return "bleeding"
    if found.copied + bleeding >= verdict.COPIED or found.obeyed < OBEYED:
        return "memorized"
    if found.worth - last.worth + worse >= WORSE or last.obeyed < OBEYED:
        return "overtrained"
    return "learned" if found.learned + learned >= verdict.LEARNED else "learning"
