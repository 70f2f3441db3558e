"""The saved files of a run: their names, their index, and which old ones are deleted."""

from __future__ import annotations

import glob
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ..storage import atomic, json_file
from .save_names import TRY


@dataclass(frozen=True)
class Save:
    """One entry of the index. ``loss`` is the smoothed loss at that step; ``further`` are extra files that belong to
    the save; ``scheduled`` is false for one that was written on request, or because the run was stopped.
    """

    file: str
    step: int
    epoch: int
    loss: float | None
    further: list[str] = field(default_factory=list)
    scheduled: bool = True


INDEX = "saves/index.json"


Writer = Callable[[Path], Sequence[Path]]
"""Writes a save's file to the given path, and returns the extra files that it has written."""


class Saves:
    """The saves of one run, listed in ``saves/index.json``; that file is the truth.

    Files are written into ``folder``, extra files of a save into ``extra_folder``; the index holds absolute paths where
    that is not the run's own ``saves/``.
    """

    def __init__(
        self,
        run_folder: Path,
        name: str,
        keep_last: int,
        folder: Path | None = None,
        suffix: str = ".safetensors",
        extra_folder: Path | None = None,
    ) -> None:
        self.index_folder = run_folder / "saves"
        self.folder = folder or self.index_folder
        self.extra_folder = extra_folder or self.folder
        self.name, self.keep_last, self.suffix = name, keep_last, suffix

    def all(self) -> list[Save]:
        """List every save whose file still exists, oldest first. Raises OSError where the index can't be read."""
        return [save for save in read_index(self.index_folder.parent) if self.path(save).exists()]

    def paths(self) -> list[Path]:
        """List the files of all saves, oldest first."""
        return [self.path(save) for save in self.all()]

    def path(self, save: Save) -> Path:
        """Give the path of a save's file."""
        return self.index_folder / save.file

    def clear(self) -> None:
        """Delete what a killed run left half written: a host would list it among its LoRAs. Other runs' files stay."""
        whole = glob.escape(self.name[:40])
        for ending in ("", "-??????", f"{TRY}-??????"):
            atomic.clear(self.folder, whole + ending[: max(0, 40 - len(self.name))])
        if self.extra_folder != self.index_folder:
            atomic.clear(self.extra_folder, f"{whole}-*")

    def write_try(self, step: int, writer: Writer) -> list[Path]:
        """Write a temporary save, which no index lists, and its extra files; returns all paths. Raises OSError as
        ``write``.
        """
        path = self.folder / f"{self.name}{TRY}-{step:06d}{self.suffix}"
        self.folder.mkdir(parents=True, exist_ok=True)
        return [path, *writer(path)]

    def tries(self) -> list[Path]:
        """List the existing temporary saves and their extra files."""
        begun = f"{glob.escape(self.name)}{TRY}-[0-9][0-9][0-9][0-9][0-9][0-9]"
        found = [*self.folder.glob(begun + self.suffix)]
        for folder in {self.folder, self.extra_folder}:
            found += folder.glob(f"{begun}-*{self.suffix}")
            found += folder.glob(f"{begun}.yaml")
        return sorted(found)

    def files(self, save: Save) -> list[Path]:
        """List all files of a save, its own first."""
        return [self.path(save), *(self.index_folder / name for name in save.further)]

    def write(
        self,
        step: int,
        epoch: int,
        loss: float | None,
        last: bool,
        writer: Writer,
        scheduled: bool = True,
        best: int | None = None,
    ) -> Path:
        """Let ``writer`` write the file of this step, index it, and delete the oldest saves beyond ``keep_last``.

        ``keep_last`` scheduled saves stay, and as many others: a save on request deletes no scheduled one. The save of
        step ``best`` stays, too. A save of
        the same step (a resumed run repeats it) is replaced; nothing else is. Returns the file's path.
        Raises OSError that names the file where it can't be written; earlier saves stay.
        """
        path = self.folder / f"{self.name if last else f'{self.name}-{step:06d}'}{self.suffix}"
        self.folder.mkdir(parents=True, exist_ok=True)
        further = [self.listed(one) for one in writer(path)]
        file = self.listed(path)
        entries = [save for save in self.all() if save.step < step and save.file != file]
        entries.append(Save(file, step, epoch, loss, further, scheduled))
        old = [save for save in self._too_old(entries) if save.step != best]
        kept = [save for save in entries if save not in old]
        # Deleted before the index is written: a run killed in between leaves no file that no index lists.
        for one in (one for save in old for one in self.files(save)):
            one.unlink(missing_ok=True)
        json_file.write(self.index_folder / "index.json", [asdict(save) for save in kept])
        return path

    def _too_old(self, entries: Sequence[Save]) -> list[Save]:
        """List the saves beyond ``keep_last``, of the scheduled ones and of the others."""
        if not self.keep_last:
            return []
        kinds = [[save for save in entries if save.scheduled is kind] for kind in (True, False)]
        return [save for same in kinds for save in same[: -self.keep_last]]

    def listed(self, path: Path) -> str:
        """Name a file as the index does: beside it, or by its absolute path."""
        return path.name if path.parent == self.index_folder else str(path.resolve())


def read_index(run_folder: Path) -> list[Save]:
    """Read the index of a run's saves; what is damaged in it is left out. Raises OSError where it can't be read."""
    try:
        return sound_entries(json_file.read(run_folder / INDEX, missing=[]))
    except json_file.JsonFileError:
        return []


def existing(run_folder: Path) -> list[Save]:
    """List a run's saves whose files still exist, oldest first. Raises OSError where the index can't be read."""
    return [save for save in read_index(run_folder) if (run_folder / "saves" / save.file).exists()]


def sound_entries(listed: object) -> list[Save]:
    """Keep the entries of an index that are complete."""
    found = []
    for entry in listed if isinstance(listed, list) else ():
        try:
            save = Save(**entry)
        except TypeError:
            continue
        if isinstance(save.file, str) and isinstance(save.step, int):
            found.append(save)
    return found
