"""OneTrainer's concepts → the recipe's: folders, words, balancing, and regularization pictures."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from .concepts import add_concept, check_count, path_of, set_repeats
from .draft import Draft, shown
from .epochs import Showing
from .files import Files, FoundPicture
from .onetrainer_images import set_images
from .onetrainer_old import current_concept
from .onetrainer_texts import Prompts, read_prompts, set_texts, words
from .values import Values

MOST_TIMES = 100
"""Times an epoch is made longer, so that all concepts have whole repeats."""
LONGEST = 2000
"""Times it is made longer at most, so that their repeats are nearly whole."""
NEARLY = 0.02
"""How far a concept's showings may then be from OneTrainer's, as a share of them."""
ALIKE = 0.1
"""How far the showings of regularization pictures may be from those of instance pictures, as a share of these."""
REGULARIZATION = re.compile(r"\b(reg|regulari[sz]ation|regs|class images?)\b", re.IGNORECASE)
"""In a concept's name: its pictures hold the class in place. OneTrainer itself has no such kind of concept."""


@dataclass
class OneConcept:
    """A concept with its settings. ``pictures``: None where they can't be counted; ``repeats`` may be a fraction.

    ``holds``: concepts whose pictures became this one's regularization pictures (one at most).
    """

    values: Values
    folder: str
    pictures: list[FoundPicture] | None
    repeats: Fraction | None
    prompts: Prompts
    holds: list[OneConcept] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Return the concept's name, or its folder."""
        return self.values.text("name") or self.folder

    @property
    def prior(self) -> bool:
        """Return whether its pictures keep what the model answered before."""
        return self.values.text("type", "STANDARD").upper() == "PRIOR_PREDICTION"

    @property
    def total(self) -> int | None:
        """Return how many pictures an epoch of OneTrainer shows; None where they can't be counted."""
        return None if self.pictures is None or self.repeats is None else int(len(self.pictures) * self.repeats)

    @property
    def showings(self) -> list[Showing] | None:
        """Return what an epoch shows: of all pictures as many as the whole repeats, and of some one more."""
        if self.pictures is None or self.total is None:
            return None
        whole, more = divmod(self.total, max(len(self.pictures), 1))
        return [Showing(one, whole + (number < more)) for number, one in enumerate(self.pictures)]

    @property
    def regularization_repeats(self) -> int:
        """Return how often an epoch may show each of its pictures as regularization pictures."""
        return max(math.ceil(self.repeats or 1), 1)


@dataclass
class Concepts:
    """The concepts that are trained. ``times``: an epoch of the recipe shows as much as so many of OneTrainer's."""

    concepts: list[OneConcept]
    times: int

    def showings(self) -> list[Showing] | None:
        """Return what an epoch of OneTrainer shows; None where it can't be counted."""
        found: list[Showing] = []
        for concept in self.concepts:
            for one in (concept, *concept.holds):
                if one.showings is None:
                    return None
                found += one.showings
        return found

    def share(self) -> Fraction:
        """Return how much the recipe shows of what OneTrainer does: of regularization pictures it shows at most as
        many as of instance pictures.
        """
        there, here = 0, 0
        for concept in self.concepts:
            own = concept.total or 0
            there, here = there + own, here + own
            for one in concept.holds:
                there += one.total or 0
                here += min(own, len(one.pictures or ()) * one.regularization_repeats)
        return Fraction(here, there) if there and here else Fraction(1)


def read_concepts(draft: Draft, tables: Sequence[Any], files: Files) -> Concepts:
    """Read the concepts into the recipe."""
    check_count(len(tables))
    root = Values({"concepts": [current_concept(table) for table in tables]}, draft)
    found = [one for values in root.tables("concepts") if (one := _concept(values, files)) is not None]
    trained = _trained(draft, found)
    if not trained:
        draft.note("The config has no concept to train. Set dataset.concepts.0.instance.")
        return Concepts([], 1)
    times = _times(trained)
    set_images([one.values for one in trained])
    set_texts([one.values for one in trained], [one.prompts for one in trained])
    draft.recipe.dataset.concepts = []
    for concept in trained:
        others = [one.prompts for other in trained for one in (other, *other.holds) if one is not concept]
        name = concept.values.text("name")
        path = add_concept(draft, concept.folder, words(concept.prompts, others), name, concept.values.name("path"))
        _set_showings(draft, concept, path, times)
        concept.values.set(f"{path}.loss_weight", "loss_weight", concept.values.number("loss_weight", 1.0))
        for one in concept.holds:
            _set_regularization(draft, concept, one, path)
    root.report_unread(LEFT, QUIET)
    return Concepts(trained, times)


def _concept(values: Values, files: Files) -> OneConcept | None:
    """Return a concept, or None with a sentence where it isn't trained."""
    draft, folder, name = values.draft, values.text("path"), values.name("path")
    if not values.flag("enabled", True):
        draft.note(f"{name} is {shown(folder)}: the concept is switched off, so it was left out.")
    elif values.text("type", "STANDARD").upper() == "VALIDATION":
        draft.note(
            f"{name} is {shown(folder)}: a concept for validation, so it was left out. Here pictures "
            "of the concepts themselves are held out: set watch.validation_share and watch.validation_every."
        )
    elif not folder:
        draft.note(f"{name} is missing: the concept was left out. Name its folder and import again.")
    else:
        found = _counted(values, files, folder)
        if found.total != 0 or (not found.pictures and found.repeats):
            return found
        values.leave(
            "balancing",
            f"an epoch shows none of the pictures in {shown(folder)}, so the concept was left out. Raise its balancing "
            "and import again to train it.",
        )
    _ignore(values)
    return None


def _ignore(values: Values) -> None:
    """Keep settings that nothing is made of out of the report of unknown ones."""
    for name in values.values:
        values.raw(name)


def _counted(values: Values, files: Files, folder: str) -> OneConcept:
    """Return a concept with the pictures that are found, and how often an epoch shows each of them."""
    name, inner = values.name("path"), values.flag("include_subdirectories")
    found = path_of(values.draft, files, folder, name)
    pictures = files.pictures(found)
    if pictures is not None and not inner:
        if any(one.nested for one in pictures):
            values.draft.note(
                f"{name} is {shown(folder)}: pictures in folders inside it are trained here, but not "
                "by OneTrainer (include_subdirectories is off). Move those folders elsewhere."
            )
        pictures = [one for one in pictures if not one.nested]
    return OneConcept(values, found, pictures, _repeats(values, pictures), read_prompts(values, files))


def _repeats(values: Values, pictures: Sequence[FoundPicture] | None) -> Fraction | None:
    """Return how often an epoch shows each picture; None where a number of samples is set and they can't be counted.

    OneTrainer shows whole pictures only: the product of their number and the balancing, rounded down (mgds,
    ``DiskCache`` and ``VariationSorting``).
    """
    balancing = max(values.number("balancing", 1.0) or 0.0, 0.0)
    samples = values.text("balancing_strategy", "REPEATS").upper() == "SAMPLES"
    if pictures:
        return Fraction(math.floor(balancing if samples else len(pictures) * balancing), len(pictures))
    return None if samples and balancing else Fraction(str(balancing))


def _trained(draft: Draft, found: Sequence[OneConcept]) -> list[OneConcept]:
    """Return the concepts that are trained, some of them with others' pictures as their regularization pictures: those
    of prior prediction, and those that hold a class in place.
    """
    standard = [one for one in found if not one.prior]
    classes = [one for one in standard if len(standard) > 1 and _held_by(one, standard) is not None]
    trained = [one for one in standard if one not in classes]
    for one in classes if trained else ():
        holder = _held_by(one, trained)
        if holder is not None and not holder.holds and _as_many(one, holder):
            holder.holds.append(one)
        else:
            trained.append(one)
    for one in found if trained else ():
        if one.prior and trained[0].holds:
            draft.note(
                f"{one.values.name('path')} is {shown(one.folder)}: the first concept has regularization "
                "pictures already, so those of prior prediction were left out."
            )
            _ignore(one.values)
        elif one.prior:
            trained[0].holds.append(one)
    return [one for one in standard if one in trained]


def _held_by(one: OneConcept, concepts: Sequence[OneConcept]) -> OneConcept | None:
    """Return the concept whose class another one holds in place: its prompt ends with the other's, or the other's name
    says so.
    """
    others = [other for other in concepts if other is not one]
    prompt = one.prompts.only
    for other in others:
        if prompt and other.prompts.only.endswith(f" {prompt}"):
            return other
    if not _named_regularization(one):
        return None
    return next((other for other in others if not _named_regularization(other)), None)


def _named_regularization(one: OneConcept) -> bool:
    return REGULARIZATION.search(re.sub(r"[_-]", " ", one.values.text("name"))) is not None


def _as_many(one: OneConcept, holder: OneConcept) -> bool:
    """Return whether an epoch shows about as many pictures of one concept as of another: the recipe shows as many
    regularization pictures as instance pictures. Where they can't be counted, a share of the pictures is taken for a
    balance.
    """
    if one.total is None or holder.total is None:
        return one.repeats is not None and one.repeats < 1
    return abs(one.total - holder.total) <= max(holder.total * ALIKE, 1)


def _times(concepts: Sequence[OneConcept]) -> int:
    """Return by how much an epoch must be longer for all repeats to be whole numbers, or nearly so."""
    repeats = [one.repeats for one in concepts if one.repeats]
    times = math.lcm(*(one.denominator for one in repeats))
    if times <= MOST_TIMES:
        return times
    shares = [float(one) for one in repeats]
    for times in range(1, LONGEST + 1):
        if all(abs(round(share * times) - share * times) <= share * times * NEARLY for share in shares):
            return times
    return 1


def _set_showings(draft: Draft, concept: OneConcept, path: str, times: int) -> None:
    """Set a concept's repeats in the longer epoch; a fraction that remains is reported."""
    name = concept.values.name("balancing")
    if concept.repeats is None:
        concept.values.leave(
            "balancing",
            "this many samples an epoch are shown there. The pictures weren't found here, so they couldn't be "
            f"divided among them. Set {path}.repeats.",
        )
        return
    wanted = concept.repeats * times
    whole = max(round(wanted), 1)
    if wanted != whole:
        longer = f" in an epoch that is as long as {times:,} there" if times > 1 else ""
        concept.values.leave(
            "balancing",
            f"repeats are whole numbers here: {whole:,}{longer} was taken for {float(wanted):.4g}. See {path}.repeats.",
        )
    set_repeats(draft, f"{path}.repeats", concept.folder, whole, name)


def _set_regularization(draft: Draft, concept: OneConcept, one: OneConcept, path: str) -> None:
    """Set a concept's pictures as the regularization pictures of another, and say what that means."""
    draft.set(f"{path}.regularization", one.folder, one.values.name("path"), one.folder)
    one.values.set(f"{path}.regularization_repeats", "balancing", one.regularization_repeats)
    weight, own = one.values.number("loss_weight", 1.0) or 0.0, concept.values.number("loss_weight", 1.0) or 0.0
    if own:
        one.values.set("train.prior_loss_weight", "loss_weight", weight / own)
    counts = "" if one.total is None or concept.total is None else f" ({one.total:,} for {concept.total:,} there)"
    if one.prior:
        draft.leave(
            one.values.name("type"),
            "PRIOR_PREDICTION",
            "its pictures became regularization pictures, which are learned as they are, at most as many as "
            f"instance pictures{counts}. train.class_preservation keeps what the base model answers, without pictures.",
        )
    else:
        unknown = one.prompts.source == "concept" and not one.prompts.only
        draft.note(
            f"{one.values.name('path')} is {shown(one.folder)}: its pictures became the regularization pictures of "
            f"{shown(concept.name)}, as many an epoch as instance pictures{counts}. Make them a concept of its own if "
            "they are to be learned."
            + (f" Their prompts weren't found here: set {path}.class_word to the prompt." if unknown else "")
        )
        if one.prompts.only and not draft.recipe.dataset.concepts[-1].class_word:
            name = one.values.table("text").name("prompt_path")
            draft.set(f"{path}.class_word", one.prompts.only, name, one.prompts.only)
    one.values.raw("name")
    for table in (one.values.table("image"), one.values.table("text")):  # the concept's own hold for these too
        _ignore(table)


LEFT: dict[str, tuple[Any, str]] = {
    "image_variations": (1, "each showing has its own crop here. No action is needed."),
    "text_variations": (1, "each showing has its own line and order of tags here. No action is needed."),
}
QUIET = frozenset({"seed", "concept_stats", "name", "include_subdirectories"})
