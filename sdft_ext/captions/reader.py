"""Read a folder's pictures and caption files, and take over what other programs have written."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ..dataset import links
from ..dataset.folder import CAPTION_BYTES
from ..dataset.links import MayRead
from ..dataset.listing import PICTURE_STARTS, DatasetError, ListedPicture, list_pictures, unused_text
from ..dataset.pictures import Header, PictureError, read_header
from ..storage.text import printable
from . import files
from .entries import CaptionEntry, Picture, Signature
from .errors import CaptionsError
from .files import ParsedCaption
from .journal import Journal
from .journal_lines import Text

MAX_TEXT_FILE = 2**20
"""Bytes; a longer text file is left alone."""
RECENT = 50_000_000
"""Nanoseconds: changes of a folder that follow each other so quickly may carry the same modification time."""


class Reader:
    """The pictures and captions below ``root`` as they are on disk, with the edits that the journal holds.

    ``entries`` are the captions by name, ``pictures`` by id. ``revision`` grows with each change, and each picture
    carries that of its last one; ``removed`` maps ids of pictures that are gone to the revision in which they went.
    ``problems`` are sentences about files that can't be used. ``may_read`` says which places links may lead to.
    """

    def __init__(self, root: Path, journal: Journal, may_read: MayRead) -> None:
        self.root = root
        self.revision = 1
        self.problems: list[str] = []
        self.removed: dict[int, int] = {}
        self.pictures: dict[int, Picture] = {}
        self.entries: dict[str, CaptionEntry] = {}
        self._journal, self._may_read = journal, may_read
        self._ids: dict[str, int] = {}
        self._headers: dict[str, tuple[int, int, Header | str]] = {}
        self._folders: dict[str, int] = {}

    def refresh(self) -> None:
        """Read what has changed on disk. Raises CaptionsError where the folder is gone, or holds no picture any
        more.
        """
        if self._folders and self._folders == _folder_times(self._folders, time.time_ns()):
            self._read_files()
        else:
            self.read_folder()

    def reload(self) -> None:
        """Read everything, and consult the journal for each caption, as after a start. Raises CaptionsError."""
        for entry in self.entries.values():
            entry.signature = None
        self.read_folder(anew=True)

    def bump(self, entry: CaptionEntry) -> None:
        """Count a change of a caption."""
        self.revision += 1
        for id in entry.ids:
            if id in self.pictures:
                self.pictures[id].revision = self.revision

    def _read_files(self) -> None:
        """Read each file that has changed: none has come or gone, but pictures may have been overwritten in place."""
        for path, (size, mtime_ns, _) in self._headers.items():
            if _size_and_time(path) != (size, mtime_ns):
                self.read_folder()
                return
        for entry in self.entries.values():
            if self._read_caption(entry, anew=False):
                self.bump(entry)

    def read_folder(self, anew: bool = False) -> None:
        """List the folder, and read what is new. ``anew``: as ``reload`` does. Raises CaptionsError."""
        started, self._folders = time.time_ns(), {}
        try:
            listing = list_pictures(self.root, self._may_read)
        except DatasetError as error:
            raise CaptionsError(str(error)) from error
        folders, found = _folder_times(map(str, listing.folders), started), listing.pictures
        texts = [problem.text for problem in listing.problems]
        if listing.unused_texts:
            texts.append(unused_text(listing.unused_texts))
        headers = self._read_headers(found)
        present: set[str] = set()
        touched: set[str] = set()
        for file in found:
            header = headers[str(file.path)]
            if isinstance(header, str):
                texts.append(header)
                continue
            entry = self._entry_of(file)
            if entry.name not in touched:
                touched.add(entry.name)
                entry.fallback, entry.from_folder = file.fallback, file.from_folder
                if self._read_caption(entry, anew):
                    self.bump(entry)
            if entry.locked:
                texts.append(entry.locked)
            elif entry.signature is not None and entry.signature[0] > CAPTION_BYTES:
                texts.append(
                    f"{printable(entry.file)} is longer than {CAPTION_BYTES // 1024} kB, so training ignores it; "
                    f"shorten it."
                )
            present.add(self._add_picture(file, header, entry))
        self._remove_others(present, touched)
        if not self.pictures:
            raise CaptionsError(
                f"The folder {printable(self.root)} contains no pictures; put JPEG, PNG or WebP files there. "
                f"{' '.join(texts[:3])}"
            )
        self.problems, self._folders = texts, folders

    def _remove_others(self, pictures: set[str], entries: set[str]) -> None:
        """Forget pictures and captions that aren't in the folder any more; these are."""
        for picture in [p for p in self.pictures.values() if p.name not in pictures]:
            del self.pictures[picture.id]
            self.revision += 1
            self.removed[picture.id] = self.revision
        for name in self.entries.keys() - entries:
            del self.entries[name]

    def _read_headers(self, found: Sequence[ListedPicture]) -> dict[str, Header | str]:
        """Return each picture's header, or a sentence why it can't be used; only new and changed files are read."""
        now: dict[str, tuple[int, int]] = {}
        for file in found:
            now[str(file.path)] = _size_and_time(file.entry)
        new = [f.path for f in found if self._headers.get(str(f.path), (None, None))[:2] != now[str(f.path)]]
        with ThreadPoolExecutor(2) as pool:
            for path, header in zip(new, pool.map(_header, new), strict=True):
                self._headers[str(path)] = (*now[str(path)], header)
        self._headers = {name: self._headers[name] for name in now}
        return {name: known[2] for name, known in self._headers.items()}

    def _entry_of(self, file: ListedPicture) -> CaptionEntry:
        name = os.path.splitext(self._name(file.path))[0]
        entry = self.entries.get(name)
        if entry is not None and file.text_file is None and entry.file.suffix == ".txt":
            return entry
        path = file.text_file or file.path.with_name(f"{os.path.splitext(file.path.name)[0]}.txt")
        if entry is None:
            entry = self.entries[name] = CaptionEntry(name, path, file.fallback, file.from_folder)
        elif entry.file != path:
            entry.file, entry.signature = path, None
        return entry

    def _name(self, path: Path) -> str:
        """Return a path below the folder, with ``/``. Without ``relative_to``: 5,000 of those take a fifth of a
        second.
        """
        return str(path)[len(str(self.root)) :].replace(os.sep, "/").lstrip("/")

    def _add_picture(self, file: ListedPicture, header: Header, entry: CaptionEntry) -> str:
        name = self._name(file.path)
        size, mtime_ns, _ = self._headers[str(file.path)]
        id = self._ids.setdefault(name, len(self._ids))
        entry.ids.add(id)
        known = self.pictures.get(id)
        if known is None or (known.size, known.mtime_ns) != (size, mtime_ns):
            self.revision += 1
            self.removed.pop(id, None)
            concept = name.rpartition("/")[0]
            sides = header.width, header.height
            self.pictures[id] = Picture(id, name, file.path, concept, *sides, size, mtime_ns, entry, self.revision)
        else:
            known.entry = entry
        return name

    def _read_caption(self, entry: CaptionEntry, anew: bool) -> bool:
        """Read a caption's file where it has changed; return whether the caption or its state is another one now."""
        signature = signature_of(entry.file)
        anew = anew or entry.fresh
        if signature == entry.signature and not anew:
            return False
        entry.fresh = False
        before = (entry.text, entry.state)
        written, entry.locked = self._parse(entry.file, signature)
        entry.signature = signature
        if entry.locked:
            entry.base = entry.text = ""
            entry.conflict, entry.fresh = False, True  # once it can be read, the journal says what it was to become
            return before != (entry.text, entry.state)
        disk = written.text if written is not None else None
        if entry.file.is_symlink():
            entry.base = entry.text = disk
            entry.conflict, entry.theirs, entry.fresh = False, None, True
            entry.locked = (
                f"{printable(entry.file)} is a link, and nothing is written through links: replace it with a copy of "
                "what it leads to, to edit this caption."
            )
        else:
            self._settle(entry, disk, anew)
        if written is not None:
            entry.form = written.form
        entry.exact = written is None or written.exact
        return before != (entry.text, entry.state)

    def _parse(self, path: Path, signature: Signature | None) -> tuple[ParsedCaption | None, str]:
        """Return what ``_parse_file`` does; None where there is no file, and a sentence about a link out."""
        if path.is_symlink() and not self._may_read(path):
            return None, links.left_out(path)
        return (None, "") if signature is None else _parse_file(path, signature[0])

    def _settle(self, entry: CaptionEntry, disk: Text, anew: bool) -> None:
        """Set a caption's texts now that its file holds ``disk``. ``anew``: by the journal, as after a start."""
        known = {entry.base}  # what the file may hold if no other program has written it
        if anew:
            pending = self._journal.history.texts.get(entry.name)
            known = set(pending.bases) if pending is not None else {disk}
            entry.text = pending.text if pending is not None else disk
            entry.base = next((text for text in known if text != entry.text), entry.text)
        entry.conflict, entry.theirs = False, None
        if disk == entry.text or known == {entry.text}:
            entry.base = entry.text = disk
        elif disk in known:
            entry.base = disk
        else:
            entry.conflict, entry.theirs = True, disk


def signature_of(path: Path) -> Signature | None:
    """Return what tells a changed file from an unchanged one; None where there is no such file."""
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return stat.st_size, stat.st_mtime_ns, stat.st_ino


def _parse_file(path: Path, size: int) -> tuple[ParsedCaption | None, str]:
    """Return a caption file's text, or None and, where it can't be edited, a sentence that says why."""
    if size > MAX_TEXT_FILE:
        return None, f"{printable(path)} is longer than 1 MB, too long for a caption; shorten it, or remove it."
    try:
        data = files.read(path)
    except OSError as error:
        return None, f"{printable(path)} can't be read ({error.strerror}); change its permissions."
    if data is None:
        return None, ""
    if data.startswith(PICTURE_STARTS):
        return None, f"{printable(path)} contains a picture, not a caption; give it a picture's extension."
    return files.parse(data), ""


def _header(path: Path) -> Header | str:
    try:
        return read_header(path)
    except PictureError as error:
        return str(error)


def _folder_times(folders: Iterable[str], now: int) -> dict[str, int]:
    """Return each folder's modification time, which changes when a file in it comes or goes; nothing where one is
    recent, or later than ``now`` (nanoseconds).
    """
    found = {}
    for folder in folders:
        try:
            found[folder] = os.stat(folder).st_mtime_ns
        except OSError:
            return {}
    return {} if any(now - changed < RECENT for changed in found.values()) else found


def _size_and_time(file: os.DirEntry[str] | str) -> tuple[int, int]:
    """Return bytes and nanoseconds; -1 for both where they can't be read."""
    try:
        stat = file.stat() if isinstance(file, os.DirEntry) else os.stat(file)
    except OSError:
        return -1, -1
    return stat.st_size, stat.st_mtime_ns
