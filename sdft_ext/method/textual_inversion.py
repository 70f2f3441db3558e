"""Textual inversion: training the vectors of new words, and nothing else (Gal 2022).

Each concept's trigger is such a word, with as many vectors as the recipe says, in each text encoder. Everything else
stays as it is, bit for bit. A save is one file for each word: the first has the save's own name, the others' end with
their word.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from torch import Tensor

from ..formats import embedding
from ..formats.family import Family
from ..model.base import Flags, Model
from ..model.trained_tokens import TrainedTokens
from ..recipe import Precision, Recipe
from .base import EMBEDDINGS, ParameterGroup, StepKind, TrainedNumbers, attached, check_detached, load_tensors
from .token_vectors import LearnedVectors, in_file_name, vector_numbers, weakened


class TextualInversionMethod:
    """New words in a run, between ``attach`` and ``detach``."""

    name = "textual_inversion"
    suffix = ".safetensors"
    extra_kind = "textual_inversion"
    uses_global_rng = False

    def __init__(self) -> None:
        self.notes: list[str] = []
        self._learned: LearnedVectors | None = None
        self._flags: Flags | None = None

    def attach(self, model: Model, recipe: Recipe) -> None:
        """Put the words in. Raises MethodError, ModelError or EmbeddingFileError; the model is unchanged then."""
        check_detached(self._learned)
        flags = Flags(model.modules)
        self._learned = LearnedVectors(model, recipe)
        self._flags = flags
        for parameter, _, _ in flags.gradients:
            parameter.requires_grad_(False)
        names = ", ".join(self._learned.words.words)
        self.notes = [f"Trained on the word {names}; other programs call an embedding by its file's name instead."]

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
        load_tensors(self.state(), state)

    def save(self, path: Path, metadata: Mapping[str, str], precision: Precision) -> None:
        """Write the first word. Its metadata name the word, and the files of the others."""
        word, *others = self.learned.words.words
        extra = "\n".join(extra_file(path, path.parent, other).name for other in others)
        written = {**metadata, embedding.WORD: word, embedding.EXTRA: extra}
        embedding.write(path, self.learned.words.vectors()[word], written, precision)

    def save_extra(self, path: Path, folder: Path, metadata: Mapping[str, str], precision: Precision) -> list[Path]:
        return save_words(self.learned, self.learned.words.words[1:], path, folder, metadata, precision)

    @contextmanager
    def applied(self, path: Path, model: Model, weight: float = 1.0) -> Iterator[None]:
        """Run the model with the words of the file and its extra files; a file that names no word is called by its own
        name.
        """
        extra = embedding.metadata(path).get(embedding.EXTRA, "").split("\n")
        files = [path, *(path.parent / name for name in extra if name)]
        vectors = {}
        for file in files:
            word = embedding.metadata(file).get(embedding.WORD) or file.stem
            vectors[word] = weakened(model, embedding.read(file, len(model.text_encoders)), weight)
        with attached_words(model, vectors):
            yield

    @property
    def learned(self) -> LearnedVectors:
        return attached(self._learned)


@contextmanager
def attached_words(model: Model, vectors: Mapping[str, list[Tensor]]) -> Iterator[None]:
    """Run the model with words that don't train; afterwards it is as before."""
    words = TrainedTokens(model, vectors)
    try:
        for table in words.tables:
            table.vectors.requires_grad_(False)
        yield
    finally:
        words.remove()


def extra_file(path: Path, folder: Path, word: str) -> Path:
    """Return the path of another word of a save: NAME-WORD, without characters that a file's name can't have."""
    return folder / f"{path.stem}-{in_file_name(word)}.safetensors"


def save_words(
    learned: LearnedVectors,
    words: tuple[str, ...],
    path: Path,
    folder: Path,
    metadata: Mapping[str, str],
    precision: Precision,
) -> list[Path]:
    """Write some of the words, in files of their own named after the save ``path``; return the files."""
    files = []
    for word in words:
        file = extra_file(path, folder, word)
        written = {**metadata, embedding.WORD: word, "ss_output_name": file.stem, "modelspec.title": file.stem}
        embedding.write(file, learned.words.vectors()[word], written, precision)
        files.append(file)
    return files
