"""What the judge has seen, as files in the run's folder: named rows of features."""

from __future__ import annotations

from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from ..storage import atomic
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
