"""Textual inversion: the vectors of new words, and nothing else, are trained (Gal 2022).

Each concept's trigger is such a word, with as many vectors as the recipe says, in each text encoder. Everything else stays
bit for bit what it was. A save is one file for each word: the first has the save's own name, the others have theirs behind it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from torch import Tensor

from ..formats import embedding
from ..formats.family import Family
from ..model.base import Flags, Model
from ..model.trained_tokens import Words
from ..recipe import Precision, Recipe
from .base import EMBEDDINGS, ParameterGroup, StepKind, TrainedNumbers
from .token_vectors import LearnedVectors, in_file_name, load, vector_numbers, weakened


class TextualInversionMethod:
    """New words in a run, between ``attach`` and ``detach``."""

    name = "textual_inversion"
    suffix = ".safetensors"
    further_kind = "textual_inversion"
    uses_global_rng = False

    def __init__(self) -> None:
        self.notes: list[str] = []
        self._learned: LearnedVectors | None = None
        self._flags: Flags | None = None

    def attach(self, model: Model, recipe: Recipe) -> None:
        """Put the words in. Raises MethodError, ModelError or EmbeddingFileError; the model is then unchanged."""
        if self._learned is not None:
            raise RuntimeError("this method is attached already")
        flags = Flags(model.modules)
        self._learned = LearnedVectors(model, recipe)
        self._flags = flags
        for parameter, _, _ in flags.gradients:
            parameter.requires_grad_(False)
        names = ", ".join(self._learned.words.words)
        self.notes = [
            f"Trained on the word {names}; in other programs an embedding is called by its file's name instead."
        ]

    def detach(self) -> None:
        if self._learned is not None and self._flags is not None:
            self._learned.remove()
            self._flags.restore()
        self._learned = self._flags = None

    def trained_numbers(self, recipe: Recipe, family: Family) -> TrainedNumbers:
        return TrainedNumbers(0, vector_numbers(recipe, family))

    def step_kind(self, recipe: Recipe, family: Family) -> StepKind:
        return StepKind(EMBEDDINGS, EMBEDDINGS)

    def groups(self) -> list[ParameterGroup]:
        rate = self.learned.recipe.train.learning_rate
        return [ParameterGroup("text_encoder_words", self.learned.parameters(), rate)]

    def after_step(self, texts: bool = True) -> None:
        if texts:
            self.learned.pull()

    def state(self) -> dict[str, Tensor]:
        return {name: value.detach() for name, value in self.learned.tensors().items()}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        load(self.state(), state)

    def save(self, path: Path, metadata: Mapping[str, str], precision: Precision) -> None:
        """Write the first word. Its metadata tell the word, and the files of the others."""
        word, *others = self.learned.words.words
        further = "\n".join(further_file(path, path.parent, other).name for other in others)
        told = {**metadata, embedding.WORD: word, embedding.FURTHER: further}
        embedding.write(path, self.learned.words.vectors()[word], told, precision)

    def save_further(self, path: Path, folder: Path, metadata: Mapping[str, str], precision: Precision) -> list[Path]:
        return save_words(self.learned, self.learned.words.words[1:], path, folder, metadata, precision)

    @contextmanager
    def applied(self, path: Path, model: Model, weight: float = 1.0) -> Iterator[None]:
        """With the words that the file and its further ones hold; one that tells no word is called by the file's name."""
        further = embedding.metadata(path).get(embedding.FURTHER, "").split("\n")
        files = [path, *(path.parent / name for name in further if name)]
        vectors = {}
        for file in files:
            word = embedding.metadata(file).get(embedding.WORD) or file.stem
            vectors[word] = weakened(model, embedding.read(file, len(model.text_encoders)), weight)
        with hung_in(model, vectors):
            yield

    @property
    def learned(self) -> LearnedVectors:
        if self._learned is None:
            raise RuntimeError("this method is not attached")
        return self._learned


@contextmanager
def hung_in(model: Model, vectors: Mapping[str, list[Tensor]]) -> Iterator[None]:
    """The model with words that don't train; after, it is as before."""
    words = Words(model, vectors)
    try:
        for table in words.tables:
            table.vectors.requires_grad_(False)
        yield
    finally:
        words.remove()


def further_file(path: Path, folder: Path, word: str) -> Path:
    """Where a save's further word lies: NAME-WORD, without what can't be in a file's name."""
    return folder / f"{path.stem}-{in_file_name(word)}.safetensors"


def save_words(
    learned: LearnedVectors,
    words: tuple[str, ...],
    path: Path,
    folder: Path,
    metadata: Mapping[str, str],
    precision: Precision,
) -> list[Path]:
    """Write some of the words beside the save ``path``; returns their files."""
    files = []
    for word in words:
        file = further_file(path, folder, word)
        told = {**metadata, embedding.WORD: word, "ss_output_name": file.stem, "modelspec.title": file.stem}
        embedding.write(file, learned.words.vectors()[word], told, precision)
        files.append(file)
    return files
