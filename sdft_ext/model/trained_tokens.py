"""New words: vectors of our own that stand in a prompt in a word's place, beside a text encoder's table that stays what it is.

A word is found by its tokens, wherever they stand in a prompt, the longest word first, and each of its vectors takes the
place of one token, as in the WebUI. In a model with such words, its tokenizers give ids beyond the table's end, and its token
embeddings look those up among the vectors. Nothing is written into the model's own table.
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
class Read:
    """What a tokenizer answers."""

    input_ids: list[int]


class Reader:
    """A tokenizer that reads new words too. ``places``: word → (its first id, how many)."""

    def __init__(self, tokenizer: Any, places: Mapping[str, tuple[int, int]]) -> None:
        self.tokenizer = tokenizer
        self.whole: dict[int, int] = {**getattr(tokenizer, "whole", {}), **dict(places.values())}
        found = [(word_tokens(tokenizer, word), first, count) for word, (first, count) in places.items()]
        self._words = sorted(found, key=lambda entry: len(entry[0]), reverse=True)

    def __call__(self, prompt: str, **options: Any) -> Read:
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
        return Read(read)


def word_tokens(tokenizer: Any, word: str) -> list[int]:
    """The tokens that a word is read as. Raises ModelError where it has none."""
    while isinstance(tokenizer, Reader):
        tokenizer = tokenizer.tokenizer
    ids: list[int] = tokenizer(word, add_special_tokens=False, truncation=False).input_ids
    if not ids:
        raise ModelError(f"The word {word!r} has no letter that a text encoder reads: choose another.")
    return ids


class Table(nn.Module):
    """A token embedding with further rows: those of ``vectors``, float32, in the order of the words."""

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
    """How many ids a token embedding knows."""
    if isinstance(table, Table):
        return table.first + sum(len(value) for value in table.vectors)
    weight = table.weight
    assert isinstance(weight, Tensor)
    return len(weight)


def base_table(encoder: Any) -> Tensor:
    """The borrowed table [rows, D] of a text encoder."""
    table = encoder.text_model.embeddings.token_embedding
    while isinstance(table, Table):
        table = table.base_layer
    weight: Tensor = table.weight
    return weight


class Words:
    """New words in a model, until ``remove``. The model is unchanged where putting them in fails.

    Raises ModelError where a word has no tokens, reads as another one does, or its vectors don't fit a text encoder.
    """

    def __init__(self, model: Model, vectors: Vectors) -> None:
        self.words = tuple(vectors)
        self._model, self._tokenizers = model, model.tokenizers
        self._homes: list[tuple[Any, nn.Module]] = []
        self.tables: list[Table] = []
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
            tokenizers.append(Reader(tokenizer, places))
            table = Table(base, list(own.values()))
            table.train(base.training)
            self._homes.append((home, base))
            self.tables.append(table)
            home.token_embedding = table
        # Another list: models that share parameters may share this one too.
        model.tokenizers = tokenizers

    def remove(self) -> None:
        """The tokenizers and tables of before. Words put over these must be gone already."""
        if self._homes:
            self._model.tokenizers = self._tokenizers
        while self._homes:
            home, base = self._homes.pop()
            home.token_embedding = base

    @contextmanager
    def off(self) -> Iterator[None]:
        """Inside, the model reads as if there were none of them."""
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
        """The vectors of each word, for each text encoder."""
        return {word: [table.vectors[number] for table in self.tables] for number, word in enumerate(self.words)}


def _check(model: Model, vectors: Vectors) -> None:
    seen: dict[tuple[int, ...], str] = {}
    for word, values in vectors.items():
        sequence = tuple(word_tokens(model.tokenizers[0], word))
        if sequence in seen:
            raise ModelError(f"The words {seen[sequence]!r} and {word!r} read alike: keep one of them.")
        seen[sequence] = word
        widths = [base_table(encoder).shape[1] for encoder in model.text_encoders]
        if [value.shape[-1] for value in values] != widths or len({len(value) for value in values}) != 1:
            told = " and ".join(str(width) for width in widths)
            raise ModelError(
                f"The vectors of {word!r} are for another kind of model: this one's text encoders take {told} numbers each."
            )
