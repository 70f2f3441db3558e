"""Copies that a user wants to keep: remembered by their content in the dataset's folder, so that no report names them
again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..dataset.folder import Scan
from ..storage import json_file
from ..storage.hidden_folder import HiddenFolderError, hidden_folder

FILE = "kept.json"
MOST = 10_000
"""Groups remembered in one folder; older ones are asked about again."""

Digests = Sequence[str]
"""Checksums of the files of a group (``entries.file_hash``), in any order; exact copies have the same."""


def concept_folders(scan: Scan) -> list[Path]:
    """The folders of a dataset's concepts."""
    named = (folder for concept in scan.concepts for folder in (concept.instance, concept.regularization) if folder)
    return [Path(folder).expanduser() for folder in dict.fromkeys(named)]


class AcceptedDuplicates:
    """What is remembered in the folders of a dataset."""

    def __init__(self, folders: Iterable[Path]) -> None:
        self.groups = [group for folder in folders for group in _read(folder)]

    def holds(self, digests: Digests) -> bool:
        """Whether all of a group stand together in one that was kept: a further copy is asked about again."""
        wanted = Counter(digests)
        return any(not wanted - Counter(group) for group in self.groups)


def accept(folder: Path, digests: Digests) -> None:
    """Remember a group. Raises HiddenFolderError where the folder can't be written."""
    _write(folder, [*(group for group in _read(folder) if sorted(group) != sorted(digests)), list(digests)])


def revoke(folder: Path, digests: Digests) -> None:
    """Ask about a group again."""
    _write(folder, [group for group in _read(folder) if sorted(group) != sorted(digests)])


def _read(folder: Path) -> list[list[str]]:
    try:
        told = json_file.read(hidden_folder(folder) / FILE)
        return [[str(digest) for digest in group] for group in told["copies"] if group]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _write(folder: Path, groups: Sequence[Sequence[str]]) -> None:
    place = hidden_folder(folder, make=True)
    try:
        json_file.write(place / FILE, {"copies": [list(group) for group in groups[-MOST:]]})
    except OSError as error:
        raise HiddenFolderError(f"It can't be remembered: {error}.") from error
