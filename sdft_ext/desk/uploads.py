"""Uploads: files that a page sends wait beside the dataset, and are moved into it all at once.

They wait in the folder's ``.sdft/incoming``; until the upload is finished, nothing in the dataset changes.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from ..storage.free_name import new_folder
from ..storage.hidden_folder import HiddenFolderError, hidden_folder
from ..storage.text import printable
from . import examples
from .errors import DeskError, NotFound, NotNow
from .folders import Folders
from .placement import place_files
from .unpack import BLOCK, SPARE, Refusals, UploadError, check, clean, kind, limit, refuse_kind, too_large, unpack

INCOMING = "incoming"
MOST_OPEN = 16
"""Uploads at once."""
STALE = 3600.0
"""Seconds without a file after which an unfinished upload is discarded."""
LEFT_BEHIND = 24 * 3600.0
"""Seconds after which files left by a program that has ended are deleted."""


@dataclass
class Upload:
    """Files that are being sent to ``folder``."""

    id: str
    folder: Path
    place: Path
    made: bool
    """Whether the folder was made for this upload."""
    files: list[tuple[tuple[str, ...], Path]] = field(default_factory=list)
    """The parts of each name, and where the file waits."""
    refusals: Refusals = field(default_factory=Refusals)
    touched: float = field(default_factory=time.monotonic)
    lock: threading.Lock = field(default_factory=threading.Lock)
    over: bool = False

    def check(self) -> None:
        """Raise NotNow where the upload has ended."""
        if self.over:
            raise NotNow("This upload has already ended; start again.")

    def waiting_path(self) -> Path:
        """Return a new path for a file that waits."""
        return self.place / f"{len(self.files)}-{secrets.token_hex(4)}"


class Receiver:
    """Writes one file of an upload as it arrives: ``write`` its bytes, then ``end``; ``close`` in any case."""

    def __init__(self, upload: Upload, name: str, parts: tuple[str, ...], what: str) -> None:
        self.upload, self.name, self.parts, self.what = upload, name, parts, what
        self._path = upload.waiting_path()
        self._size = self._since = 0
        try:
            self._file: BinaryIO = open(self._path, "wb")  # noqa: SIM115 (closed by ``close``)
        except OSError as error:
            raise _unwritable(upload.folder, error) from error

    def write(self, data: bytes) -> None:
        """Write bytes. Raises UploadError for too large a file or a full disk, NotNow where the upload has ended."""
        self.upload.check()
        self._size += len(data)
        self._since += len(data)
        if self._size > limit(self.what):
            raise too_large(self.name, self.what)
        if self._since > 16 * BLOCK:
            self._since = 0
            if shutil.disk_usage(self.upload.place).free < SPARE:
                raise UploadError(f"The disk is full: {printable(self.name)} was not accepted; free space.")
        try:
            self._file.write(data)
        except OSError as error:
            raise _unwritable(self.upload.folder, error) from error
        self.upload.touched = time.monotonic()

    def end(self) -> None:
        """Check the complete file, or unpack it. Raises UploadError where it isn't accepted."""
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
        path = self.upload.waiting_path()
        try:
            write(path)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        self.upload.files.append((parts, path))
        self.upload.touched = time.monotonic()

    def close(self) -> None:
        """Delete a file that wasn't accepted."""
        self._file.close()
        if self._path != Path():
            self._path.unlink(missing_ok=True)


class Uploads:
    """The open uploads. ``home`` holds the folders of new datasets."""

    def __init__(self, folders: Folders, home: Path) -> None:
        self._folders, self.home = folders, home
        self._open: dict[str, Upload] = {}
        self._lock = threading.Lock()

    def begin(self, folder: str, name: str) -> Upload:
        """Start an upload into a folder, or, without one, into a new one of this name. Raises DeskError."""
        self._sweep()
        with self._lock:
            if len(self._open) >= MOST_OPEN:
                raise NotNow("Too many uploads are in progress; wait until one is finished.")
        with self._lock:  # another upload that ends meanwhile would remove the folder that both wait in
            path, made = self._named_folder(folder) if folder.strip() else (self._new_folder(name), True)
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
        """Return an upload. Raises NotFound."""
        with self._lock:
            return _known(self._open.get(id))

    def receive(self, id: str, name: str) -> Receiver | None:
        """Return a receiver for a file; None for files that are left out. Raises UploadError for a bad name."""
        upload = self.get(id)
        upload.touched = time.monotonic()
        if not upload.folder.is_dir():
            self.cancel(id)
            raise _gone(upload.folder)
        parts = clean(name)
        if parts is None:
            return None
        what = kind(parts[-1])
        if not what:
            refuse_kind(parts[-1], upload.refusals)
            return None
        return Receiver(upload, name, parts, what)

    def cancel(self, id: str) -> None:
        """Discard an upload. Raises NotFound."""
        upload = self._take_out(id)
        upload.over = True  # unpacking ends at the next file
        with upload.lock:
            self._end(upload)

    def finish(self, id: str) -> dict[str, object]:
        """Move all files into the dataset; return how many, and where. Raises DeskError where none can be moved."""
        upload = self._take_out(id)
        with upload.lock:
            try:
                if not upload.folder.is_dir():
                    raise _gone(upload.folder)
                return place_files(upload.folder, upload.files, upload.refusals)
            finally:
                self._end(upload)

    def close(self) -> None:
        for upload in self._all():
            self._try_cancel(upload)

    def _named_folder(self, text: str) -> tuple[Path, bool]:
        """Return the folder that a request names, and whether it was made for it."""
        path = self._folders.place(text)
        if path == examples.FOLDER or examples.FOLDER in path.parents:
            raise DeskError(
                f"{printable(path)} belongs to the example that comes with the program; choose a folder of your own."
            )
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

    def _new_folder(self, name: str) -> Path:
        """Make a folder for a new dataset, with a name that every file system accepts."""
        wanted = re.sub(r"[^\w .()-]+", "_", name, flags=re.UNICODE).strip(" .")[:60] or "pictures"
        if os.name == "nt":
            wanted = (clean(wanted) or ("pictures",))[-1]
        try:
            return new_folder(self.home, wanted)
        except OSError as error:
            raise _unwritable(self.home, error) from error

    def _sweep(self) -> None:
        """Discard stale uploads."""
        for upload in self._all():
            if time.monotonic() - upload.touched > STALE:
                self._try_cancel(upload)

    def _take_out(self, id: str) -> Upload:
        """Remove an upload from the list to end it: only one caller gets it. Raises NotFound."""
        with self._lock:
            return _known(self._open.pop(id, None))

    def _all(self) -> list[Upload]:
        with self._lock:
            return list(self._open.values())

    def _try_cancel(self, upload: Upload) -> None:
        try:
            self.cancel(upload.id)
        except NotFound:  # another request has just ended it
            return

    def _clear(self, incoming: Path) -> None:
        """Delete files that an earlier program left in a folder."""
        known = {upload.id for upload in self._all()}
        try:
            found = os.listdir(incoming)
        except OSError:
            return
        for name in found:
            try:
                age = time.time() - (incoming / name).stat().st_mtime
            except OSError:  # an upload that is just ending
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
        raise NotFound("This upload no longer exists; start again.")
    return upload


def _gone(folder: Path) -> NotFound:
    return NotFound(f"The folder {printable(folder)} no longer exists; restore it, and send the pictures again.")


def _remove_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        return


def _unwritable(folder: Path, error: OSError) -> DeskError:
    return DeskError(f"{printable(folder)} can't be written ({error.strerror}); change its permissions or free space.")
