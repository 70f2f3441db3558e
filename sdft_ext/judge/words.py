"""The words that a run has trained, each as a prompt with the trigger and one without it: they show what is biased."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..dataset.captions import base_caption, concept_phrase, line, resolved, tags
from ..dataset.folder import read_caption
from ..dataset.links import readable
from ..dataset.listing import list_pictures
from ..recipe import Concept, Recipe
from .prompts import without_trigger

MOST = 40
"""Words in one grid, of all concepts together."""
CAPTIONS = 2000
"""As many captions of a concept are read."""
LONG = 3
"""A tag of more words is taken apart into single ones: it is a sentence."""
SMALL_WORDS = (
    " a an the and or of in on at by to for with without from into over under near behind before its his her their it "
    "is are was be as that this these those there up down out off "
)


@dataclass(frozen=True)
class TrainedWord:
    """A word or tag that ``count`` captions have. ``without``: its prompt without the trigger."""

    word: str
    count: int
    prompt: str
    without: str


def trained_words(recipe: Recipe, most: int = MOST) -> list[TrainedWord]:
    """List the words of the instance captions, the most frequent first. Nothing where no folder can be read, or no
    concept has a trigger.
    """
    found: list[TrainedWord] = []
    concepts = [concept for concept in recipe.dataset.concepts if concept.trigger]
    for concept in concepts:
        counts = words_of(_captions(concept, recipe), concept)
        chosen = counts.most_common(max(most // len(concepts), 1))
        found += [_prompted(word, count, concept) for word, count in chosen]
    return found


def words_of(captions: Sequence[str], concept: Concept) -> Counter[str]:
    """Count in how many captions each word or tag is, but for the trigger, the class word and small words."""
    known = {concept.class_word.lower(), *concept.class_word.lower().split(), *concept.trigger.lower().split()}
    counts: Counter[str] = Counter()
    for caption in captions:
        own: dict[str, None] = {}
        for tag in tags(without_trigger(caption, concept)):
            parts = [word for word in re.findall(r"[^\W_][\w'’-]*", tag) if f" {word.lower()} " not in SMALL_WORDS]
            whole = " ".join(tag.split()).lower()
            own |= dict.fromkeys([whole] if len(parts) <= LONG and len(tags(caption)) > 1 else map(str.lower, parts))
        counts.update(word for word in own if word and word not in known)
    return counts


def _prompted(word: str, count: int, concept: Concept) -> TrainedWord:
    if concept.kind == "style":
        return TrainedWord(word, count, f"{word} {concept_phrase(concept)}", word)
    prompt = f"{concept_phrase(concept)}, {word}"
    plain = without_trigger(prompt, concept)
    # Without a class word, an article stays behind.
    return TrainedWord(word, count, prompt, plain if concept.class_word else word)


def _captions(concept: Concept, recipe: Recipe) -> list[str]:
    folder = Path(concept.instance).expanduser()
    if not concept.instance or not folder.is_dir():
        return []
    listed = list_pictures(folder, readable(recipe.dataset)).pictures[:CAPTIONS]
    texts = [line(*read_caption(one, recipe.dataset, []), None) for one in listed]
    return [resolved(base_caption(concept, text, False, recipe.dataset), recipe.dataset, None) for text in texts]
