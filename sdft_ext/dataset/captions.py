"""The caption of each showing of a picture: a pure function of caption, recipe and generator."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..recipe import Concept, DatasetRecipe

if TYPE_CHECKING:
    import numpy as np

_SPACES = re.compile(r"\s+")
_SPACE_BEFORE_COMMA = re.compile(r"\s+,")
_EMPTY_TAGS = re.compile(r",(?:\s*,)+")


_CHOICE = re.compile(r"\{([^{}]*\|[^{}]*)\}")
_BRACES = {"{{": "\ue000", "}}": "\ue001"}
"""Stand-ins for plain braces while wildcards are read."""


def line(text: str, lines: Sequence[str], choice: np.random.Generator | None) -> str:
    """Return one of the ``lines``, or ``text`` where there are none; the first without ``choice``."""
    return _one_of(lines, choice) if lines else text


def resolved(text: str, recipe: DatasetRecipe, choice: np.random.Generator | None) -> str:
    """Return a text with one word of each of its wildcards, the first without ``choice``; as it is where they are off.

    They are kohya's (``enable_wildcard``): ``{a|b}``, not within each other, and ``{{`` and ``}}`` for braces.
    """
    if not recipe.wildcards or "{" not in text:
        return text
    for braces, stand_in in _BRACES.items():
        text = text.replace(braces, stand_in)
    text = _CHOICE.sub(lambda match: _one_of(match[1].split("|"), choice), text)
    for braces, stand_in in _BRACES.items():
        text = text.replace(stand_in, braces[0])
    return text


def offers_choice(concept: Concept, text: str, lines: Sequence[str], recipe: DatasetRecipe) -> bool:
    """Return whether the caption of a picture is chosen anew each time that it is shown."""
    texts = (text, recipe.template, recipe.prefix, recipe.suffix, concept.trigger, concept.class_word)
    return bool(lines) or (recipe.wildcards and any("{" in one for one in texts))


def _one_of(texts: Sequence[str], choice: np.random.Generator | None) -> str:
    return texts[0 if choice is None else int(choice.integers(len(texts)))]


def concept_phrase(concept: Concept) -> str:
    """Call a concept in a prompt: "a sks dog", or, after what it is a style of, "in sks style"."""
    if concept.kind == "style":
        return concept.trigger if concept.trigger.startswith(("in ", "by ")) else f"in {concept.trigger} style"
    return f"a {concept.trigger} {concept.class_word}".strip()


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
    concept: Concept,
    caption: str,
    regularization: bool,
    recipe: DatasetRecipe,
    rng: np.random.Generator | None,
    choice: np.random.Generator | None = None,
) -> str:
    """Return the caption of one showing: from the template, with tags dropped and shuffled (except the first
    ``keep_tags``), with prefix and suffix (instance pictures only), or empty by caption dropout.

    Without ``rng``, nothing is shuffled or dropped. ``choice`` chooses the words of wildcards: a generator of its own,
    so that a wildcard doesn't change the other draws.
    """
    text = resolved(base_caption(concept, caption, regularization, recipe), recipe, choice)
    # Always drawn, so that one setting doesn't change another's draws.
    dropout = recipe.regularization_caption_dropout if regularization else recipe.caption_dropout
    dropped = rng is not None and rng.random() < dropout
    if rng is not None and (recipe.shuffle_tags or recipe.tag_dropout > 0):
        text = ", ".join(_chosen_tags(tags(text), recipe, rng))
    if not regularization:
        prefix, suffix = (resolved(part, recipe, choice) for part in (recipe.prefix, recipe.suffix))
        text = _tidy(f"{prefix} {text} {suffix}")
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
