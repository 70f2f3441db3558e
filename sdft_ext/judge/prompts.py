"""Prompts by which a concept is judged: with its trigger, and the same without it.

The guide: "one set of control pictures should approach the concept, the other must stay unchanged".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import TypeVar

from ..dataset.captions import base_caption, concept_phrase, line, resolved
from ..dataset.folder import read_caption
from ..dataset.links import readable
from ..dataset.listing import list_pictures
from ..recipe import Concept, DatasetRecipe, Recipe
from ..recipe.rules import fields

PROMPTS = 4
"""Prompts of each of the two sets, at least: of more pictures, each is drawn with two seeds."""
CAPTIONS = 64
"""As many captions of a concept are read to choose prompts from, evenly spread over the folder."""
T = TypeVar("T")
_SPACES = re.compile(r"\s+")
_PLACES = ("", "on a beach", "in a garden", "in front of a white wall")
_MOTIFS = ("a house", "a cat", "a tree", "a portrait of a woman")


def without_trigger(prompt: str, concept: Concept) -> str:
    """Take the trigger out of a prompt: the class word stands in its place, where it has one.

    >>> without_trigger("a sks dog on a beach", Concept(trigger="sks", class_word="dog"))
    'a dog on a beach'
    >>> without_trigger("sks, red tie", Concept(trigger="sks", class_word="dog"))
    'dog, red tie'
    """
    if not concept.trigger:
        return prompt
    phrase = _phrase(concept.trigger)
    if concept.class_word:
        following = rf"{phrase}(?:\s+{re.escape(concept.class_word)}(?!\w))?"
        prompt = re.sub(following, lambda _: concept.class_word, prompt, flags=re.IGNORECASE)
    else:
        prompt = re.sub(phrase, "", prompt, flags=re.IGNORECASE)
    return _SPACES.sub(" ", prompt).replace(" ,", ",").strip(" ,")


def calls(prompt: str, concept: Concept) -> bool:
    """Return whether a prompt has the concept's trigger, as a word of its own."""
    return bool(concept.trigger) and re.search(_phrase(concept.trigger), prompt, re.IGNORECASE) is not None


def _phrase(words: str) -> str:
    """Return a pattern for words that stand by themselves; in scripts without spaces, such as Chinese, for any."""
    ends = [r"(?<!\w)" if _spaced(words[0]) else "", r"(?!\w)" if _spaced(words[-1]) else ""]
    return re.escape(words).join(ends)


def _spaced(letter: str) -> bool:
    """Tell whether words of the letter's script are written apart."""
    return ord(letter) < 0x2E80


def why_not_judged(recipe: Recipe) -> str:
    """Say why a recipe's run can't be judged, whatever it draws; empty where it can be.

    What a run continues from must not count as what it isn't to draw.
    """
    if not recipe.watch.judge:
        return "Judging was off (watch.judge)."
    if any(field.path.endswith(".continue_from") and field.value for field in fields(recipe)):
        return "It continues from a save, whose pictures show the concept already."
    if not recipe.dataset.concepts or not all(concept.trigger for concept in recipe.dataset.concepts):
        return "A concept has no trigger."
    return ""


def spread(values: Sequence[T], count: int) -> list[T]:
    """Choose at most ``count`` different values, evenly spread over their order."""
    different = list(dict.fromkeys(values))
    if len(different) <= count:
        return different
    return [different[round(i * (len(different) - 1) / max(count - 1, 1))] for i in range(count)]


def concept_prompts(
    concept: Concept, captions: Sequence[str], count: int = PROMPTS, regularization: Sequence[str] = ()
) -> list[str]:
    """Propose up to ``count`` prompts with the trigger, in turn captions of the instance pictures and new ones, made of
    one caption's beginning and another one's end, and of ``regularization`` captions with the concept in them: what was
    learned shows in new prompts, what was copied in captions. Where there are too few, the trigger in some places;
    empty where there is no trigger to call the concept by.
    """
    if not concept.trigger:
        return []
    named = [one for one in captions if calls(one, concept)]
    phrase, made = concept_phrase(concept), _new_captions(named, concept)
    called = [one for text in regularization if (one := _with_concept(text, concept)) and one not in (*named, *made)]
    new = spread(_in_turn(spread(made, count // 4) if called else made, spread(called, count // 2)), count // 2)
    found = _in_turn(spread(named, count - len(new)), new)
    if concept.kind == "style":
        others = [f"{motif} {phrase}" for motif in _MOTIFS]
    else:
        others = [f"{phrase} {place}".strip() for place in _PLACES]
    return [*found, *(one for one in others if one not in found)][:count]


def _in_turn(some: Sequence[str], others: Sequence[str]) -> list[str]:
    return [one for pair in zip_longest(some, others) for one in pair if one is not None]


def _with_concept(caption: str, concept: Concept) -> str:
    """Put the concept into a caption without it: a subject in the class word's place, a style at the end; empty where
    that word isn't in it.

    >>> _with_concept("a dog on a beach", Concept(trigger="sks", class_word="dog"))
    'a sks dog on a beach'
    """
    if concept.kind == "style":
        return f"{caption} {concept_phrase(concept)}" if caption else ""
    class_word = concept.class_word and re.search(_phrase(concept.class_word), caption, re.IGNORECASE)
    if not class_word:
        return ""
    return f"{caption[: class_word.start()]}{concept.trigger} {caption[class_word.start() :]}"


def _new_captions(captions: Sequence[str], concept: Concept) -> list[str]:
    """Put the beginning of each caption, to the trigger, before the end of one half of the folder away; those that are
    captions already are left out.

    >>> _new_captions(["a red sks dog at home", "a wet sks dog outside"], Concept(trigger="sks", class_word="dog"))
    ['a red sks dog outside', 'a wet sks dog at home']
    """
    if not concept.trigger:
        return []
    trigger = re.compile(_phrase(concept.trigger), re.IGNORECASE)
    different = list(dict.fromkeys(captions))
    begins = [one[: found.start()] for one in different if (found := trigger.search(one))]
    ends = [one[found.start() :] for one in different if (found := trigger.search(one))]
    half = len(ends) // 2
    made = [begin + end for begin, end in zip(begins, [*ends[half:], *ends[:half]], strict=True)]
    return [one for one in dict.fromkeys(made) if one not in different]


def bleeding_prompts(
    concept: Concept, prompts: Sequence[str], count: int = PROMPTS, regularization: Sequence[str] = ()
) -> list[str]:
    """Propose up to ``count`` prompts without the trigger, in which nothing may change: in turn those of the concept
    without it and ``regularization`` captions, and no words at all.
    """
    found = list(dict.fromkeys(without_trigger(prompt, concept) for prompt in prompts))
    others = [one for one in dict.fromkeys(regularization) if one and one not in found]
    others = spread(others, (count - 1) // 2)
    known = spread(found, count - 1 - len(others))
    pairs = _in_turn(known, others)
    return list(dict.fromkeys([*pairs[:2], "", *pairs[2:]]))


def captions(concept: Concept, recipe: DatasetRecipe, regularization: bool = False) -> list[str]:
    """Read some captions of a concept's instance (or ``regularization``) pictures, as they are trained on; none where
    the folder can't be read: preparing the dataset says why.
    """
    named = concept.regularization if regularization else concept.instance
    folder = Path(named).expanduser()
    if not named or not folder.is_dir():
        return []
    listed = list_pictures(folder, readable(recipe)).pictures
    texts = [line(*read_caption(one, recipe, []), None) for one in spread(listed, CAPTIONS)]
    return [resolved(base_caption(concept, text, regularization, recipe), recipe, None) for text in texts]


def propose(recipe: Recipe) -> Recipe:
    """Return the recipe with prompts for its control pictures, where it has none of a set and
    ``watch.propose_prompts`` is on: captions of each concept's pictures and new ones of their parts, and the same
    without the trigger beside captions of regularization pictures.
    """
    watch, concepts = recipe.watch, recipe.dataset.concepts
    if not watch.propose_prompts or (watch.concept_prompts and watch.bleeding_prompts):
        return recipe
    count = max(PROMPTS, watch.pictures // 2)
    of_each = max(count // max(len(concepts), 1), 1)
    known = [(captions(one, recipe.dataset), captions(one, recipe.dataset, regularization=True)) for one in concepts]
    called = [
        spread(concept_prompts(one, own, count, others), of_each)
        for one, (own, others) in zip(concepts, known, strict=True)
    ]
    with_it = watch.concept_prompts or [prompt for prompts in called for prompt in prompts]
    without = watch.bleeding_prompts or [
        text
        for one, prompts, (_, others) in zip(concepts, called, known, strict=True)
        for text in bleeding_prompts(one, prompts, count, others)
    ]
    if not with_it:
        return recipe
    without = list(dict.fromkeys(without))
    return replace(recipe, watch=replace(watch, concept_prompts=with_it, bleeding_prompts=without))
