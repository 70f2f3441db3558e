"""What the judge has seen, as files in the run's folder: named rows of features."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from ..storage import atomic, json_file
from .features import Rows


def write(folder: Path, name: str, **rows: Rows) -> None:
    """Write named rows as one file, in half precision. Raises OSError where it can't be written."""
    folder.mkdir(parents=True, exist_ok=True)
    half = {key: values.astype(np.float16) for key, values in rows.items()}
    atomic.write(folder / f"{name}.npz", lambda file: np.savez(file, **half))


def read(folder: Path, name: str) -> dict[str, Rows] | None:
    """Read named rows; None where there is no such file, or it is damaged."""
    try:
        with np.load(folder / f"{name}.npz", allow_pickle=False) as found:
            return {key: found[key].astype(np.float32) for key in found.files}
    except (OSError, ValueError, EOFError, BadZipFile):
        return None


def write_pictures(folder: Path, pictures: Sequence[Path], captions: Sequence[str]) -> None:
    """Write which instance pictures the dataset's places are of, in their order, and which prompts are captions of
    instance pictures. Raises OSError.
    """
    found = {"instance": [str(path) for path in pictures], "captions": list(captions)}
    json_file.write(folder / "pictures.json", found)


def read_captions(folder: Path) -> list[str]:
    """Read which prompts are captions of instance pictures; empty for runs of older versions."""
    found = json_file.read_or(folder / "pictures.json", {}).get("captions")
    return [text for text in found if isinstance(text, str)] if isinstance(found, list) else []


def read_pictures(folder: Path) -> list[Path]:
    """Read which instance pictures the dataset's places are of; empty for runs of older versions."""
    found = json_file.read_or(folder / "pictures.json", {}).get("instance")
    return [Path(path) for path in found if isinstance(path, str)] if isinstance(found, list) else []
