"""Trained tokens: vectors that replace a new word in a prompt; a text encoder's own table isn't changed.

A word is recognized by its tokens anywhere in a prompt, the longest word first, and is replaced with its vectors, as in
the WebUI. In a model with such words, the tokenizers return ids beyond the end of the table, and the token embeddings
look them up among the vectors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import ModelError
from .base import Model

Vectors = Mapping[str, Sequence[Tensor]]
"""Word → its vectors [n, D] for each text encoder."""


@dataclass(frozen=True)
class Tokenized:
    """What a tokenizer returns."""

    input_ids: list[int]


class WordTokenizer:
    """A tokenizer that also knows new words. ``places``: word → (its first id, number of ids)."""

    def __init__(self, tokenizer: Any, places: Mapping[str, tuple[int, int]]) -> None:
        self.tokenizer = tokenizer
        self.word_lengths: dict[int, int] = {**getattr(tokenizer, "word_lengths", {}), **dict(places.values())}
        found = [(word_tokens(tokenizer, word), first, count) for word, (first, count) in places.items()]
        self._words = sorted(found, key=lambda entry: len(entry[0]), reverse=True)

    def __call__(self, prompt: str, **options: Any) -> Tokenized:
        ids: list[int] = self.tokenizer(prompt, **options).input_ids
        read: list[int] = []
        place = 0
        while place < len(ids):
            for sequence, first, count in self._words:
                if ids[place : place + len(sequence)] == sequence:
                    read += range(first, first + count)
                    place += len(sequence)
                    break
            else:
                read.append(ids[place])
                place += 1
        return Tokenized(read)


def word_tokens(tokenizer: Any, word: str) -> list[int]:
    """Return the ids of a word's own tokens. Raises ModelError if it has none."""
    while isinstance(tokenizer, WordTokenizer):
        tokenizer = tokenizer.tokenizer
    ids: list[int] = tokenizer(word, add_special_tokens=False, truncation=False).input_ids
    if not ids:
        raise ModelError(f"The word {word!r} has no character that a text encoder can read: choose another.")
    return ids


class ExtendedEmbedding(nn.Module):
    """A token embedding with more rows: those of ``vectors``, float32, in the order of the words."""

    def __init__(self, base: nn.Module, vectors: Sequence[Tensor]) -> None:
        super().__init__()
        self.base_layer = base
        self.first = rows(base)
        device = next(base.parameters()).device
        self.vectors = nn.ParameterList(
            nn.Parameter(value.detach().to(device, torch.float32, copy=True)) for value in vectors
        )

    def forward(self, ids: Tensor) -> Tensor:
        known: Tensor = self.base_layer(ids.clamp(max=self.first - 1))
        new = torch.cat(list(self.vectors))[(ids - self.first).clamp(min=0)]
        return torch.where((ids >= self.first)[..., None], new.to(known.dtype), known)


def rows(table: nn.Module) -> int:
    """Return how many ids a token embedding knows."""
    if isinstance(table, ExtendedEmbedding):
        return table.first + sum(len(value) for value in table.vectors)
    weight = table.weight
    assert isinstance(weight, Tensor)
    return len(weight)


def base_table(encoder: Any) -> Tensor:
    """Return the borrowed table [rows, D] of a text encoder."""
    table = encoder.text_model.embeddings.token_embedding
    while isinstance(table, ExtendedEmbedding):
        table = table.base_layer
    weight: Tensor = table.weight
    return weight


class TrainedTokens:
    """New words in a model, until ``remove``. If adding them fails, the model is unchanged.

    Raises ModelError if a word has no tokens, has the same ones as another, or its vectors don't fit a text encoder.
    """

    def __init__(self, model: Model, vectors: Vectors) -> None:
        self.words = tuple(vectors)
        self._model, self._tokenizers = model, model.tokenizers
        self._homes: list[tuple[Any, nn.Module]] = []
        self.tables: list[ExtendedEmbedding] = []
        _check(model, vectors)
        tokenizers = []
        for number, (encoder, tokenizer) in enumerate(zip(model.text_encoders, model.tokenizers, strict=True)):
            own = {word: each[number] for word, each in vectors.items()}
            home = encoder.text_model.embeddings
            base = home.token_embedding
            places, place = {}, rows(base)
            for word, value in own.items():
                places[word] = (place, len(value))
                place += len(value)
            tokenizers.append(WordTokenizer(tokenizer, places))
            table = ExtendedEmbedding(base, list(own.values()))
            table.train(base.training)
            self._homes.append((home, base))
            self.tables.append(table)
            home.token_embedding = table
        # A new list, because models that share parameters may share the old one.
        model.tokenizers = tokenizers

    def remove(self) -> None:
        """Restore the former tokenizers and tables. Words that were added after these must have been removed before."""
        if self._homes:
            self._model.tokenizers = self._tokenizers
        while self._homes:
            home, base = self._homes.pop()
            home.token_embedding = base

    @contextmanager
    def off(self) -> Iterator[None]:
        """Disable these words in the context."""
        tokenizers, self._model.tokenizers = self._model.tokenizers, self._tokenizers
        for home, base in self._homes:
            home.token_embedding = base
        try:
            yield
        finally:
            self._model.tokenizers = tokenizers
            for (home, _), table in zip(self._homes, self.tables, strict=True):
                home.token_embedding = table

    def vectors(self) -> dict[str, list[nn.Parameter]]:
        """Return the vectors of each word, for each text encoder."""
        return {word: [table.vectors[number] for table in self.tables] for number, word in enumerate(self.words)}


def _check(model: Model, vectors: Vectors) -> None:
    seen: dict[tuple[int, ...], str] = {}
    for word, values in vectors.items():
        sequence = tuple(word_tokens(model.tokenizers[0], word))
        if sequence in seen:
            raise ModelError(f"The words {seen[sequence]!r} and {word!r} have the same tokens: keep one of them.")
        seen[sequence] = word
        widths = [base_table(encoder).shape[1] for encoder in model.text_encoders]
        if [value.shape[-1] for value in values] != widths or len({len(value) for value in values}) != 1:
            wanted = " and ".join(str(width) for width in widths)
            raise ModelError(
                f"The vectors of {word!r} are for another kind of model: those of this one's text encoders have "
                f"{wanted} numbers each."
            )
