"""The files that tools take and make: LoRAs by the layers of a base model, and targets that nothing stands in."""

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
"""Hears how many parts are done, and of how many. What it raises ends a tool, and leaves no half file."""


class ToolError(SdftError, ValueError):
    """A tool can't do what it is asked; the message says with which file, why, and what to do."""


def new_file(path: str | Path, suffix: str = ".safetensors") -> Path:
    """Where a tool may write. Raises ToolError where something is there already, or the name doesn't end as it must."""
    path = Path(path).expanduser()
    if path.suffix.lower() != suffix:
        raise ToolError(f"{path} doesn't end in {suffix}: name it so, programs go by the ending.")
    if path.exists():
        raise ToolError(f"{path} exists already: choose another name, or delete it.")
    return path


@contextmanager
def with_config(base: Path, target: Path) -> Iterator[None]:
    """Inside, ``target`` is written; the configuration beside ``base`` comes beside it first, so that it is never
    without.

    Where the writing fails, the copy is taken away. Raises ToolError where it would replace another one.
    """
    config, there = base.with_suffix(".yaml"), target.with_suffix(".yaml")
    new = config.is_file() and not there.exists()
    if new:
        copy_config(base, target)
    elif config.is_file() and not (
        there.samefile(config) or there.read_text(encoding="utf-8", errors="replace") == config_text(base)
    ):
        raise ToolError(
            f"{there} exists already, and isn't {config}: choose another name than {target.name}, or delete it."
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
    """``get``, telling ``progress`` of each tensor; ``done`` of them have been read before."""

    def following(key: str) -> Tensor:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)
        return get(key)

    return following


def layers(family: Family) -> dict[str, tuple[int, ...]]:
    """Every layer that a LoRA can change, 'part.path' → its weight's shape; nothing is loaded."""
    unet, vae, *texts = borrow.skeletons(family)
    model = Model(family, unet, vae, texts, [], None)
    return {name: weight_shape(module) for name, module in wrappable(model)}


def file_and_weight(text: str) -> tuple[Path, float]:
    """'FILE' or 'FILE:0.8'."""
    name, colon, weight = text.rpartition(":")
    try:
        return (Path(name), float(weight)) if colon and not Path(text).exists() else (Path(text), 1.0)
    except ValueError:
        return Path(text), 1.0


def names_and_weights(files: Sequence[tuple[Path, float]]) -> str:
    """For metadata: what a file was made of."""
    return ", ".join(f"{path.name}:{weight:g}" for path, weight in files)
