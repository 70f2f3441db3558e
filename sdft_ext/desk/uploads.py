"""Pictures that a page sends: gathered beside the dataset, then put into it all at once, never over what is there.

What arrives lies in ``.sdft/incoming`` of the folder that it is for. Until the end nothing in the dataset has changed;
a picture keeps its caption and mask when it gets another name because its own is taken.
"""

from __future__ import annotations

import filecmp
import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from ..dataset import names
from ..storage.hidden_folder import HiddenFolderError, hidden_folder
from ..storage.text import printable
from .errors import DeskError, NotAllowed, NotFound, NotNow
from .folders import Folders
from .unpack import BLOCK, SPARE, Refusals, UploadError, check, clean, kind, limit, refuse_kind, too_large, unpack

INCOMING = "incoming"
MOST_OPEN = 16
STALE = 3600.0
"""Seconds without a file, after which an upload that nobody ended is thrown away."""
LEFT_BEHIND = 24 * 3600.0
"""Age of what a program that is gone has left."""


@dataclass
class Upload:
    """Files on their way into ``folder``."""

    id: str
    folder: Path
    place: Path
    made: bool
    """Whether the folder was made for it."""
    files: list[tuple[tuple[str, ...], Path]] = field(default_factory=list)
    """Parts of the name, and where the file waits."""
    refusals: Refusals = field(default_factory=Refusals)
    touched: float = field(default_factory=time.monotonic)
    lock: threading.Lock = field(default_factory=threading.Lock)
    over: bool = False

    def check(self) -> None:
        """Raises NotNow where the upload has ended."""
        if self.over:
            raise NotNow("This upload has ended meanwhile; begin again.")

    def waiting(self) -> Path:
        return self.place / f"{len(self.files)}-{secrets.token_hex(4)}"


class Receiver:
    """Writes one file of an upload as it comes. Use as a context; ``end`` once all of it is there."""

    def __init__(self, upload: Upload, name: str, parts: tuple[str, ...], what: str) -> None:
        self.upload, self.name, self.parts, self.what = upload, name, parts, what
        self._path = upload.waiting()
        self._size = self._since = 0
        try:
            self._file: BinaryIO = open(self._path, "wb")  # noqa: SIM115 (closed by ``close``)
        except OSError as error:
            raise _unwritable(upload.folder, error) from error

    def write(self, data: bytes) -> None:
        """Raises UploadError where the file is too large or the disk too full, NotNow where the upload has ended."""
        self.upload.check()
        self._size += len(data)
        self._since += len(data)
        if self._size > limit(self.what):
            raise too_large(self.name, self.what)
        if self._since > 16 * BLOCK:
            self._since = 0
            if shutil.disk_usage(self.upload.place).free < SPARE:
                raise UploadError(f"The disk is full: {printable(self.name)} was not taken; free space.")
        try:
            self._file.write(data)
        except OSError as error:
            raise _unwritable(self.upload.folder, error) from error
        self.upload.touched = time.monotonic()

    def end(self) -> None:
        """All of the file is there: look at it, or unpack it. Raises UploadError where it isn't taken."""
        self._file.close()
        upload = self.upload
        with upload.lock:
            upload.check()
            if self.what == "archive":
                free = shutil.disk_usage(upload.place).free
                unpack(self._path, self.name, free, self._take, upload.refusals)
            else:
                check(self._path, self.name, self.what)
                upload.files.append((self.parts, self._path))
                self._path = Path()

    def _take(self, parts: tuple[str, ...], write: Callable[[Path], None]) -> None:
        self.upload.check()
        path = self.upload.waiting()
        try:
            write(path)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        self.upload.files.append((parts, path))
        self.upload.touched = time.monotonic()

    def close(self) -> None:
        """Leave nothing behind of a file that wasn't taken."""
        self._file.close()
        if self._path != Path():
            self._path.unlink(missing_ok=True)


class Uploads:
    """``home`` holds the folders of datasets that are made here."""

    def __init__(self, folders: Folders, home: Path) -> None:
        self._folders, self.home = folders, home
        self._open: dict[str, Upload] = {}
        self._lock = threading.Lock()

    def begin(self, folder: str, name: str) -> Upload:
        """Into a folder that may be used, or, without one, into a new one of this name. Raises DeskError."""
        self._sweep()
        with self._lock:
            if len(self._open) >= MOST_OPEN:
                raise NotNow("Too many uploads are going on; wait until one is done.")
        with self._lock:  # one that ends meanwhile would take away the folder that both lie in
            path, made = self._named(folder) if folder.strip() else (self._new(name), True)
            try:
                place = hidden_folder(path, INCOMING, secrets.token_hex(8), make=True)
            except HiddenFolderError as error:
                if made:
                    _remove_empty(path)
                raise DeskError(str(error)) from error
            upload = Upload(place.name, path, place, made)
            self._open[upload.id] = upload
        self._clear(place.parent)
        return upload

    def get(self, id: str) -> Upload:
        with self._lock:
            return _known(self._open.get(id))

    def receive(self, id: str, name: str) -> Receiver | None:
        """What takes a file of this name; None where such files are left out. Raises UploadError for a bad name."""
        upload = self.get(id)
        upload.touched = time.monotonic()
        if not upload.folder.is_dir():
            self.cancel(id)
            raise NotFound(f"The folder {printable(upload.folder)} is gone; put it back, and send the pictures again.")
        parts = clean(name)
        if parts is None:
            return None
        what = kind(parts[-1])
        if not what:
            refuse_kind(parts[-1], upload.refusals)
            return None
        return Receiver(upload, name, parts, what)

    def cancel(self, id: str) -> None:
        """Throw away what has come."""
        upload = self._out(id)
        upload.over = True  # what is being unpacked ends at its next file
        with upload.lock:
            self._end(upload)

    def finish(self, id: str) -> dict[str, object]:
        """Put everything into the dataset, and say what came of it. Raises DeskError where nothing can be put there."""
        upload = self._out(id)
        with upload.lock:
            try:
                if not upload.folder.is_dir():
                    raise NotFound(
                        f"The folder {printable(upload.folder)} is gone; put it back, and send the pictures again."
                    )
                return _place(upload)
            finally:
                self._end(upload)

    def close(self) -> None:
        for upload in self._all():
            self._try_cancel(upload)

    def _named(self, text: str) -> tuple[Path, bool]:
        path = self._folders.place(text)
        if path.is_dir():
            return path, False
        if path.exists():
            raise DeskError(f"{printable(path)} is a file; name a folder for the pictures.")
        if not path.parent.is_dir():
            raise NotFound(f"The folder {printable(path.parent)} does not exist; check its name.")
        try:
            path.mkdir()
        except OSError as error:
            raise _unwritable(path.parent, error) from error
        return path, True

    def _new(self, name: str) -> Path:
        wanted = re.sub(r"[^\w .()-]+", "_", name, flags=re.UNICODE).strip(" .")[:60] or "pictures"
        if os.name == "nt":
            wanted = (clean(wanted) or ("pictures",))[-1]
        number = 1
        while True:
            path = self.home / (wanted if number == 1 else f"{wanted}-{number}")
            number += 1
            try:
                path.mkdir(parents=True)
                return path
            except FileExistsError:
                continue
            except OSError as error:
                raise _unwritable(self.home, error) from error

    def _sweep(self) -> None:
        """Throw away uploads that nobody ended."""
        for upload in self._all():
            if time.monotonic() - upload.touched > STALE:
                self._try_cancel(upload)

    def _out(self, id: str) -> Upload:
        """An upload that ends now: only one who asks gets it. Raises NotFound."""
        with self._lock:
            return _known(self._open.pop(id, None))

    def _all(self) -> list[Upload]:
        with self._lock:
            return list(self._open.values())

    def _try_cancel(self, upload: Upload) -> None:
        try:
            self.cancel(upload.id)
        except NotFound:  # somebody else has just ended it
            return

    def _clear(self, incoming: Path) -> None:
        """What a program that is gone has left in a folder."""
        known = {upload.id for upload in self._all()}
        try:
            found = os.listdir(incoming)
        except OSError:
            return
        for name in found:
            try:
                age = time.time() - (incoming / name).stat().st_mtime
            except OSError:  # it ends just now
                continue
            if name not in known and age > LEFT_BEHIND:
                shutil.rmtree(incoming / name, ignore_errors=True)

    def _end(self, upload: Upload) -> None:
        upload.over = True
        shutil.rmtree(upload.place, ignore_errors=True)
        with self._lock:
            _remove_empty(upload.place.parent)
            _remove_empty(upload.place.parent.parent)
            if upload.made:
                _remove_empty(upload.folder)


def _known(upload: Upload | None) -> Upload:
    if upload is None:
        raise NotFound("This upload is not known any more; begin again.")
    return upload


def _place(upload: Upload) -> dict[str, object]:
    """Move what waits into the dataset: each picture with its caption and mask, under a name that is free."""
    families: dict[tuple[tuple[str, ...], str], list[tuple[str, Path]]] = {}
    for parts, path in upload.files:
        families.setdefault((parts[:-1], _base(parts[-1]).casefold()), []).append((parts[-1], path))
    added = {"picture": 0, "text": 0}
    same = renamed = 0
    folders: dict[Path, _There] = {}
    for number, ((parents, _), family) in enumerate(sorted(families.items())):
        folder = upload.folder.joinpath(*parents)
        try:
            _make(folder, upload.folder)
            if folder not in folders:
                folders[folder] = _There(folder)
            there = folders[folder]
            moves, equal = _moves(there, _once(family, upload.refusals), upload.refusals)
            for source, target in moves:
                _put(source, target)
                there.add(target.name)
                added[kind(target.name)] += 1
            same += equal
            renamed += any(target.name not in {name for name, _ in family} for _, target in moves)
        except NotAllowed as error:
            upload.refusals.add(str(error))
        except OSError as error:
            left = len(families) - number
            upload.refusals.add(
                f"{printable(folder)} can't be written ({error.strerror or error}): {left:,} pictures were not added; change "
                "its permissions or free space, and send them again."
            )
            break
    return {
        "folder": str(upload.folder),
        "pictures": added["picture"],
        "captions": added["text"],
        "same": same,
        "renamed": renamed,
        "refused": upload.refusals.told,
    }


class _There:
    """The files of one folder: by their names, and by what a picture, its caption and its mask have in common."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._names: dict[str, str] = {}
        self._families: dict[str, list[str]] = {}
        for name in os.listdir(folder):
            self.add(name)

    def add(self, name: str) -> None:
        self._names[name.casefold()] = name
        self._families.setdefault(_base(name).casefold(), []).append(name)

    def family(self, name: str) -> list[str]:
        return self._families.get(_base(name).casefold(), [])

    def holds(self, name: str) -> bool:
        return name.casefold() in self._names

    def same(self, name: str, path: Path) -> bool:
        """Whether a file of this name is there, byte for byte."""
        known = self._names.get(name.casefold())
        return known is not None and filecmp.cmp(self.folder / known, path, shallow=False)


def _moves(
    there: _There, family: Sequence[tuple[str, Path]], refusals: Refusals
) -> tuple[list[tuple[Path, Path]], int]:
    """(from, to) of a picture and what belongs to it, and how many of them are there already, byte for byte.

    A new picture never gets the words or the mask of another one: where any are in the way, all get a number.
    """
    sent = {name.casefold() for name, _ in family}
    beside = there.family(family[0][0])
    masks = {name for name in (*sent, *beside) if _is_mask(name)}
    pictures = {name for name in (*sent, *beside) if kind(name) == "picture"} - masks
    if not pictures:  # what is named like a mask, and is for nothing, is a picture itself
        pictures, masks = masks, set()
    equal = {name for name, path in family if there.same(name, path)}
    new = [name for name, _ in family if name.casefold() in pictures and name not in equal]
    differing = [name for name, _ in family if name not in equal and there.holds(name)]
    others = any(name in pictures and name.casefold() not in sent for name in beside)
    if not new or not (differing or others):
        for name in differing:  # of a picture that is there already
            what = "another mask" if name.casefold() in masks else "other words"
            refusals.add(f"{printable(name)} is there already with {what}; it was left as it is.")
        left = {*equal, *differing}
        return [(path, there.folder / name) for name, path in family if name not in left], len(equal)
    together = [(name, path) for name, path in family if name in new or name.casefold() not in pictures]
    number = 2
    while True:
        numbered = [(_numbered(name, number), path) for name, path in together]
        if not there.family(numbered[0][0]):
            return [(path, there.folder / name) for name, path in numbered], len(equal)
        if all(there.same(name, path) for name, path in numbered):  # sent before
            return [], len(equal) + len(numbered)
        number += 1


def _once(family: Sequence[tuple[str, Path]], refusals: Refusals) -> list[tuple[str, Path]]:
    """Of names that differ in capitals only, or were sent twice, the first; another content is said."""
    found: dict[str, tuple[str, Path]] = {}
    for name, path in family:
        first, kept = found.setdefault(name.casefold(), (name, path))
        if kept != path and not filecmp.cmp(kept, path, shallow=False):
            how = "twice" if first == name else f"as {printable(first)} too, which some systems take for the same name"
            refusals.add(
                f"{printable(name)} was sent {how}, with another content: the first was taken; rename this one."
            )
    return list(found.values())


def _numbered(name: str, number: int) -> str:
    """``dog.png`` → ``dog (2).png``, ``dog-mask.png`` → ``dog (2)-mask.png``."""
    base = _base(name)
    return f"{base} ({number}){name[len(base) :]}"


def _base(name: str) -> str:
    """What a picture, its caption and its mask have in common."""
    stem = os.path.splitext(name)[0]
    return names.mask_of(stem) or stem


def _is_mask(name: str) -> bool:
    return kind(name) == "picture" and names.mask_of(os.path.splitext(name)[0]) is not None


def _make(folder: Path, root: Path) -> None:
    """Raises NotAllowed where a link on the way leads out of the dataset's folder."""
    real, home = Path(os.path.realpath(folder)), Path(os.path.realpath(root))
    if real != home and home not in real.parents:
        raise NotAllowed(f"{printable(folder)} is a link out of the dataset's folder; remove the link, and send again.")
    folder.mkdir(parents=True, exist_ok=True)


def _put(source: Path, target: Path) -> None:
    """Move without ever replacing a file that came meanwhile. Raises FileExistsError."""
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without such links
        if os.path.lexists(target):
            raise FileExistsError(None, "it is there by now", str(target)) from None
        os.rename(source, target)
    else:
        os.unlink(source)


def _remove_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        return


def _unwritable(folder: Path, error: OSError) -> DeskError:
    return DeskError(f"{printable(folder)} can't be written ({error.strerror}); change its permissions or free space.")
