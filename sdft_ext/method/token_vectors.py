"""The vectors of new words, as textual inversion and pivotal tuning train them."""

from __future__ import annotations

from pathlib import Path
from statistics import median

import torch
from torch import Tensor, nn

from ..formats import embedding
from ..formats.family import Family
from ..model.base import Model
from ..model.text import tokens
from ..model.trained_tokens import TrainedTokens, base_table
from ..randomness import generator
from ..recipe import Recipe
from .base import MethodError


def words_of(recipe: Recipe) -> dict[str, str]:
    """Map each new word to the words whose vectors it begins with: the recipe's, else each concept's trigger and class
    word.

    Raises MethodError if there is none, or if two would have the same file.
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
        # TrainedTokens that are tokenized alike are refused where they are put in.
        if other.casefold() != word.casefold():
            raise MethodError(
                f"The words {other!r} and {word!r} would be saved under the same file name: rename one of them."
            )
    return named


def vector_numbers(recipe: Recipe, family: Family) -> int:
    """Count the numbers of the new words' vectors; 0 where there is no word."""
    named = [word for word in recipe.method.embedding.words if word.strip()]
    words = len(named or [one.trigger for one in recipe.dataset.concepts if one.trigger.strip()])
    return words * recipe.method.embedding.vectors * sum(int(text["hidden_size"]) for text in family.text)


def in_file_name(word: str) -> str:
    """Return the word without characters that a file's name can't have."""
    return "".join(letter for letter in word if letter.isalnum() or letter in "._- ").strip(" .") or "word"


class LearnedVectors:
    """New words in a model, begun as the recipe says. Raises MethodError or ModelError; the model is unchanged then."""

    def __init__(self, model: Model, recipe: Recipe) -> None:
        self.recipe = recipe
        names, settings = words_of(recipe), recipe.method.embedding
        if settings.continue_from and recipe.method.name == "textual_inversion":
            if len(names) > 1:
                raise MethodError(
                    "method.embedding.continue_from is the file of one word, but several are trained: name only one "
                    "word."
                )
            first = {word: embedding.read(settings.continue_from, len(model.text_encoders)) for word in names}
        else:
            continued = _continued(model, recipe)
            first = {
                word: continued[word] if word in continued else first_vectors(model, word, begin, recipe)
                for word, begin in names.items()
            }
        self.lengths = [median(base_table(encoder).float().norm(dim=1).tolist()) for encoder in model.text_encoders]
        self.words = TrainedTokens(model, first)

    def remove(self) -> None:
        self.words.remove()

    def parameters(self) -> list[nn.Parameter]:
        return [value for values in self.words.vectors().values() for value in values]

    def tensors(self) -> dict[str, nn.Parameter]:
        """Return the vectors, named by the word and the number of the text encoder."""
        found = self.words.vectors().items()
        return {f"word {word}.{number}": value for word, values in found for number, value in enumerate(values)}

    @torch.no_grad()
    def pull(self) -> None:
        """Move each vector's length part of the way to the median length of the base's own words."""
        share = self.recipe.method.embedding.norm_pull
        if not share:
            return
        for values in self.words.vectors().values():
            for value, wanted in zip(values, self.lengths, strict=True):
                length = value.norm(dim=1, keepdim=True).clamp_min(1e-12)
                value.mul_(1 + share * (wanted / length - 1))


def _continued(model: Model, recipe: Recipe) -> dict[str, list[Tensor]]:
    """Read the words in the LoRA file that pivotal tuning continues from."""
    path = recipe.method.lora.continue_from if recipe.method.name == "pivotal" else ""
    return embedding.bundled(Path(path), len(model.text_encoders)) if path else {}


def first_vectors(model: Model, word: str, begin: str, recipe: Recipe) -> list[Tensor]:
    """Return float32 [n, D] for each text encoder: the vectors of ``begin``'s tokens, repeated over n as the WebUI
    does.

    If ``begin`` has no tokens, they are drawn with the mean and deviation of all the base's words.
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
    """Return vectors at a weight: 1 as they are, 0 the mean of all the base's words, which means nothing."""
    if weight == 1.0:
        return vectors
    means = [base_table(encoder).float().mean(0).cpu() for encoder in model.text_encoders]
    return [mean + weight * (value - mean) for mean, value in zip(means, vectors, strict=True)]
