"""OneTrainer's concepts → the recipe's: folders, balancing, captions, and what is done with pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from .concepts import Words, add_concept, check_count, path_of, set_repeats
from .draft import Draft, shown
from .epochs import Showing
from .files import Files, FoundPicture
from .onetrainer_old import current_concept
from .values import Values

MOST_TIMES = 100
"""Times an epoch is made longer, so that all concepts have whole repeats."""
IMAGE_LEFT = (
    ("random_rotate", "pictures aren't turned in training here"),
    ("fixed_rotate", "pictures aren't turned in training here"),
    ("random_brightness", "colours aren't changed in training here"),
    ("fixed_brightness", "colours aren't changed in training here"),
    ("random_contrast", "colours aren't changed in training here"),
    ("fixed_contrast", "colours aren't changed in training here"),
    ("random_saturation", "colours aren't changed in training here"),
    ("fixed_saturation", "colours aren't changed in training here"),
    ("random_hue", "colours aren't changed in training here"),
    ("fixed_hue", "colours aren't changed in training here"),
    ("random_circular_mask_shrink", "masks aren't changed in training here"),
    ("random_mask_rotate_crop", "pictures aren't cropped around masks in training here"),
    ("fixed_flip", "all pictures have the same share of mirrored showings here: see dataset.flip"),
)


@dataclass
class OneConcept:
    """A concept with its settings. ``pictures``: None where they can't be counted; ``repeats`` may be a fraction."""

    values: Values
    folder: str
    pictures: list[FoundPicture] | None
    repeats: Fraction | None
    prior: bool

    @property
    def showings(self) -> list[Showing] | None:
        """Return what an epoch shows: of all pictures as many as the whole repeats, and of some one more."""
        if self.pictures is None or self.repeats is None:
            return None
        total = math.floor(len(self.pictures) * self.repeats)
        whole, more = divmod(total, max(len(self.pictures), 1))
        return [Showing(one, whole + (number < more)) for number, one in enumerate(self.pictures)]


@dataclass
class Concepts:
    """All concepts that are trained. ``times``: an epoch of the recipe shows as much as so many of OneTrainer's."""

    concepts: list[OneConcept]
    times: int

    def showings(self) -> list[Showing] | None:
        """Return what an epoch of OneTrainer shows; None where it can't be counted."""
        found: list[Showing] = []
        for concept in self.concepts:
            if concept.showings is None:
                return None
            found += concept.showings
        return found


def read_concepts(draft: Draft, tables: Sequence[Any], files: Files) -> Concepts:
    """Read the concepts into the recipe."""
    check_count(len(tables))
    found = []
    for number, table in enumerate(tables):
        values = Values(current_concept(table), draft, f"concepts.{number}.")
        concept = _concept(values, files)
        if concept is not None:
            found.append(concept)
    standard = [one for one in found if not one.prior]
    if not standard:
        draft.note("The config has no concept to train. Set dataset.concepts.0.instance.")
        return Concepts([], 1)
    times = _times(standard)
    _set_images(draft, standard)
    _set_texts(draft, standard)
    draft.recipe.dataset.concepts = []
    for concept in standard:
        name = concept.values.text("name")
        path = add_concept(draft, concept.folder, Words("", ""), name, concept.values.name("path"))
        _set_showings(draft, concept, path, times)
        concept.values.set(f"{path}.loss_weight", "loss_weight", concept.values.number("loss_weight", 1.0))
    _set_prior(draft, [one for one in found if one.prior])
    for one in found:
        one.values.report_unread(LEFT, QUIET)
    return Concepts(standard, times)


def _concept(values: Values, files: Files) -> OneConcept | None:
    draft, folder = values.draft, values.text("path")
    kind = values.text("type", "STANDARD").upper()
    if not values.flag("enabled", True):
        draft.note(f"{values.name('path')} is {shown(folder)}: the concept is switched off, so it was left out.")
        return None
    if kind == "VALIDATION":
        draft.note(
            f"{values.name('path')} is {shown(folder)}: a concept for validation, so it was left out. Here pictures "
            "of the concepts themselves are held out: set watch.validation_share and watch.validation_every."
        )
        return None
    if not folder:
        draft.note(f"{values.name('path')} is missing: the concept was left out. Name its folder and import again.")
        return None
    found, inner = path_of(draft, files, folder, values.name("path")), values.flag("include_subdirectories")
    pictures = files.pictures(found)
    if pictures is not None and not inner:
        if any(one.nested for one in pictures):
            draft.note(
                f"{values.name('path')} is {shown(folder)}: pictures in folders inside it are trained here, but not "
                "by OneTrainer (include_subdirectories is off). Move those folders elsewhere."
            )
        pictures = [one for one in pictures if not one.nested]
    return OneConcept(values, found, pictures, _repeats(values, pictures), kind == "PRIOR_PREDICTION")


def _repeats(values: Values, pictures: Sequence[FoundPicture] | None) -> Fraction | None:
    """Return how often an epoch shows each picture; None where a number of samples is set and they can't be counted."""
    balancing = Fraction(str(values.number("balancing", 1.0))).limit_denominator(1000)
    if values.text("balancing_strategy", "REPEATS").upper() != "SAMPLES":
        return balancing
    return Fraction(int(balancing), len(pictures)) if pictures else None


def _times(concepts: Sequence[OneConcept]) -> int:
    """Return by how much an epoch must be longer for all repeats to be whole numbers."""
    times = math.lcm(*(one.repeats.denominator for one in concepts if one.repeats is not None))
    if times == 1 or times > MOST_TIMES:
        return 1
    return times


def _set_showings(draft: Draft, concept: OneConcept, path: str, times: int) -> None:
    """Set a concept's repeats in the longer epoch; a fraction that remains is reported."""
    name = concept.values.name("balancing")
    if concept.repeats is None:
        draft.leave(
            name,
            concept.values.raw("balancing"),
            "this many samples an epoch are shown there. The pictures weren't found here, so they couldn't be "
            f"divided among them. Set {path}.repeats.",
        )
        return
    wanted = concept.repeats * times
    whole = max(round(wanted), 1)
    if wanted != whole:
        draft.leave(
            name, float(concept.repeats), f"repeats are whole numbers here: {whole} was taken. See {path}.repeats."
        )
    set_repeats(draft, f"{path}.repeats", concept.folder, whole, name)


def _set_images(draft: Draft, concepts: Sequence[OneConcept]) -> None:
    """Set what is done with pixels: the first concept's, as here it holds for all."""
    tables = [one.values.table("image") for one in concepts]
    flips = [table.flag("enable_random_flip") for table in tables]
    jitter = [table.flag("enable_crop_jitter", True) for table in tables]
    tables[0].set("dataset.flip", "enable_random_flip", 0.5 if flips[0] else 0.0)
    tables[0].set("dataset.crop", "enable_crop_jitter", "random" if jitter[0] else "center")
    for name, found in (("enable_random_flip", flips), ("enable_crop_jitter", jitter)):
        _differing(draft, tables, name, found)
    for table in tables:
        for name, why in IMAGE_LEFT:
            if table.flag(f"enable_{name}"):
                table.leave(f"enable_{name}", f"{why}. Add altered copies of the pictures if you need them.")
        if table.flag("enable_resolution_override"):
            table.leave("enable_resolution_override", "all pictures have one resolution here. See dataset.resolution.")
        for name in table.values:
            table.raw(name)  # strengths of what was reported


def _set_texts(draft: Draft, concepts: Sequence[OneConcept]) -> None:
    """Set where captions come from and what is done with them: the first concept's, as here it holds for all."""
    tables = [one.values.table("text") for one in concepts]
    sources = [table.text("prompt_source", "sample") for table in tables]
    shuffled = [table.flag("enable_tag_shuffling") for table in tables]
    kept = [table.whole("keep_tags_count", 1) for table in tables]
    tables[0].set("dataset.captions", "prompt_source", "filename" if sources[0] == "filename" else "text")
    tables[0].set("dataset.shuffle_tags", "enable_tag_shuffling", shuffled[0])
    dropout = tables[0].flag("tag_dropout_enable")
    if shuffled[0] or dropout:
        tables[0].set("dataset.keep_tags", "keep_tags_count", kept[0])
    for name, found in (("prompt_source", sources), ("enable_tag_shuffling", shuffled), ("keep_tags_count", kept)):
        _differing(draft, tables, name, found)
    if sources[0] == "concept":
        tables[0].leave(
            "prompt_source",
            "captions aren't drawn from one file of prompts here. Write the prompt to dataset.template, or captions "
            "to text files.",
        )
    if dropout:
        _set_tag_dropout(tables[0])
    for table in tables:
        if table.flag("caps_randomize_enable"):
            table.leave(
                "caps_randomize_enable", "capitals aren't changed at random here. CLIP reads small letters alone."
            )
        if table.text("tag_delimiter", ",").strip() != ",":
            table.leave("tag_delimiter", "tags end at commas here. Replace the delimiter by commas in the captions.")
        for name in table.values:
            table.raw(name)


def _set_tag_dropout(table: Values) -> None:
    mode, chance = table.text("tag_dropout_mode", "FULL").upper(), table.number("tag_dropout_probability", 0.0)
    if mode == "RANDOM":
        table.set("dataset.tag_dropout", "tag_dropout_probability", chance)
    else:
        table.leave(
            "tag_dropout_mode",
            "each tag is left out by itself here (RANDOM). Set dataset.tag_dropout, or dataset.caption_dropout to "
            f"{chance:g} to leave out whole captions.",
        )
    if table.text("tag_dropout_special_tags_mode", "NONE").upper() != "NONE":
        table.leave("tag_dropout_special_tags_mode", "all tags but the first are alike here. See dataset.keep_tags.")


def _differing(draft: Draft, tables: Sequence[Values], name: str, values: Sequence[Any]) -> None:
    for table, value in zip(tables, values, strict=True):
        if value != values[0]:
            draft.note(
                f"{table.name(name)} is {shown(value)}, but {shown(values[0])} in the first concept: here one value "
                "holds for all, and the first was taken. Train the concepts in runs of their own if it matters."
            )
            return


def _set_prior(draft: Draft, concepts: Sequence[OneConcept]) -> None:
    """Set the first prior-prediction concept as the regularization pictures of the first concept."""
    for number, one in enumerate(concepts):
        if number:
            draft.note(
                f"{one.values.name('path')} is {shown(one.folder)}: a second concept of prior prediction was left out."
            )
            continue
        draft.set("dataset.concepts.0.regularization", one.folder, one.values.name("path"), one.folder)
        draft.leave(
            one.values.name("type"),
            "PRIOR_PREDICTION",
            "its pictures became regularization pictures, which are learned as they are, at most as many as "
            "instance pictures. train.class_preservation keeps what the base model answers, without pictures.",
        )


LEFT: dict[str, tuple[Any, str]] = {
    "image_variations": (1, "each showing has its own crop here. No action is needed."),
    "text_variations": (1, "each showing has its own order of tags here. No action is needed."),
}
QUIET = frozenset({"seed", "concept_stats", "name", "__version", "include_subdirectories"})
