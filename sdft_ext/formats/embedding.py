"""Embedding files: the vectors of one new word, as the WebUI, Forge, ComfyUI and diffusers read them.

For SD 1 and SD 2, one tensor, ``emb_params`` [vectors, width]; for SDXL, one for each text encoder, ``clip_l`` and
``clip_g``. The word isn't in the file: in programs, it is the file's name. In a LoRA file, the same tensors are named
``bundle_emb.WORD.NAME``, and WORD is used in prompts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from ..errors import ModelError, SdftError
from ..recipe import Precision
from ..storage import atomic
from . import pickles
from .kohya import BUNDLE
from .metadata import with_hashes
from .tensor_file import PRECISIONS, TensorFile, TensorFileError

NAMES = {1: ("emb_params",), 2: ("clip_l", "clip_g")}
"""Names of the tensors, by the number of text encoders."""
WORD, EXTRA = "sdft_word", "sdft_further"
"""Keys of our own metadata: the word in training, and the names of the files with the save's other words, one per line.
"""


class EmbeddingFileError(SdftError, ValueError):
    """A file is not an embedding for this model, or can't be written in this format; the message names it."""


def write(path: Path, vectors: Sequence[Tensor], metadata: Mapping[str, str], precision: Precision) -> None:
    """Write one word's vectors, one tensor for each text encoder. Raises OSError where the file can't be written,
    EmbeddingFileError where a value is too large for the number format.
    """
    tensors = converted(path, vectors, precision)
    atomic.tensors(path, tensors, with_hashes(tensors, metadata))


def converted(path: Path, vectors: Sequence[Tensor], precision: Precision) -> dict[str, Tensor]:
    """Return the tensors of a file, by name. Raises EmbeddingFileError where a value is too large for the format."""
    found = {}
    for name, value in zip(NAMES[len(vectors)], vectors, strict=True):
        found[name] = value.detach().cpu().to(PRECISIONS[precision]).contiguous()
        if not torch.isfinite(found[name]).all():
            raise EmbeddingFileError(
                f"{path} can't be written: its vectors are not finite in {precision}. Set save.precision to fp32, or "
                "train again with a lower learning rate."
            )
    return found


def read(path: str | Path, encoders: int) -> list[Tensor]:
    """Read the vectors, float32 [n, D], for each of a model's text encoders.

    Supports our own layout, diffusers' single tensor, and the WebUI's old ``.pt``. Raises EmbeddingFileError.
    """
    path = Path(path)
    if not path.is_file():
        raise EmbeddingFileError(f"{path} doesn't exist: name an embedding.")
    tensors = _tensors(path)
    if encoders == 2:
        if not all(name in tensors for name in NAMES[2]):
            raise EmbeddingFileError(
                f"{path} is not an embedding for SDXL: it contains {_names(tensors)}, not clip_l and clip_g."
            )
        values = [tensors[name] for name in NAMES[2]]
    elif len(tensors) == 1:
        values = list(tensors.values())
    else:
        raise EmbeddingFileError(f"{path} is not an embedding for this kind of model: it contains {_names(tensors)}.")
    return [_vectors(path, value) for value in values]


def metadata(path: Path) -> dict[str, str]:
    """Read the metadata of a .safetensors file; {} where it is another kind of file."""
    try:
        return TensorFile(path).metadata
    except (OSError, TensorFileError):
        return {}


def bundled(path: Path, encoders: int) -> dict[str, list[Tensor]]:
    """Read the words in a LoRA file, with their vectors, float32 [n, D], for each text encoder.

    Raises EmbeddingFileError where it can't be read, or is for another kind of model.
    """
    try:
        file = TensorFile(path)
        tensors = {key: file[key] for key in file if key.startswith(BUNDLE)}
    except OSError as error:
        raise EmbeddingFileError(f"{path} can't be read ({error}): choose another file.") from error
    except TensorFileError as error:
        raise EmbeddingFileError(str(error)) from error
    words = dict.fromkeys(key[len(BUNDLE) :].rpartition(".")[0] for key in tensors)
    try:
        return {word: [_vectors(path, tensors[f"{BUNDLE}{word}.{name}"]) for name in NAMES[encoders]] for word in words}
    except KeyError as error:
        raise EmbeddingFileError(f"{path} is for another kind of model: it lacks {error}.") from error


def _vectors(path: Path, value: Tensor) -> Tensor:
    """Return a tensor's vectors, float32 [n, D]. Raises EmbeddingFileError where it holds none that can be used."""
    if value.ndim not in (1, 2) or not value.numel() or not value.is_floating_point():
        raise EmbeddingFileError(
            f"{path} is not an embedding: it has {str(value.dtype).removeprefix('torch.')} numbers of the shape "
            f"{tuple(value.shape)}, not vectors. Choose another file."
        )
    vectors = value.detach().float().reshape(-1, value.shape[-1])
    if not bool(torch.isfinite(vectors).all()):
        raise EmbeddingFileError(
            f"{path} has values that are not finite (NaN or infinite): its training failed. Choose another save."
        )
    return vectors


def _tensors(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix.lower() == ".safetensors":
            return dict(TensorFile(path))
        content, _ = pickles.load(path)
    except (TensorFileError, ModelError, OSError) as error:
        raise EmbeddingFileError(f"{path} can't be read as an embedding ({error}).") from error
    if isinstance(content, Mapping) and "string_to_param" in content:
        content = content["string_to_param"]
    if isinstance(content, pickles.Opaque) and isinstance(content.state, Mapping):
        content = content.state.get("_parameters", content.state)  # a ParameterDict
    if not isinstance(content, Mapping):
        raise EmbeddingFileError(f"{path} is not an embedding: it contains no vectors.")
    return {str(key): value for key, value in content.items() if isinstance(value, Tensor)}


def _names(tensors: Mapping[str, Tensor]) -> str:
    return ", ".join(list(tensors)[:3]) or "no tensor"
