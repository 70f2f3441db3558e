"""Write captions into their files: many at a time, none over what another program has written meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ..dataset.links import LinkError, check_write
from ..storage.text import printable
from . import files
from .entries import CaptionEntry, SaveResult
from .files import CaptionFormat, WriteConflict
from .journal import Journal
from .reader import Reader, signature_of

AT_ONCE = 250
"""Files written between two journal entries."""
WRITERS = 8
"""Files written at the same time: each waits for the disk."""


class Saver:
    """Writes the entries of a reader, none through a link. The caller holds the journal's lock during every call."""

    def __init__(self, reader: Reader, journal: Journal) -> None:
        self._reader, self._journal = reader, journal
        self._clean = False

    def remove_leftovers(self) -> None:
        """Remove, once, what killed programs left beside the captions."""
        if not self._clean:
            for folder in {self._reader.root, *(entry.file.parent for entry in self._reader.entries.values())}:
                files.clear(folder)
            self._clean = True

    def save(self, entries: Sequence[CaptionEntry]) -> SaveResult:
        """Write those of the entries that have changed. Raises CaptionsError where the journal can't be written."""
        conflicts = [entry.name for entry in entries if entry.conflict]
        waiting = [entry for entry in entries if entry.state == "changed"]
        notes: list[str] = []
        failed: list[tuple[str, str]] = []
        count = 0
        with ThreadPoolExecutor(WRITERS) as pool:
            for start in range(0, len(waiting), AT_ONCE):
                some = waiting[start : start + AT_ONCE]
                self._journal.add({"do": "save", "names": [entry.name for entry in some]})
                done = []
                for entry, outcome in zip(some, pool.map(self._try_write, some), strict=True):
                    entry.signature = None
                    if isinstance(outcome, WriteConflict):
                        conflicts.append(entry.name)
                    elif isinstance(outcome, Exception):
                        failed.append((entry.name, _reason(entry.file, outcome)))
                    else:
                        done.append(entry)
                        notes += self._mark_saved(entry, outcome)
                for folder in {entry.file.parent for entry in done}:
                    files.sync_folder(folder)
                self._journal.add({"do": "saved", "names": [entry.name for entry in done]})
                count += len(done)
        if any(self._reader.entries[name].signature is None for name in conflicts):
            self._reader.read_folder()
        return SaveResult(count, tuple(conflicts), tuple(failed), tuple(notes))

    def _try_write(self, entry: CaptionEntry) -> bool | Exception:
        """Return what ``_write`` returns or raises."""
        try:
            return self._write(entry)
        except (WriteConflict, OSError, LinkError) as error:
            return error

    def _write(self, entry: CaptionEntry) -> bool:
        """Write one caption's file, in any thread; return whether it kept its encoding."""
        path = entry.file
        check_write(self._reader.root, path)
        data, kept_encoding = (None, True) if entry.text is None else files.compose(entry.text, entry.form)
        base = entry.base
        files.replace(path, data, lambda now: (files.parse(now).text if now is not None else None) == base)
        return kept_encoding

    def _mark_saved(self, entry: CaptionEntry, kept_encoding: bool) -> list[str]:
        """Note that a caption's file holds its text; return what the user should know about it."""
        notes = []
        if not kept_encoding:
            entry.form = CaptionFormat(b"", "utf-8", entry.form.newline, entry.form.tail)
            notes.append(
                f"{printable(entry.file)} is UTF-8 now: its old encoding can't represent a character in the new text."
            )
        if not entry.exact:
            entry.exact = True
            notes.append(
                f"{printable(entry.file)} held damaged characters or mixed line endings; they were rewritten as shown."
            )
        entry.base = entry.text
        entry.signature = signature_of(entry.file)
        self._reader.bump(entry)
        return notes


def _reason(path: Path, error: Exception) -> str:
    if isinstance(error, OSError):
        return (
            f"{printable(path)} can't be written ({error.strerror or error}); its text is kept in the journal: free "
            f"some "
            "space, or change the folder's permissions, and save again."
        )
    return str(error)
