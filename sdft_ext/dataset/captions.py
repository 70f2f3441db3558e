"""The caption of each showing of a picture: a pure function of caption, recipe and generator."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..recipe import Concept, DatasetRecipe

if TYPE_CHECKING:
    import numpy as np

_SPACES = re.compile(r"\s+")
_SPACE_BEFORE_COMMA = re.compile(r"\s+,")
_EMPTY_TAGS = re.compile(r",(?:\s*,)+")


def base_caption(concept: Concept, caption: str, regularization: bool, recipe: DatasetRecipe) -> str:
    """Return the caption before any draw: filled into the template (instance pictures only).

    A picture without a caption gets the trigger and the class word, as DreamBooth's instance prompt; a regularization
    picture the class word alone.
    """
    if regularization:
        return caption or concept.class_word
    text = caption or (concept.class_word if recipe.template else f"{concept.trigger} {concept.class_word}")
    if recipe.template:
        text = re.sub(
            r"\[(name|filewords)\]",
            lambda match: concept.trigger if match[1] == "name" else text,  # one pass: a caption may contain "[name]"
            recipe.template,
        )
    return _tidy(text)


def caption(
    concept: Concept, caption: str, regularization: bool, recipe: DatasetRecipe, rng: np.random.Generator | None
) -> str:
    """Return the caption of one showing: from the template, with tags dropped and shuffled (except the first
    ``keep_tags``), with prefix and suffix (instance pictures only), or empty by caption dropout.

    Without ``rng``, nothing is shuffled or dropped.
    """
    text = base_caption(concept, caption, regularization, recipe)
    # Always drawn, so that one setting doesn't change another's draws.
    dropout = recipe.regularization_caption_dropout if regularization else recipe.caption_dropout
    dropped = rng is not None and rng.random() < dropout
    if rng is not None and (recipe.shuffle_tags or recipe.tag_dropout > 0):
        text = ", ".join(_chosen_tags(tags(text), recipe, rng))
    if not regularization:
        text = _tidy(f"{recipe.prefix} {text} {recipe.suffix}")
    return "" if dropped else text


def tags(text: str) -> list[str]:
    """Split a caption at its commas into tags, without empty ones."""
    return [tag for part in text.split(",") if (tag := part.strip())]


def varies(recipe: DatasetRecipe) -> bool:
    """Return whether captions of one picture differ between showings, caption dropout aside."""
    return recipe.shuffle_tags or recipe.tag_dropout > 0


def _chosen_tags(all_tags: list[str], recipe: DatasetRecipe, rng: np.random.Generator) -> list[str]:
    kept, rest = all_tags[: recipe.keep_tags], all_tags[recipe.keep_tags :]
    stays = rng.random(len(rest)) >= recipe.tag_dropout
    rest = [tag for tag, stay in zip(rest, stays, strict=True) if stay]
    if recipe.shuffle_tags:
        rest = [rest[int(i)] for i in rng.permutation(len(rest))]
    return kept + rest


def _tidy(text: str) -> str:
    """Normalize a caption: one space between words, none before commas, no empty tags, no comma at the ends."""
    text = _SPACE_BEFORE_COMMA.sub(",", _SPACES.sub(" ", text))
    return _EMPTY_TAGS.sub(",", text).strip(" ,")
