"""Prompts by which a concept is judged: with its trigger, and the same without it.

The guide: "one set of control pictures should approach the concept, the other must stay unchanged".
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import TypeVar

from ..dataset.captions import caption as trained_caption
from ..dataset.captions import concept_phrase, line
from ..dataset.folder import Picture, Scan, read_caption
from ..dataset.links import readable
from ..dataset.listing import Listing
from ..recipe import Concept, DatasetRecipe, Recipe
from ..recipe.rules import fields

PROMPTS = 4
"""Prompts of each of the two sets, at least: of more pictures, each is drawn with two seeds."""
CAPTIONS = 64
"""As many captions of a concept are read to choose prompts from, evenly spread over the folder."""
T = TypeVar("T")
_SPACES = re.compile(r"\s+")
_PLACES = ("", "on a beach", "in a garden", "in front of a white wall")
_BRACKETS = (("(", ")"), ("[", "]"), ("{", "}"))
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
    """Propose up to ``count`` prompts with the trigger, in turn captions of the instance pictures and new ones: parts
    of two captions, ``regularization`` captions with the concept in them, and the trigger in some places. What was
    learned shows in new prompts, what was copied in captions. Empty where there is no trigger to call the concept by.
    """
    if not concept.trigger:
        return []
    named = [one for one in captions if calls(one, concept)]
    phrase, made = concept_phrase(concept), _new_captions(named, concept)
    called = [one for text in regularization if (one := _with_concept(text, concept)) and one not in (*named, *made)]
    if concept.kind == "style":
        places = [f"{motif} {phrase}" for motif in _MOTIFS]
    else:
        places = [f"{phrase} {place}".strip() for place in _PLACES]
    half = count // 2
    new = _in_turn(spread(made, half // 2) if called else made, spread(called, half))
    new = spread(new, half) if len(new) >= half else [*new, *places[1:]][:half]
    found = _in_turn(spread(named, count - len(new)), new)
    return list(dict.fromkeys([*found, *places]))[:count]


def _in_turn(*lists: Sequence[str]) -> list[str]:
    return [one for several in zip_longest(*lists) for one in several if one is not None]


def _with_concept(caption: str, concept: Concept) -> str:
    """Put the concept into a caption without it: a subject in the class word's place, a style at the end; empty where
    that word isn't in it.

    >>> _with_concept("a dog on a beach", Concept(trigger="sks", class_word="dog"))
    'a sks dog on a beach'
    """
    if concept.kind == "style":
        return f"{caption.rstrip('. ')} {concept_phrase(concept)}" if caption else ""
    class_word = concept.class_word and re.search(_phrase(concept.class_word), caption, re.IGNORECASE)
    if not class_word:
        return ""
    whole = re.search(_phrase(concept.class_word), concept.trigger, re.IGNORECASE)
    end = class_word.end() if whole else class_word.start()
    return f"{caption[: class_word.start()]}{concept.trigger}{'' if whole else ' '}{caption[end:]}"


def _new_captions(captions: Sequence[str], concept: Concept) -> list[str]:
    """Put the beginning of each caption before the end of one half of the folder away: what stands before the trigger,
    or of tags the first half. Those that are captions already are left out, and those with half a bracket.

    >>> _new_captions(["a red sks dog at home", "a wet sks dog outside"], Concept(trigger="sks", class_word="dog"))
    ['a red sks dog outside', 'a wet sks dog at home']
    >>> _new_captions(["sks, red, sofa, day", "sks, wet, road, night"], Concept(trigger="sks"))
    ['sks, red, road, night', 'sks, wet, sofa, day']
    """
    trigger = re.compile(_phrase(concept.trigger), re.IGNORECASE)
    different = list(dict.fromkeys(captions))
    halves = [_halves(one, found.start()) for one in different if (found := trigger.search(one))]
    away = len(halves) // 2
    others = [*halves[away:], *halves[:away]]
    made = [begin + end for (begin, _), (_, end) in zip(halves, others, strict=True)]
    return [one for one in dict.fromkeys(made) if one not in different and calls(one, concept) and _whole(one)]


def _whole(text: str) -> bool:
    """Tell whether brackets are closed, such as those of a weighted word."""
    return all(text.count(opened) == text.count(closed) for opened, closed in _BRACKETS)


def _halves(caption: str, trigger: int) -> tuple[str, str]:
    """Split a caption before its trigger; where it begins with that, in the middle of its tags."""
    if trigger:
        return caption[:trigger], caption[trigger:]
    parts = caption.split(",")
    middle = (len(parts) + 1) // 2
    return ",".join(parts[:middle]), "".join(f",{part}" for part in parts[middle:])


def bleeding_prompts(
    concept: Concept, prompts: Sequence[str], count: int = PROMPTS, regularization: Sequence[str] = ()
) -> list[str]:
    """Propose up to ``count`` prompts without the trigger, in which nothing may change: in turn those of the concept
    without it and ``regularization`` captions, and no words at all.
    """
    found = list(dict.fromkeys(without_trigger(prompt, concept) for prompt in prompts))
    others = [one for one in dict.fromkeys(regularization) if one and one not in found]
    others = spread(others, (count - 1) // 2)
    pairs = _in_turn(spread(found, count - 1 - len(others)), others)
    return list(dict.fromkeys([*pairs[:2], "", *pairs[2:]]))


def captions(
    concept: Concept, recipe: DatasetRecipe, regularization: bool = False, pictures: Sequence[Picture] | None = None
) -> list[str]:
    """Return some captions of a concept's instance (or ``regularization``) pictures, as they are trained on: of the
    scanned ``pictures``, or else read from the folder. None where it can't be read: preparing the dataset says why.
    """
    if pictures is None:
        texts = _read(concept, recipe, regularization)
    else:
        texts = [line(one.caption, one.lines, None) for one in spread(pictures, CAPTIONS)]
    return [trained_caption(concept, text, regularization, recipe, None) for text in texts]


def _read(concept: Concept, recipe: DatasetRecipe, regularization: bool) -> list[str]:
    named, other = concept.instance, concept.regularization
    if regularization:
        named, other = other, named
    folder = Path(named).expanduser()
    if not named or not folder.is_dir():
        return []
    excluded = [os.path.realpath(os.path.expanduser(other))] if other else []
    listed = Listing(folder, readable(recipe), excluded).pictures
    return [line(*read_caption(one, recipe, []), None) for one in spread(listed, CAPTIONS)]


def propose(recipe: Recipe, found: Scan | None = None) -> Recipe:
    """Return the recipe with prompts for its control pictures, where it has none of a set and
    ``watch.propose_prompts`` is on: captions of each concept's pictures and new ones of their parts, and the same
    without the trigger, with captions of regularization pictures.

    ``found``: the scan of its dataset, where there is one; else the captions are read.
    """
    watch, concepts = recipe.watch, recipe.dataset.concepts
    called = [number for number, concept in enumerate(concepts) if concept.trigger]
    if not called or not watch.propose_prompts or (watch.concept_prompts and watch.bleeding_prompts):
        return recipe
    count = max(PROMPTS, watch.pictures // 2)
    of_each = -(-count // len(called))
    with_it, without = [], []
    for number in called:
        own, others = (_captions(recipe, number, regularization, found) for regularization in (False, True))
        # A caption that calls another concept is none of what must stay as it is.
        others = [text for text in others if not any(calls(text, concept) for concept in concepts)]
        prompts = concept_prompts(concepts[number], own, of_each, others)
        plain = [_without(prompt, concepts) for prompt in prompts]
        with_it.append(prompts)
        without.append(bleeding_prompts(concepts[number], plain, of_each, others))
    most = max(count, len(called))
    proposed = replace(
        watch,
        concept_prompts=watch.concept_prompts or list(dict.fromkeys(_in_turn(*with_it)))[:most],
        bleeding_prompts=watch.bleeding_prompts or list(dict.fromkeys(_in_turn(*without)))[:most],
    )
    return replace(recipe, watch=proposed)


def _captions(recipe: Recipe, number: int, regularization: bool, found: Scan | None) -> list[str]:
    pictures = None
    if found is not None:
        pictures = [one for one in found.pictures if (one.concept, one.regularization) == (number, regularization)]
    return captions(recipe.dataset.concepts[number], recipe.dataset, regularization, pictures)


def _without(prompt: str, concepts: Sequence[Concept]) -> str:
    """Take the triggers of all concepts out of a prompt."""
    for concept in concepts:
        prompt = without_trigger(prompt, concept)
    return prompt
