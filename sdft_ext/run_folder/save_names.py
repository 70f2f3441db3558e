"""The name that a run's saves begin with: in a folder that others use too, one that no other file has."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from ..storage.free_name import free_name

TRY = "-try"
"""Between a run's name and the step in the name of a temporary save."""
_NUMBER = re.compile(r"(-try)?-\d{6}$")


def free_save_name(name: str, folder: Path, taken: Collection[str] = ()) -> str:
    """Choose ``name``, or ``name-2`` … where a file in ``folder`` or below it has that name, or is named like a save of
    it.

    Hosts find saves by name, whatever subfolder they are in, and some file systems ignore case. ``taken`` are names
    that other runs have chosen, which may not have saved yet.
    """
    used = {text.casefold() for text in taken}
    for path in folder.rglob("*") if folder.is_dir() else ():
        stem = path.name
        while stem:  # the file is NAME.safetensors, or belongs to one: NAME.preview.png, NAME.json
            used |= {stem.casefold(), _NUMBER.sub("", stem).casefold()}
            stem = stem.rpartition(".")[0]
    return free_name(name, lambda candidate: candidate.casefold() in used)
