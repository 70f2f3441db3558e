"""What the numbers of a run's saves come to: one save, one sentence, one thing to do.

The guide: compare the saves, take the best one, "and go back to the dataset".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from .loss_rules import NO_LOSSES, StableLosses
from .numbers import Numbers
from .paired import SURE, difference
from .shares import Share

Word = Literal["learned", "learning", "not learned", "bleeding", "memorized", "overtrained", "fine"]
LEARNED, PART = 0.75, 0.4
"""Share of pictures with the trigger that show a learned concept, and one that is partly there."""
NEARLY = 0.1
"""Where the best save bleeds and doesn't show the concept, one that shows it and is worth so much less is taken."""
BLEEDING, COPIED = 0.15, 0.25
"""Shares from which on a save bleeds, and repeats instance pictures."""
STIFF = {"obedience": 0.4, "variety": 0.15}
"""Shares of what they were, below which prompts or seeds hardly matter any more. A subject that is learned has less
variety than what the base draws for an unknown word: a third is usual."""
ADVICE: dict[Word, str] = {
    "learned": "Use it.",
    "learning": "It is learned in part: train longer or with a higher learning rate, or add more varied pictures.",
    "not learned": "Train longer or with a higher learning rate, and check that the captions have the trigger.",
    "bleeding": "The concept bleeds: add regularization pictures or raise their weight, or use the save at a lower "
    "weight.",
    "memorized": "Instance pictures are learned by heart: add more varied pictures, remove duplicates, or train with "
    "fewer steps.",
    "overtrained": "Later saves are worse: use this one, and train with fewer steps next time.",
    "fine": "The loss alone doesn't tell what was learned, or what bleeds: look at the control pictures.",
}
PANELS: dict[Word, str] = {"not learned": "train", "learning": "train", "bleeding": "dataset", "memorized": "dataset"}
"""Where the user acts on a verdict; elsewhere the save itself is the answer."""


@dataclass(frozen=True)
class Verdict:
    """``step``: of the recommended save. ``alike``: other steps that can't be told apart from it. ``panel``: of the
    page, where its advice is followed; empty where the save can be used. ``settled``: the last two saves are worse by
    more than chance, so that training on won't help.
    """

    word: Word
    step: int
    text: str
    alike: tuple[int, ...] = ()
    panel: str = ""
    settled: bool = False

    def plain(self) -> dict[str, Any]:
        """Return the verdict for the log's event, in which ``save`` is the recommended save's step."""
        found = asdict(self)
        save = found.pop("step")
        return {"save": save, **found, "alike": list(self.alike)}


def verdict(found: Sequence[Numbers], saved: Sequence[int], losses: StableLosses = NO_LOSSES) -> Verdict | None:
    """Choose the best of the ``saved`` steps by their numbers, and say what they mean; where none was judged, by the
    loss; None where nothing is known of any.

    ``found``: the numbers of all judged steps, in order. A save was judged where control pictures were drawn at its
    step.
    """
    judged = [one for one in found if one.step in set(saved) and one.step > 0 and one.least_learned.of]
    if not judged:
        return _by_loss(losses, [step for step in saved if step > 0])
    best = max(judged, key=lambda one: one.worth)  # the earliest of equal ones
    bleeds = best.worst_bleeding.of > 0 and best.worst_bleeding.value >= BLEEDING
    if best.least_learned.value < PART:
        # Where everything bleeds, a save that shows nothing is worth as much as one that shows the concept everywhere.
        shown = [one for one in judged if one.least_learned.value >= PART and one.worth >= best.worth - NEARLY]
        best = (
            max(shown, key=lambda one: one.worth)
            if bleeds and shown
            else max(judged, key=lambda one: (one.worth, one.step))
        )
    # The best of many is so by chance, too: each comparison must be surer, the more there are (Bonferroni).
    sure = SURE / max(len(judged) - 1, 1)
    alike = tuple(one.step for one in judged if one is not best and not _apart(best, one, sure))
    last = judged[-1]
    word = _word(best, last, _apart(best, last, sure))
    if word == "not learned":
        text = f"No save shows the concept yet: at step {best.step}, {_shown(best)}. {ADVICE[word]}"
    else:
        text = f"The save of step {best.step} is the best: {_shown(best)}. {ADVICE[word]}"
    if word in ("learned", "overtrained") and alike:
        text += f" By these pictures, {_steps(alike)} can't be told apart from it."
    if word != "not learned" and losses.rise:
        text += f" {_risen(losses)}"
    later = [one for one in judged if one.step > best.step]
    settled = len(later) >= 2 and word != "not learned" and all(_apart(best, one, sure) for one in later[-2:])
    return Verdict(word, best.step, text, alike, PANELS.get(word, ""), settled)


def _by_loss(losses: StableLosses, saved: Sequence[int]) -> Verdict | None:
    """Choose the save that is nearest to the minimum of the loss, the earlier of two; None without a loss."""
    if losses.lowest is None or not saved:
        return None
    at = losses.lowest
    best = min(saved, key=lambda step: (abs(step - at), step))
    whose = "held-out pictures" if losses.held_out else "instance pictures"
    text = f"The loss of the {whose} was lowest at step {at}: the save of step {best} is the nearest."
    if losses.rise and best < max(saved):
        return Verdict("overtrained", best, f"{text} {_risen(losses)} {ADVICE['overtrained']}")
    return Verdict("fine", best, f"{text} {ADVICE['fine']}")


def _risen(losses: StableLosses) -> str:
    return (
        f"The loss of the held-out pictures has risen by {losses.rise:.0%} since step {losses.lowest}: from there on, "
        "the instance pictures are learned by heart."
    )


def _apart(best: Numbers, other: Numbers, sure: float) -> bool:
    """Return whether two saves differ by more than chance in what they show, or in what they copy."""
    if len(best.merits) != len(other.merits):
        return False
    copies = [(float(one.copy), float(two.copy)) for one, two in zip(best.nearest, other.nearest, strict=False)]
    pairs = list(zip(best.merits, other.merits, strict=True))
    return any(difference(some).chance < sure for some in (pairs, copies) if some)


def _word(best: Numbers, last: Numbers, apart: bool) -> Word:
    learned = best.least_learned.value
    if learned < PART:
        return "not learned"
    if best.worst_bleeding.of and best.worst_bleeding.value >= BLEEDING:
        return "bleeding"
    if (best.copied.of and best.copied.value >= COPIED) or _stiff(best):
        return "memorized"
    if last is not best and (apart or _stiff(last)):
        return "overtrained"
    return "learned" if learned >= LEARNED else "learning"


def _stiff(one: Numbers) -> bool:
    return any(value is not None and value < STIFF[name] for name, value in one.freedom._asdict().items())


def _shown(one: Numbers) -> str:
    parts = [f"{_of(one.least_learned)} with the trigger show the concept"]
    if one.worst_bleeding.of:
        parts.append(f"{_of(one.worst_bleeding)} without it do")
    if one.copied.hits:
        parts.append(f"{one.copied.hits} of {one.copied.of} repeat an instance picture")
    return ", ".join(parts)


def _of(share: Share) -> str:
    return f"{share.hits} of {share.of} pictures"


def _steps(steps: Sequence[int]) -> str:
    if len(steps) == 1:
        return f"that of step {steps[0]}"
    return f"those of steps {', '.join(map(str, steps[:-1]))} and {steps[-1]}"
