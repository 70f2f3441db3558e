"""Checks of uploaded files and archives before they reach a dataset: names, kinds and sizes.

An archive isn't trusted: names, sizes and links are checked before a byte is unpacked, and bytes are counted
meanwhile.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from ..dataset.listing import SKIPPED_FOLDERS
from ..dataset.pairing import CAPTION_ENDINGS
from ..dataset.pictures import EXTENSIONS, UNREADABLE, PictureError, read_header
from ..storage.text import printable
from .errors import DeskError

MOST_PICTURE, MOST_TEXT, MOST_ARCHIVE = 256 * 2**20, 2**20, 16 * 2**30
"""Most bytes of one file."""
MOST_UNPACKED, MOST_ENTRIES = 32 * 2**30, 100_000
"""Most bytes and files of one archive."""
MOST_LIST = 64 * 2**20
"""Bytes of an archive's list of entries."""
BOMB_RATIO, BOMB_FROM = 100, 8 * 2**20
"""Pictures hardly compress: a file that unpacks to over 100 times its size, and to over 8 MB, is a zip bomb."""
SPARE = 256 * 2**20
"""Bytes of the disk to leave free."""
DEEPEST, LONGEST = 12, 200
"""Nested folders; bytes of one name."""
MOST_SENTENCES = 50
"""Refusals that are listed one by one."""
BLOCK = 2**20
ARCHIVES = frozenset({".zip"})

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_WINDOWS = re.compile(r'[<>:"|?*]')
_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


class UploadError(DeskError):
    """Raised where a file is refused; the message names it and says why."""


@dataclass
class Refusals:
    """Sentences about files that were refused."""

    texts: list[str] = field(default_factory=list)
    more: int = 0
    neither: list[str] = field(default_factory=list)
    """Names of files that are neither pictures nor captions."""

    def add(self, text: str) -> None:
        if len(self.texts) < MOST_SENTENCES:
            self.texts.append(text)
        else:
            self.more += 1

    @property
    def sentences(self) -> list[str]:
        found = list(self.texts)
        if self.more:
            found.append(f"{self.more:,} more files were left out.")
        if self.neither:
            names = ", ".join(self.neither[:3]) + (" …" if len(self.neither) > 3 else "")
            found.append(f"{len(self.neither):,} left out, being neither pictures nor captions: {names}.")
        return found


def clean(name: str) -> tuple[str, ...] | None:
    """Split a name below the dataset's folder into its parts; None for hidden files and operating systems' own.

    Raises UploadError for a name that leads out of the folder.
    """
    readable = printable(name[:300])
    path = name.replace("\\", "/")
    if path.startswith("/") or re.match(r"[A-Za-z]:", path):
        raise UploadError(f"{readable} is an absolute path; pack the files with paths relative to their folder.")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise UploadError(f"{readable} leads out of the folder; it was not added.")
    if not parts or len(parts) > DEEPEST:
        raise UploadError(f"{readable} is nested too deeply; put the pictures into one folder.")
    if any(part.startswith(".") or part.lower() in SKIPPED_FOLDERS for part in parts):
        return None
    return tuple(_part(part) for part in parts)


def _part(name: str) -> str:
    """Return a name that every file system accepts: control characters are replaced, long names shortened."""
    text = _CONTROL.sub("_", name.encode("utf-8", "replace").decode())
    if os.name == "nt":
        text = _WINDOWS.sub("_", text).rstrip(". ")
        text = f"_{text}" if _DEVICE.fullmatch(text) else text
    text = text or "_"
    if len(text.encode()) > LONGEST:
        stem, ending = os.path.splitext(text)
        mark = hashlib.blake2b(name.encode("utf-8", "replace"), digest_size=4).hexdigest()
        room = LONGEST - len(ending[:20].encode()) - len(mark) - 1
        text = stem.encode()[:room].decode("utf-8", "ignore") + f"-{mark}{ending[:20]}"
    return text


def kind(name: str) -> str:
    """Return picture, text or archive; empty for files that are left out."""
    ending = os.path.splitext(name)[1].lower()
    if ending in EXTENSIONS:
        return "picture"
    if ending in CAPTION_ENDINGS:
        return "text"
    return "archive" if ending in ARCHIVES else ""


def refuse_kind(name: str, refusals: Refusals) -> None:
    """Add a refusal for a file of a kind that is left out."""
    ending = os.path.splitext(name)[1].lower()
    if ending in UNREADABLE:
        refusals.add(f"{printable(name)} is in a format that can't be read here ({ending}); save it as JPEG or PNG.")
    else:
        refusals.neither.append(printable(name))


def check(path: Path, name: str, what: str) -> None:
    """Raise UploadError where the file at ``path`` isn't of the kind that its ``name`` says."""
    if what != "picture":
        return
    try:
        read_header(path)
    except PictureError as error:
        raise UploadError(str(error).replace(printable(path), printable(name))) from error


def limit(what: str) -> int:
    return {"picture": MOST_PICTURE, "text": MOST_TEXT, "archive": MOST_ARCHIVE}[what]


def too_large(name: str, what: str) -> UploadError:
    return UploadError(f"{printable(name)} is larger than {limit(what) // 2**20:,} MB; make it smaller.")


Take = Callable[[tuple[str, ...], Callable[[Path], None]], None]
"""A function that accepts a file: the parts of its name, and a function that writes it to a path."""


def unpack(archive: Path, name: str, free: int, take: Take, refusals: Refusals) -> None:
    """Pass every picture and caption of a zip to ``take``. Raises UploadError where the whole archive is refused.

    ``free``: bytes free on the disk. ``refusals`` gets a sentence for each file that is refused.
    """
    try:
        with _CheckedList(archive, name) as file, zipfile.ZipFile(file) as opened:
            entries = opened.infolist()
            _check_sizes(entries, name, archive.stat().st_size, free)
            for entry in entries:
                _unpack_one(opened, entry, take, refusals)
    except zipfile.BadZipFile as error:
        raise UploadError(f"{printable(name)} can't be read as a zip ({error}); pack it again.") from error
    except (OSError, EOFError, NotImplementedError, UnicodeDecodeError) as error:
        raise UploadError(f"{printable(name)} can't be unpacked ({error}); pack it again, or free space.") from error


class _CheckedList(io.BufferedReader):
    """An archive's file that checks the list of entries before it is parsed: it grows far larger in memory."""

    _ENTRY = b"PK\x01\x02"

    def __init__(self, archive: Path, name: str) -> None:
        super().__init__(io.FileIO(archive))
        self._name = name

    def read(self, size: int | None = -1, /) -> bytes:
        """Read bytes. Raises UploadError where the list is far too large, or has too many entries."""
        if size is not None and size > MOST_LIST:
            raise UploadError(
                f"{printable(self._name)} is damaged, or lists far too many files; pack it again, with fewer files."
            )
        found = super().read(size)
        if found.count(self._ENTRY) > MOST_ENTRIES:
            raise UploadError(f"{printable(self._name)} contains more than {MOST_ENTRIES:,} files; pack fewer.")
        return found


def _check_sizes(entries: list[zipfile.ZipInfo], name: str, size: int, free: int) -> None:
    """Raise UploadError for a zip bomb, and for more than fits on the disk."""
    unpacked, packed = sum(entry.file_size for entry in entries), sum(entry.compress_size for entry in entries)
    if packed > size:
        raise UploadError(f"{printable(name)} contains the same bytes several times (a zip bomb); it was not unpacked.")
    if unpacked > MOST_UNPACKED or (unpacked > BOMB_FROM and unpacked > BOMB_RATIO * size):
        raise UploadError(
            f"{printable(name)} would unpack to {unpacked / 2**30:,.1f} GB, far more than its size allows (a zip "
            "bomb); it was not unpacked."
        )
    if unpacked > free - SPARE:
        raise UploadError(
            f"{printable(name)} needs {unpacked / 2**20:,.0f} MB, and the disk has {max(free, 0) / 2**20:,.0f} MB; "
            f"free space."
        )


def _unpack_one(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, take: Take, refusals: Refusals) -> None:
    name, mode = entry.filename, entry.external_attr >> 16
    if entry.is_dir():
        return
    try:
        # Python cuts a name at a NUL character; the whole name is checked.
        parts = clean(entry.orig_filename)
        if parts is None:
            return
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
            raise UploadError(f"{printable(name)} is a link or not a regular file; it was not unpacked.")
        what = kind(parts[-1])
        if what not in ("picture", "text"):
            refuse_kind(parts[-1], refusals)
            return
        _check_entry(entry, what)

        def write(path: Path) -> None:
            with opened.open(entry) as source, open(path, "wb") as target:
                for block in _blocks(source, entry.file_size):
                    target.write(block)
            check(path, name, what)

        take(parts, write)
    except UploadError as error:
        refusals.add(str(error))
    except DeskError:  # the upload has ended
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        refusals.add(f"{printable(name)} is damaged in its archive ({error}); pack it again.")


def _check_entry(entry: zipfile.ZipInfo, what: str) -> None:
    """Raise UploadError where an entry is encrypted, too large, or a zip bomb."""
    name = entry.filename
    if entry.flag_bits & 1:
        raise UploadError(f"{printable(name)} is protected by a password; pack it without one.")
    if entry.file_size > limit(what):
        raise too_large(name, what)
    if entry.file_size > BOMB_FROM and entry.file_size > BOMB_RATIO * max(entry.compress_size, 1):
        raise UploadError(
            f"{printable(name)} unpacks to far more than its size allows (a zip bomb); it was not unpacked."
        )


def _blocks(source: IO[bytes], most: int) -> Iterator[bytes]:
    left = most
    while block := source.read(BLOCK):
        left -= len(block)
        if left < 0:
            raise zipfile.BadZipFile("it is larger than its header says")
        yield block
