"""The vectors of new words, as textual inversion and pivotal tuning train them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import median

import torch
from torch import Tensor, nn

from ..formats import embedding
from ..formats.family import Family
from ..model.base import Model
from ..model.text import tokens
from ..model.trained_tokens import Words, base_table
from ..randomness import generator
from ..recipe import Recipe
from .base import MethodError


def words_of(recipe: Recipe) -> dict[str, str]:
    """Word → the words that it begins as: what the recipe names, else each concept's trigger and class word.

    Raises MethodError where there is none, and where two would have one file.
    """
    named = {word.strip(): first.strip() for word, first in recipe.method.embedding.words.items() if word.strip()}
    if not named:
        concepts = recipe.dataset.concepts
        named = {one.trigger.strip(): one.class_word.strip() for one in concepts if one.trigger.strip()}
    if not named:
        raise MethodError(
            "There is no word to train: give the concept a trigger (dataset.concepts.0.trigger), or name words in "
            "method.embedding.words."
        )
    files: dict[str, str] = {}
    for word in named:
        other = files.setdefault(in_file_name(word).casefold(), word)
        # Words that are read alike are refused where they are put in.
        if other.casefold() != word.casefold():
            raise MethodError(
                f"The words {other!r} and {word!r} would have files of one name: choose another for one of them."
            )
    return named


def vector_numbers(recipe: Recipe, family: Family) -> int:
    """Count the numbers of the new words' vectors; 0 where there is no word."""
    named = [word for word in recipe.method.embedding.words if word.strip()]
    words = len(named or [one.trigger for one in recipe.dataset.concepts if one.trigger.strip()])
    return words * recipe.method.embedding.vectors * sum(int(text["hidden_size"]) for text in family.text)


def in_file_name(word: str) -> str:
    """The word without what can't be in a file's name."""
    return "".join(letter for letter in word if letter.isalnum() or letter in "._- ").strip(" .") or "word"


class LearnedVectors:
    """New words in a model, begun as the recipe says. Raises MethodError or ModelError; the model is then unchanged."""

    def __init__(self, model: Model, recipe: Recipe) -> None:
        self.recipe = recipe
        names, settings = words_of(recipe), recipe.method.embedding
        if settings.continue_from and recipe.method.name == "textual_inversion":
            if len(names) > 1:
                raise MethodError(
                    "method.embedding.continue_from is the file of one word, but several are trained: name one word only."
                )
            first = {word: embedding.read(settings.continue_from, len(model.text_encoders)) for word in names}
        else:
            held = _held(model, recipe)
            first = {
                word: held[word] if word in held else first_vectors(model, word, begin, recipe)
                for word, begin in names.items()
            }
        self.lengths = [median(base_table(encoder).float().norm(dim=1).tolist()) for encoder in model.text_encoders]
        self.words = Words(model, first)

    def remove(self) -> None:
        self.words.remove()

    def parameters(self) -> list[nn.Parameter]:
        return [value for values in self.words.vectors().values() for value in values]

    def tensors(self) -> dict[str, nn.Parameter]:
        """By the word and the number of the text encoder."""
        found = self.words.vectors().items()
        return {f"word {word}.{number}": value for word, values in found for number, value in enumerate(values)}

    @torch.no_grad()
    def pull(self) -> None:
        """Move each vector's length by a share of the way to the middle length of the base's own words."""
        share = self.recipe.method.embedding.norm_pull
        if not share:
            return
        for values in self.words.vectors().values():
            for value, wanted in zip(values, self.lengths, strict=True):
                length = value.norm(dim=1, keepdim=True).clamp_min(1e-12)
                value.mul_(1 + share * (wanted / length - 1))


def _held(model: Model, recipe: Recipe) -> dict[str, list[Tensor]]:
    """Words in the LoRA file that pivotal tuning goes on with."""
    path = recipe.method.lora.continue_from if recipe.method.name == "pivotal" else ""
    return embedding.bundled(Path(path), len(model.text_encoders)) if path else {}


def first_vectors(model: Model, word: str, begin: str, recipe: Recipe) -> list[Tensor]:
    """Float32 [n, D] for each text encoder: those of the words in ``begin``, spread over the vectors as the WebUI does.

    Where there are none, draws about the mean of all the base's words, as wide as they are spread.
    """
    count, found = recipe.method.embedding.vectors, []
    for number, (encoder, tokenizer) in enumerate(zip(model.text_encoders, model.tokenizers, strict=True)):
        table = base_table(encoder).detach()
        ids = tokens(tokenizer, begin)[:count]
        if ids:
            found.append(torch.stack([table[ids[i * len(ids) // count]] for i in range(count)]).float().cpu())
            continue
        mean, spread = table.float().mean(0).cpu(), table.float().std(0).cpu()
        draws = generator(recipe.train.seed, f"word {word}", number)
        found.append(mean + spread * torch.randn((count, len(mean)), generator=draws))
    return found


@torch.no_grad()
def weakened(model: Model, vectors: list[Tensor], weight: float) -> list[Tensor]:
    """Vectors at a weight: 1 as they are, 0 the mean of all the base's words, which says nothing."""
    if weight == 1.0:
        return vectors
    means = [base_table(encoder).float().mean(0).cpu() for encoder in model.text_encoders]
    return [mean + weight * (value - mean) for mean, value in zip(means, vectors, strict=True)]


def load(own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> None:
    """Copy a state's values in. Raises MethodError where names or shapes differ."""
    for name in sorted(own.keys() | state.keys()):
        if name not in own or name not in state or state[name].shape != own[name].shape:
            raise MethodError(f"The saved state doesn't fit this recipe at {name}: it is another run's.")
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(state[name])
