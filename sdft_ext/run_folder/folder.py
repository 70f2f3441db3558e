"""The folder of a new run."""

from __future__ import annotations

from pathlib import Path

from ..storage.free_name import free_name


def new_folder(output: Path, name: str) -> Path:
    """Make ``output/name``, or ``name-2`` … where that holds something: no file of the user's is replaced."""
    folder = output / free_name(name, lambda candidate: _holds_something(output / candidate))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _holds_something(path: Path) -> bool:
    return path.exists() and not (path.is_dir() and not any(path.iterdir()))
