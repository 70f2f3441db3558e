"""What control pictures can be rated as, and what to do about each: the guide's troubleshooting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ..run_folder.ratings import RatedPicture

Kind = Literal["section", "setting", "captions", "save"]
"""Where a lead goes: a section of the Dataset panel, a setting, the Captions panel filtered by a word, another save."""


@dataclass(frozen=True)
class Lead:
    """A way to follow an advice. ``target``: the section's name or the setting's path; for captions ``with`` or
    ``without`` the word; for a save ``recommended`` or ``earlier``.
    """

    label: str
    kind: Kind
    target: str


@dataclass(frozen=True)
class Rating:
    """A rating: its ``label`` on a button, what it means, and what the guide advises."""

    label: str
    help: str
    advice: str
    leads: tuple[Lead, ...]


EARLIER = Lead("Use an earlier save", "save", "earlier")
RECOMMENDED = Lead("Use the recommended save", "save", "recommended")
CLOSE_UPS = Lead("Add close-ups", "section", "add")
FEWER = Lead("Train with fewer steps", "setting", "train.length")
VARIETY = Lead("Find duplicates and what recurs", "section", "report")
RATINGS: dict[str, Rating] = {
    "unlike": Rating(
        "Not like it",
        "It doesn't show the concept as the instance pictures do.",
        "Add close-ups, and pictures from other sides. Where the loss still falls, train longer.",
        (CLOSE_UPS, Lead("Train longer", "setting", "train.length"), RECOMMENDED),
    ),
    "unprompted": Rating(
        "Unprompted",
        "It shows the concept though the prompt doesn't ask for it: the concept bleeds.",
        "Add regularization pictures, or raise their weight. A save from before it began bleeds less.",
        (
            Lead("Draw regularization pictures", "section", "regularization"),
            Lead("Raise the weight of regularization", "setting", "train.prior_loss_weight"),
            EARLIER,
        ),
    ),
    "burned": Rating(
        "Burned outline",
        "Outlines are hard, or colours too strong.",
        "It was trained too long, or at too high a rate: use an earlier save, remove duplicates of what burns first, "
        "and train with fewer steps next time.",
        (EARLIER, VARIETY, FEWER, Lead("Lower the learning rate", "setting", "train.learning_rate")),
    ),
    "feature": Rating(
        "Unwanted feature",
        "Something shows that isn't part of the concept: a watermark, a background, a piece of clothing.",
        "It is in many instance pictures, and was learned with the concept. Name it in their captions, so that it "
        "belongs to its own word, or remove those pictures.",
        (
            Lead("Captions with the word", "captions", "with"),
            Lead("Captions without the word", "captions", "without"),
            VARIETY,
        ),
    ),
    "detail": Rating(
        "Poor face or detail",
        "Faces or small parts are blurred or wrong.",
        "The instance pictures show them too small: add close-ups, crop the pictures you have, or train at a higher "
        "resolution.",
        (
            CLOSE_UPS,
            Lead("Crop the pictures", "section", "preparation"),
            Lead("Raise the resolution", "setting", "dataset.resolution"),
        ),
    ),
    "ignored": Rating(
        "Ignores the prompt",
        "It repeats an instance picture, or looks the same whatever the prompt says.",
        "It is overtrained: use an earlier save. Remove duplicates, add pictures that differ in all but the concept, "
        "and train with fewer steps.",
        (EARLIER, VARIETY, FEWER),
    ),
}


def rated_counts(rated: Sequence[RatedPicture]) -> list[dict[str, Any]]:
    """Count the pictures of each rating, for the report: its ``label``, how many, at which steps, and the advice."""
    found = []
    for name, rating in RATINGS.items():
        own = [one for one in rated if one.rating == name]
        if own:
            steps = sorted({one.step for one in own})
            found.append(
                {
                    "rating": name,
                    "label": rating.label,
                    "pictures": len(own),
                    "steps": steps,
                    "advice": rating.advice,
                }
            )
    return found
