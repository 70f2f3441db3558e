"""Pivotal tuning: a LoRA and the vectors of new words in one run (Roich 2021, in the sense of Stable Diffusion's
trainers).

The LoRA file also holds the words, under their own names, as the WebUI and others read them; each word is written as an
embedding of its own too, for programs that don't.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from ..formats import embedding
from ..formats.family import Family
from ..formats.kohya import BUNDLE
from ..model.base import Model
from ..recipe import Precision, Recipe
from .base import EMBEDDINGS, MethodError, ParameterGroup, StepKind, TrainedNumbers, attached, load_tensors
from .lora import LoraMethod, applied
from .textual_inversion import attached_words, save_words
from .token_vectors import LearnedVectors, vector_numbers, words_of


class PivotalMethod(LoraMethod):
    """A LoRA's layers and new words in a run, between ``attach`` and ``detach``."""

    name = "pivotal"
    extra_kind = "textual_inversion"

    def __init__(self) -> None:
        super().__init__()
        self._learned: LearnedVectors | None = None

    def attach(self, model: Model, recipe: Recipe) -> None:
        dotted = next((word for word in words_of(recipe) if "." in word), None)
        if dotted is not None:
            raise MethodError(
                f"The word {dotted!r} has a dot, which the names in a LoRA file can't hold: choose another."
            )
        super().attach(model, recipe)
        try:
            self._learned = LearnedVectors(model, recipe)
        except BaseException:
            super().detach()
            raise

    def trained_numbers(self, recipe: Recipe, family: Family) -> TrainedNumbers:
        layers = super().trained_numbers(recipe, family)
        return TrainedNumbers(layers.unet, layers.text + vector_numbers(recipe, family))

    def step_kind(self, recipe: Recipe, family: Family) -> StepKind:
        kind = super().step_kind(recipe, family)
        return kind if recipe.method.text_encoder else replace(kind, text=EMBEDDINGS)

    def words(self, recipe: Recipe) -> Collection[str]:
        return words_of(recipe)

    def detach(self) -> None:
        if self._learned is not None:
            self._learned.remove()
            self._learned = None
        super().detach()

    def groups(self) -> list[ParameterGroup]:
        rate = self.recipe.method.embedding.learning_rate or self.recipe.train.learning_rate
        return [*super().groups(), ParameterGroup("text_encoder_words", self.learned.parameters(), rate)]

    def after_step(self, texts: bool = True) -> None:
        super().after_step(texts)
        if texts:
            self.learned.pull()

    def state(self) -> dict[str, Tensor]:
        return {**super().state(), **{name: value.detach() for name, value in self.learned.tensors().items()}}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        load_tensors(self.state(), state)

    def bundle(self, precision: Precision) -> dict[str, Tensor]:
        found = {}
        for word, values in self.learned.words.vectors().items():
            for name, value in embedding.converted(Path(word), values, precision).items():
                found[f"{BUNDLE}{word}.{name}"] = value
        return found

    @contextmanager
    def without(self) -> Iterator[None]:
        with super().without(), self.learned.words.off():
            yield

    def save_extra(self, path: Path, folder: Path, metadata: Mapping[str, str], precision: Precision) -> list[Path]:
        return save_words(self.learned, self.learned.words.words, path, folder, metadata, precision)

    @contextmanager
    def applied(self, path: Path, model: Model, weight: float = 1.0) -> Iterator[None]:
        """Run the model with the LoRA at its weight and the words as they are, like the WebUI."""
        with ExitStack() as stack:
            stack.enter_context(applied([(path, weight)], model))
            vectors = embedding.bundled(path, len(model.text_encoders))
            stack.enter_context(attached_words(model, vectors))
            yield

    @property
    def learned(self) -> LearnedVectors:
        return attached(self._learned)
