"""Prior preservation without pictures: the base model's own predictions are targets beside the dataset's pictures.

For a noisy picture x_t with a caption, c is the caption with the class word in place of the trigger (and, in place of a
new word, the text that it was initialized with), ∅ the empty prompt:

    w_class · λ(t) · |ε_trained(x_t, t, c) − ε_base(x_t, t, c)|²  +  w_blank · λ(t) · |ε_trained(x_t, t, ∅) −
    ε_base(x_t, t, ∅)|²

(differential output preservation and blank-prompt preservation, as in ostris' ai-toolkit; the idea is DreamBooth's
prior preservation, Ruiz 2022.) λ is the loss's own weight of the timestep.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..method.base import Method, MethodError, Removable
from ..model.base import Conditioning
from ..recipe import WORDS, Concept, Recipe

Encode = Callable[[Sequence[str]], Conditioning]
Predict = Callable[[Tensor, Tensor, Conditioning], Tensor]
"""(noisy latents [B, C, h, w], timesteps [B], prompts) → the model's prediction [B, C, h, w]."""


@dataclass(frozen=True)
class Prior:
    """The terms of a recipe. ``weights`` [1000]: λ."""

    recipe: Recipe
    method: Removable
    weights: Tensor

    def loss(self, noisy: Tensor, times: Tensor, captions: Sequence[str], encode: Encode, predict: Predict) -> Tensor:
        """Add up the terms, each a mean over pictures and elements, with gradients."""
        total = noisy.new_zeros((), dtype=torch.float32)
        timestep_weights = self.weights.to(times.device)[times].to(noisy.device)
        for weight, prompts in self.terms(captions):
            with torch.no_grad(), self.method.without():
                wanted = predict(noisy, times, encode(prompts)).float()
            answer = predict(noisy, times, encode(prompts)).float()
            distances = ((answer - wanted) ** 2).flatten(1).mean(1)
            total = total + weight * (distances * timestep_weights).mean()
        return total

    def terms(self, captions: Sequence[str]) -> Iterator[tuple[float, list[str]]]:
        """Yield the weight of each term, with the prompts that stand in for the captions."""
        train = self.recipe.train
        if train.class_preservation:
            plain = [*self.recipe.dataset.concepts]
            if self.recipe.method.name in WORDS:
                words = self.recipe.method.embedding.words.items()
                plain += [Concept(trigger=word, class_word=begin) for word, begin in words]
            yield train.class_preservation, [without_triggers(caption, plain) for caption in captions]
        if train.blank_preservation:
            yield train.blank_preservation, [""] * len(captions)


def prior(recipe: Recipe, method: Method, weights: Tensor) -> Prior | None:
    """Make the prior of a recipe, None where it asks for no term. Raises MethodError where the method can't be switched
    off.
    """
    train = recipe.train
    if not train.class_preservation and not train.blank_preservation:
        return None
    if not isinstance(method, Removable):
        raise MethodError(
            "train.class_preservation and train.blank_preservation need the base model's own predictions, which "
            f"method.name={recipe.method.name} can't give: set both to 0, or set method.name to lora."
        )
    return Prior(recipe, method, weights)


def without_triggers(caption: str, concepts: Sequence[Concept]) -> str:
    """Replace each trigger by its class word; a class word that then stands twice in a row is kept once.

    >>> without_triggers("a red sks shape", [Concept(trigger="sks", class_word="shape")])
    'a red shape'
    """
    for concept in concepts:
        trigger, word = concept.trigger.strip(), concept.class_word.strip()
        if not trigger:
            continue
        caption = re.sub(rf"(?<!\w){re.escape(trigger)}(?!\w)", lambda _, word=word: word, caption, flags=re.IGNORECASE)  # type: ignore[misc]
        if word:
            twice = re.compile(rf"(?<!\w){re.escape(word)}(\s+{re.escape(word)}(?!\w))+", re.IGNORECASE)
            caption = twice.sub(lambda _, word=word: word, caption)  # type: ignore[misc]
    return re.sub(r" {2,}", " ", caption).strip()
