"""What tools share: their error, target files, the configuration next to a checkpoint, progress, a model's layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from torch import Tensor

from ..errors import SdftError
from ..formats.family import Family
from ..formats.yaml_config import config_text, copy_config
from ..method.adapters import weight_shape, wrappable
from ..model import borrow
from ..model.base import Model

Progress = Callable[[int, int], None]
"""Called with (parts done, total). An error raised in it ends the tool, and no partial file is left."""


class ToolError(SdftError, ValueError):
    """A tool can't do what was requested; the message names the file, and says why and what to do."""


def new_file(path: str | Path, suffix: str = ".safetensors") -> Path:
    """Return the path of a new file. Raises ToolError where it exists already, or has another extension."""
    path = Path(path).expanduser()
    if path.suffix.lower() != suffix:
        raise ToolError(f"{path} doesn't end in {suffix}: change its extension, by which programs recognize it.")
    if path.exists():
        raise ToolError(f"{path} exists already: choose another name, or delete it.")
    return path


@contextmanager
def with_config(base: Path, target: Path) -> Iterator[None]:
    """Copy the configuration (.yaml) of ``base`` for ``target``, which is then written inside the context.

    If that fails, the copy is removed again. Raises ToolError where it would replace a different one.
    """
    config, there = base.with_suffix(".yaml"), target.with_suffix(".yaml")
    new = config.is_file() and not there.exists()
    if new:
        copy_config(base, target)
    elif config.is_file() and not (
        there.samefile(config) or there.read_text(encoding="utf-8", errors="replace") == config_text(base)
    ):
        raise ToolError(
            f"{there} exists already and differs from {config}: choose another name than {target.name}, or delete it."
        )
    try:
        yield
    except BaseException:
        if new:
            there.unlink(missing_ok=True)
        raise


def counted(
    get: Callable[[str], Tensor], total: int, progress: Progress | None, done: int = 0
) -> Callable[[str], Tensor]:
    """Wrap ``get`` so that it reports each tensor to ``progress``; ``done`` of them have been read before."""

    def counting(key: str) -> Tensor:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)
        return get(key)

    return counting


def layers(family: Family) -> dict[str, tuple[int, ...]]:
    """Return every layer that a LoRA can change, 'part.path' → its weight's shape; nothing is loaded."""
    unet, vae, *texts = borrow.skeletons(family)
    model = Model(family, unet, vae, texts, [], None)
    return {name: weight_shape(module) for name, module in wrappable(model)}


def file_and_weight(text: str) -> tuple[Path, float]:
    """Parse 'FILE' or 'FILE:0.8' into a path and a weight."""
    name, colon, weight = text.rpartition(":")
    try:
        return (Path(name), float(weight)) if colon and not Path(text).exists() else (Path(text), 1.0)
    except ValueError:
        return Path(text), 1.0


def names_and_weights(files: Sequence[tuple[Path, float]]) -> str:
    """Write the files that a result was made from, with their weights, for its metadata."""
    return ", ".join(f"{path.name}:{weight:g}" for path, weight in files)
