"""What a picture's caption becomes each time it is shown: a pure function of caption, recipe and generator."""

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
    """The caption before chance: filled into the template (instance pictures only).

    A picture without a caption gets the concept's own words: trigger and class word, as DreamBooth's instance prompt;
    a regularization picture the class word alone.
    """
    if regularization:
        return caption or concept.class_word
    words = caption or (concept.class_word if recipe.template else f"{concept.trigger} {concept.class_word}")
    if recipe.template:
        words = re.sub(
            r"\[(name|filewords)\]",
            lambda match: concept.trigger if match[1] == "name" else words,  # one pass: a caption may hold "[name]"
            recipe.template,
        )
    return _tidy(words)


def caption(
    concept: Concept, caption: str, regularization: bool, recipe: DatasetRecipe, rng: np.random.Generator | None
) -> str:
    """The caption of one showing: template, tags dropped and shuffled (the first ``keep_tags`` stay as they are),
    prefix and suffix (instance pictures only), and with a dropout of its kind none at all.

    Without ``rng`` nothing is left to chance: no shuffle, no dropout.
    """
    text = base_caption(concept, caption, regularization, recipe)
    # Always drawn, so that one setting doesn't move another's chances.
    dropout = recipe.regularization_caption_dropout if regularization else recipe.caption_dropout
    dropped = rng is not None and rng.random() < dropout
    if rng is not None and (recipe.shuffle_tags or recipe.tag_dropout > 0):
        text = ", ".join(_chosen_tags(tags(text), recipe, rng))
    if not regularization:
        text = _tidy(f"{recipe.prefix} {text} {recipe.suffix}")
    return "" if dropped else text


def tags(text: str) -> list[str]:
    """The comma-separated tags, without empty ones."""
    return [tag for part in text.split(",") if (tag := part.strip())]


def varies(recipe: DatasetRecipe) -> bool:
    """Whether showings of one picture may differ in their words (an empty caption aside)."""
    return recipe.shuffle_tags or recipe.tag_dropout > 0


def _chosen_tags(all_tags: list[str], recipe: DatasetRecipe, rng: np.random.Generator) -> list[str]:
    kept, rest = all_tags[: recipe.keep_tags], all_tags[recipe.keep_tags :]
    stays = rng.random(len(rest)) >= recipe.tag_dropout
    rest = [tag for tag, stay in zip(rest, stays, strict=True) if stay]
    if recipe.shuffle_tags:
        rest = [rest[int(i)] for i in rng.permutation(len(rest))]
    return kept + rest


def _tidy(text: str) -> str:
    """One space between words, none before commas, no empty tags, no comma at the ends."""
    text = _SPACE_BEFORE_COMMA.sub(",", _SPACES.sub(" ", text))
    return _EMPTY_TAGS.sub(",", text).strip(" ,")
