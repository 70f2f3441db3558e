"""Saves that a user has deleted: they are moved to their run's own trash, and can be restored.

Each has a folder there with its files and a record (``run_folder.trash``), which is written before the first file is
moved. What a kill or a full disk has interrupted is completed by deleting or restoring the save once more.
"""

from __future__ import annotations

import errno
import filecmp
import glob
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..run_folder import log, trash
from ..run_folder.lock import run_lock
from ..run_folder.repair import listed_saves
from ..run_folder.saves import INDEX, Save, sound_entries
from ..run_folder.trash import RECORD, DeletedSave
from ..storage import atomic, json_file
from ..storage.free_name import new_folder
from .errors import NotAllowed, NotFound, NotNow


def deleted_saves(run: Path) -> list[dict[str, Any]]:
    """List the deleted saves of the run in a folder, by step: ``id``, ``name`` and ``step``."""
    index = sound_entries(json_file.read_or(run / INDEX, []))
    found = [
        {"id": one.folder.name, "name": Path(one.save.file).stem, "step": one.save.step}
        for one in trash.deleted(run)
        if _can_be_restored(run, one, index)
    ]
    return sorted(found, key=lambda one: (one["step"], one["id"]))


def delete_save(run: Path, step: int) -> list[Path]:
    """Move the save of a step to the run's trash, with its extra files and its preview; return where they were.

    Raises NotFound, RunLocked while the run trains, NotAllowed where a file can't be moved, OSError where the index
    can't be written; then none is moved.
    """
    with run_lock(run):
        index = _index(run)
        save = next((one for one in index if one.step == step and _path(run, one.file).is_file()), None)
        if save is None:
            raise NotFound(f"There is no save of step {step}; reload the list.")
        _tidy(run, index)
        names = [name for name in trash.names(save) if _path(run, name).is_file()]
        folder = new_folder(run / trash.FOLDER, Path(save.file).stem)
        files = {f"{number}-{Path(name).name}": name for number, name in enumerate(names)}
        try:
            json_file.write(folder / RECORD, {"save": asdict(save), "files": files})
        except OSError:
            _remove(folder)
            raise
        moves = [(_path(run, name), folder / stored) for stored, name in files.items()]
        _move(moves, run, [one for one in index if one != save], folder)
    return [source for source, _ in moves]


def restore_save(run: Path, name: str) -> list[Path]:
    """Put a deleted save back, by its ``id``; return its files.

    Raises NotFound, NotNow where another save has taken its place, RunLocked while the run trains, NotAllowed where a
    file can't be moved, or would be moved to a folder that the run doesn't save to, OSError where the index can't be
    written; then none is moved.
    """
    with run_lock(run):
        index = _index(run)
        known = [one for one in trash.deleted(run) if _can_be_restored(run, one, index)]
        found = next((one for one in known if one.folder.name == name), None)
        if found is None:
            raise NotFound(f"{name} is no deleted save of this run; reload the list.")
        _check_folders(run, found, index)
        moves, copied = [], []
        for stored, listed in found.files.items():
            source, target = found.folder / stored, _path(run, listed)
            with suppress(OSError):
                atomic.clear(target.parent, glob.escape(target.stem[:40]))
            if source.is_file() and target.exists() and filecmp.cmp(source, target, shallow=False):
                copied.append(source)
            elif source.is_file():
                moves.append((source, target))
        _check_place(run, found, index, [target for _, target in moves])
        others = [one for one in index if one.step != found.save.step and one.file != found.save.file]
        _move(moves, run, sorted([*others, found.save], key=lambda one: one.step))
        with suppress(OSError):
            for path in (*copied, found.folder / RECORD):
                path.unlink()
            found.folder.rmdir()
    return [path for listed in found.files.values() if (path := _path(run, listed)).is_file()]


def _path(run: Path, name: str) -> Path:
    """Give the path of a file that the index names."""
    return run / "saves" / name


def _index(run: Path) -> list[Save]:
    """Read the index of a run's saves. Raises JsonFileError where it is damaged, OSError where it can't be read."""
    return sound_entries(json_file.read(run / INDEX, missing=[]))


def _can_be_restored(run: Path, one: DeletedSave, index: Sequence[Save]) -> bool:
    """Tell whether a save in the trash has its file, and whether something is left to do until it is restored."""
    in_place = _path(run, one.save.file).is_file()
    listed = in_place and any((other.file, other.step) == (one.save.file, one.save.step) for other in index)
    stored = one.stored
    return (in_place or one.save.file in stored) and not (listed and not stored)


def _check_place(run: Path, found: DeletedSave, index: Sequence[Save], targets: Sequence[Path]) -> None:
    """Raise NotNow where a file has taken the place of one that is restored, or another save that of its step. Entries
    of the index whose file is missing don't count.
    """
    save = found.save
    taken = [path.name for path in targets if path.exists()]
    for one in index:
        if (one.file, one.step) != (save.file, save.step) and _path(run, one.file).is_file():
            taken += [Path(one.file).name] * (one.file == save.file)
            taken += [f"a save of step {save.step}"] * (one.step == save.step)
    if taken:
        raise NotNow(f"{found.folder.name} can't be restored: there is {taken[0]} again. Delete that one first.")


def _check_folders(run: Path, found: DeletedSave, index: Sequence[Save]) -> None:
    """Raise NotAllowed where a file would be restored to another folder than the run's own saves or those of the host
    that its index or its log names: a folder of runs may have been copied from anywhere.
    """
    wanted = {_path(run, name).parent for name in found.files.values()} - {run / "saves"}
    if wanted and (other := wanted - set(_folders(index))):
        other -= set(_folders(Save(**entry) for entry in listed_saves(log.read(run))))
        for folder in other:
            raise NotAllowed(
                f"{found.folder.name} can't be restored to {folder}, where this run has no other save: move its files "
                f"from {found.folder} by hand."
            )


def _folders(saves: Iterable[Save]) -> Iterator[Path]:
    """Yield the folders of saves that are outside of the run's own."""
    for save in saves:
        yield from (Path(str(name)).parent for name in (save.file, *save.further) if Path(str(name)).is_absolute())


def _tidy(run: Path, index: Sequence[Save]) -> None:
    """Remove what an interrupted deletion has left in the trash: unfinished copies, and records without files of saves
    that are still in their place.
    """
    for folder in (run / trash.FOLDER).glob("*"):
        with suppress(OSError):
            atomic.clear(folder)
            record = trash.read_record(folder)
            if record is not None and not record.stored and record.save in index:
                (folder / RECORD).unlink()
            folder.rmdir()  # where it is empty


def _move(moves: Sequence[tuple[Path, Path]], run: Path, index: Sequence[Save], made: Path | None = None) -> None:
    """Move files, then write the index. Where either fails, put the files back, remove the folder ``made`` for them
    where it is empty then, and raise NotAllowed, or OSError for the index.
    """
    done: list[tuple[Path, Path]] = []
    try:
        for source, target in moves:
            try:
                _move_file(source, target)
            except OSError as error:
                raise NotAllowed(
                    f"{source} can't be moved to {target.parent} ({error.strerror or error}): nothing was changed; "
                    "close the program that uses it, or free space."
                ) from error
            done.append((source, target))
        json_file.write(run / INDEX, [asdict(one) for one in index])
    except (NotAllowed, OSError):
        _put_back(done, made)
        raise


def _move_file(source: Path, target: Path) -> None:
    """Move a file, also to another disk; there, it gets its name when it is complete. Raises OSError."""
    try:
        os.rename(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        atomic.write(target, lambda file: shutil.copy2(source, file) and None)
        try:
            source.unlink()
        except OSError:
            target.unlink(missing_ok=True)
            raise


def _put_back(done: Sequence[tuple[Path, Path]], made: Path | None) -> None:
    """Undo moves; remove the record in the folder ``made`` for them, and that folder, where it holds nothing else."""
    for before, after in done:
        with suppress(OSError):
            _move_file(after, before)
    if made is not None:
        _remove(made)


def _remove(folder: Path) -> None:
    """Remove a folder of the trash where it holds no more than its record."""
    with suppress(OSError):
        if not any(path.name != RECORD for path in folder.iterdir()):
            (folder / RECORD).unlink(missing_ok=True)
            folder.rmdir()
