"""Embeddings: the vectors of one new word in a file, as the WebUI, Forge, ComfyUI and diffusers read it.

SD 1 and SD 2 hold one tensor, ``emb_params`` [vectors, width]; SDXL one for each text encoder, ``clip_l`` and
``clip_g``. The word isn't in it: programs call it by the file's name. Inside a LoRA file the same tensors stand as
``bundle_emb.WORD.NAME``, and the word is what calls them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..errors import SdftError
from ..recipe import Precision
from ..storage import atomic
from .kohya import BUNDLE
from .metadata import with_hashes
from .tensor_file import PRECISIONS

NAMES = {1: ("emb_params",), 2: ("clip_l", "clip_g")}
"""By how many text encoders the model has."""
WORD, EXTRA = "sdft_word", "sdft_further"
"""Our own metadata: the word that training called it by; names of the files with the other words of a save, one a
line.
"""


class EmbeddingFileError(SdftError, ValueError):
    """A file that is no embedding for this model, or can't be written as asked; the message names it."""


def write(path: Path, vectors: Sequence[Tensor], metadata: Mapping[str, str], precision: Precision) -> None:
    """One word's vectors, one tensor for each text encoder. Raises OSError, and EmbeddingFileError for values that
    don't fit.
    """
    tensors = converted(path, vectors, precision)
    atomic.tensors(path, tensors, with_hashes(tensors, metadata))


def converted(path: Path, vectors: Sequence[Tensor], precision: Precision) -> dict[str, Tensor]:
    """The tensors of a file, by name."""
    found = {}
    for name, value in zip(NAMES[len(vectors)], vectors, strict=True):
        found[name] = value.detach().cpu().to(PRECISIONS[precision]).contiguous()
        if not torch.isfinite(found[name]).all():
            raise EmbeddingFileError(
                f"{path} can't be written: its vectors are not finite as {precision}. Set save.precision to fp32, or "
                f"train "
                "again with a lower learning rate."
            )
    return found


def read(path: str | Path, encoders: int) -> list[Tensor]:
    """The vectors float32 [n, D] for each of a model's text encoders.

    Takes our own layout, diffusers' single tensor, and the WebUI's old ``.pt``. Raises EmbeddingFileError.
    """
    path = Path(path)
    if not path.is_file():
        raise EmbeddingFileError(f"{path} doesn't exist: name an embedding.")
    tensors = _tensors(path)
    if encoders == 2:
        if not all(name in tensors for name in NAMES[2]):
            raise EmbeddingFileError(
                f"{path} is no embedding for SDXL: it holds {_told(tensors)}, not clip_l and clip_g."
            )
        values = [tensors[name] for name in NAMES[2]]
    elif len(tensors) == 1:
        values = list(tensors.values())
    else:
        raise EmbeddingFileError(f"{path} is no embedding for this kind of model: it holds {_told(tensors)}.")
    return [value.detach().float().reshape(-1, value.shape[-1]) for value in values]


def metadata(path: Path) -> dict[str, str]:
    """What a .safetensors file says of itself; nothing where it is another kind of file."""
    try:
        with safe_open(path, "pt") as file:
            return dict(file.metadata() or {})
    except (OSError, SafetensorError):
        return {}


def bundled(path: Path, encoders: int) -> dict[str, list[Tensor]]:
    """The words inside a LoRA file and their vectors for each text encoder. Raises EmbeddingFileError where it can't be
    read.
    """
    try:
        with safe_open(path, "pt") as file:
            keys = [key for key in file.keys() if key.startswith(BUNDLE)]  # noqa: SIM118
            held = {key: file.get_tensor(key) for key in keys}
    except (OSError, SafetensorError) as error:
        raise EmbeddingFileError(f"{path} can't be read ({error}): it is cut off or something else.") from error
    words = dict.fromkeys(key[len(BUNDLE) :].rpartition(".")[0] for key in held)
    try:
        return {word: [held[f"{BUNDLE}{word}.{name}"].float() for name in NAMES[encoders]] for word in words}
    except KeyError as error:
        raise EmbeddingFileError(f"{path} is for another kind of model: it lacks {error}.") from error


def _tensors(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix.lower() == ".safetensors":
            with safe_open(path, "pt") as file:
                return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever an unpickler meets in a file that is something else
        raise EmbeddingFileError(f"{path} can't be read as an embedding ({error}).") from error
    if isinstance(content, Mapping) and "string_to_param" in content:
        content = content["string_to_param"]
    if not isinstance(content, Mapping):
        raise EmbeddingFileError(f"{path} is no embedding: it holds a {type(content).__name__}.")
    return {str(key): value for key, value in content.items() if isinstance(value, Tensor)}


def _told(tensors: Mapping[str, Tensor]) -> str:
    return ", ".join(list(tensors)[:3]) or "no tensor"
