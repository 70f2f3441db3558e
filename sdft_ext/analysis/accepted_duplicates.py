"""Duplicates that the user wants to keep: their checksums are stored in the dataset's folder, and no report names them
again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ..dataset.folder import Scan
from ..storage import json_file
from ..storage.hidden_folder import HiddenFolderError, hidden_folder

FILE = "kept.json"
MAX_GROUPS = 10_000
"""Groups stored for one folder; older ones are reported again."""

Digests = Sequence[str]
"""Checksums of a group's files (``cache_files.file_hash``), in any order; exact copies have the same one."""


def concept_folders(scan: Scan) -> list[Path]:
    """Return the instance and regularization folders of a dataset's concepts."""
    named = (folder for concept in scan.concepts for folder in (concept.instance, concept.regularization) if folder)
    return [Path(folder).expanduser() for folder in dict.fromkeys(named)]


class AcceptedDuplicates:
    """The groups that are stored in the folders of a dataset."""

    def __init__(self, folders: Iterable[Path]) -> None:
        self.groups = [group for folder in folders for group in _read(folder)]

    def holds(self, digests: Digests) -> bool:
        """Return whether a group was accepted, alone or in a larger one; with a new copy in it, it wasn't."""
        wanted = Counter(digests)
        return any(not wanted - Counter(group) for group in self.groups)


def accept(folder: Path, digests: Digests) -> None:
    """Store a group. Raises HiddenFolderError where the folder can't be read or written."""
    _change(folder, digests, [list(digests)])


def revoke(folder: Path, digests: Digests) -> None:
    """Remove a group, so that it is reported again. Raises HiddenFolderError where the folder can't be read or
    written.
    """
    _change(folder, digests, [])


def _read(folder: Path) -> list[list[str]]:
    try:
        return _groups(json_file.read_or(hidden_folder(folder) / FILE, {}))
    except HiddenFolderError:
        return []


def _groups(content: dict[str, Any]) -> list[list[str]]:
    """Return the groups of a file, without what is damaged in it."""
    groups = content.get("copies")
    listed = groups if isinstance(groups, list) else []
    return [[str(digest) for digest in group] for group in listed if isinstance(group, list) and group]


def _change(folder: Path, digests: Digests, added: list[list[str]]) -> None:
    """Store ``added`` in place of the group of these checksums."""
    path = hidden_folder(folder, make=True) / FILE
    try:
        groups = _groups(json_file.read_to_extend(path, {}))
        kept = [group for group in groups if sorted(group) != sorted(digests)] + added
        json_file.write(path, {"copies": kept[-MAX_GROUPS:]})
    except OSError as error:
        raise HiddenFolderError(f"The choice was not saved: {error}.") from error
