"""Names of files that nobody else has."""

from __future__ import annotations

import re
from pathlib import Path

SUFFIXES = (".safetensors", ".ckpt", ".pt", ".bin")
STEP = re.compile(r"-\d{6}$")
"""What earlier saves of a run have after its name."""


def unique_stem(folder: str | Path, stem: str) -> str:
    """``stem``, or ``stem-2`` …: one that no weights file in the folder or below it has, with a step number or without.

    Programs list such files by their stem alone, whatever sub-folder they lie in; some file systems ignore case.
    """
    files = [file for file in Path(folder).rglob("*") if file.suffix.lower() in SUFFIXES]
    taken = {STEP.sub("", file.stem).casefold() for file in files} | {file.stem.casefold() for file in files}
    name, number = stem, 1
    while name.casefold() in taken:
        number += 1
        name = f"{stem}-{number}"
    return name
