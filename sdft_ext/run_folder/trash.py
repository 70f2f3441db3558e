"""Saves in a run's own trash: each has a folder in ``RUN/trash``, with its files and ``save.json``, by which it is
restored.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..storage import json_file
from .saves import Save, sound_entries

FOLDER, RECORD = "trash", "save.json"


@dataclass(frozen=True)
class DeletedSave:
    """A save in the trash. ``files``: the name that the index has, or would have, for each stored file, by the name
    under which it is stored.
    """

    folder: Path
    save: Save
    files: dict[str, str]

    @property
    def stored(self) -> list[str]:
        """The names, as in the index, of the files that are in the trash."""
        return [name for stored, name in self.files.items() if (self.folder / stored).is_file()]


def names(save: Save) -> list[str]:
    """List the names of all files that a save may have, as the index has them: its own, its preview, extra ones."""
    path = Path(save.file)
    return [save.file, str(path.with_name(f"{path.stem}.preview.png")), *save.further]


def read_record(folder: Path) -> DeletedSave | None:
    """Read the record in a folder of the trash; None where it is missing or damaged, or names files that aren't its
    save's.
    """
    record = json_file.read_or(folder / RECORD, {})
    saves, files = sound_entries([record.get("save")]), record.get("files")
    if not saves or not isinstance(files, dict) or not Path(saves[0].file).name:
        return None
    further = saves[0].further
    if not isinstance(further, list) or not all(isinstance(name, str) for name in further):
        return None
    known = names(saves[0])
    if any("\0" in name for name in known) or any(Path(stored).name != stored for stored in files):
        return None
    return DeletedSave(folder, saves[0], files) if all(name in known for name in files.values()) else None


def deleted(run: Path) -> list[DeletedSave]:
    """List the saves in the trash of the run in a folder, those with a sound record."""
    found = (read_record(path.parent) for path in sorted((run / FOLDER).glob(f"*/{RECORD}")))
    return [one for one in found if one is not None]
