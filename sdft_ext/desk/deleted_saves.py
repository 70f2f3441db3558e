"""Saves that a user has deleted: they are moved to their run's own trash, and can be restored.

Each has a folder in ``RUN/trash``: its files, and ``save.json`` with its entry of the index and where each file was.
That record is written before the first file is moved.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..run_folder.lock import run_lock
from ..run_folder.saves import INDEX, Save, sound_entries
from ..storage import json_file
from ..storage.free_name import new_folder
from .errors import NotAllowed, NotFound, NotNow

FOLDER, RECORD = "trash", "save.json"


def deleted_saves(run: Path) -> list[dict[str, Any]]:
    """List the deleted saves of the run in a folder, by step: ``id``, ``name`` and ``step``."""
    found = []
    for record in (run / FOLDER).glob(f"*/{RECORD}"):
        with suppress(NotFound):
            save, _ = _read(record.parent)
            found.append({"id": record.parent.name, "name": Path(save.file).stem, "step": save.step})
    return sorted(found, key=lambda one: (one["step"], one["id"]))


def delete_save(run: Path, step: int) -> list[Path]:
    """Move the save of a step to the run's trash, with its extra files and its preview; return where they were.

    Raises NotFound, RunLocked while the run trains, NotAllowed where a file can't be moved; then none is.
    """
    with run_lock(run):
        index = _index(run)
        save = next((one for one in index if one.step == step and (run / "saves" / one.file).is_file()), None)
        if save is None:
            raise NotFound(f"There is no save of step {step}; reload the list.")
        path = run / "saves" / save.file
        extra = [run / "saves" / name for name in save.further]
        sources = [file for file in (path, path.with_name(f"{path.stem}.preview.png"), *extra) if file.is_file()]
        folder = new_folder(run / FOLDER, path.stem)
        moves = [(file, folder / f"{number}-{file.name}") for number, file in enumerate(sources)]
        files = {target.name: str(source) for source, target in moves}
        json_file.write(folder / RECORD, {"save": asdict(save), "files": files})
        _move(moves, folder)
        json_file.write(run / INDEX, [asdict(one) for one in index if one != save])
    return sources


def restore_save(run: Path, name: str) -> list[Path]:
    """Put a deleted save back, by its ``id``; return its files.

    Raises NotFound, NotNow where another save has taken its place, RunLocked while the run trains, NotAllowed where a
    file can't be moved; then none is.
    """
    if name not in [one["id"] for one in deleted_saves(run)]:
        raise NotFound(f"{name} is no deleted save of this run; reload the list.")
    folder = run / FOLDER / name
    with run_lock(run):
        save, files = _read(folder)
        index = _index(run)
        taken = [path for path in files.values() if Path(path).exists()]
        if taken or any(one.step == save.step for one in index):
            what = Path(taken[0]).name if taken else f"a save of step {save.step}"
            raise NotNow(f"{name} can't be restored: there is {what} again. Delete that one first.")
        moves = [(folder / stored, Path(path)) for stored, path in files.items() if (folder / stored).is_file()]
        _move(moves)
        json_file.write(run / INDEX, [asdict(one) for one in sorted([*index, save], key=lambda one: one.step)])
        (folder / RECORD).unlink()
        with suppress(OSError):
            folder.rmdir()
    return [target for _, target in moves]


def _index(run: Path) -> list[Save]:
    """Read the index of a run's saves. Raises JsonFileError where it is damaged, OSError where it can't be read."""
    return sound_entries(json_file.read(run / INDEX, missing=[]))


def _read(folder: Path) -> tuple[Save, dict[str, str]]:
    """Read the record of a deleted save: its entry, and where its files were. Raises NotFound for a damaged one."""
    record = json_file.read_or(folder / RECORD, {})
    saves, files = sound_entries([record.get("save")]), record.get("files")
    if not saves or not isinstance(files, dict) or any(Path(name).name != name for name in files):
        raise NotFound(f"{folder / RECORD} is damaged: the files in that folder can only be moved back by hand.")
    return saves[0], {str(name): str(path) for name, path in files.items()}


def _move(moves: Sequence[tuple[Path, Path]], made: Path | None = None) -> None:
    """Move files; where one can't be moved, put back the others, remove the folder ``made`` for them where it is empty
    then, and raise NotAllowed.
    """
    done: list[tuple[Path, Path]] = []
    try:
        for source, target in moves:
            shutil.move(str(source), str(target))
            done.append((source, target))
    except OSError as error:
        _put_back(done, source, target, made)
        raise NotAllowed(
            f"{source} can't be moved to {target.parent} ({error.strerror or error}): nothing was changed; close the "
            "program that uses it, or free space."
        ) from error


def _put_back(done: Sequence[tuple[Path, Path]], source: Path, target: Path, made: Path | None) -> None:
    """Undo moves after the one from ``source`` to ``target`` has failed, which may have left a part of the file."""
    with suppress(OSError):
        if source.exists():
            target.unlink(missing_ok=True)
    for before, after in done:
        with suppress(OSError):
            shutil.move(str(after), str(before))
    if made is not None and not any(path.name != RECORD for path in made.iterdir()):
        (made / RECORD).unlink(missing_ok=True)
        made.rmdir()
