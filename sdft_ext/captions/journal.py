"""Record every edit of a folder's captions in ``.sdft/captions/journal.jsonl``: undo and redo outlive the program.

A line is written before anything else happens, and never changed. A line that a killed program left half written is
skipped; the next one begins on its own. A journal that has grown large is rewritten with the latest edits.
``journal_lines`` says what the lines hold.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ..storage import atomic, file_lock
from ..storage.file_lock import open_no_follow
from ..storage.hidden_folder import HiddenFolderError, hidden_folder
from ..storage.text import printable
from .errors import CaptionsError
from .journal_lines import Change, Line, Text, decompressed, encode, line_changes, parse

FILE, LOCK, FOLDER = "journal.jsonl", "lock", "captions"
REWRITE_BYTES = 32 * 2**20
"""A longer journal is rewritten when a folder is opened …"""
KEEP_BYTES = 8 * 2**20
"""… with so much of its latest edits."""
MAX_TOTAL = 2**30
"""Characters of all lines: no journal of ours comes near."""


@dataclass(frozen=True)
class Edit:
    """An edit on the undo or redo stack: where its line starts, and how long it is, in bytes."""

    id: str
    what: str
    start: int
    length: int


@dataclass
class Pending:
    """An edited caption: what its file may hold if no other program has written it, and what it shall hold."""

    bases: set[Text]
    text: Text


@dataclass
class History:
    """What the lines so far add up to."""

    undo: list[Edit] = field(default_factory=list)
    redo: list[Edit] = field(default_factory=list)
    texts: dict[str, Pending] = field(default_factory=dict)
    autosave: bool = False


class Journal:
    """The journal of one dataset folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.history = History()
        self._read: tuple[int, int] = (0, 0)
        self._last: tuple[Edit, list[Change]] | None = None

    @property
    def path(self) -> Path:
        """The journal's file. Raises CaptionsError where somebody has put a link there: it may lead anywhere."""
        return self._path(FILE)

    def _path(self, name: str, make: bool = False) -> Path:
        try:
            path = hidden_folder(self.root, FOLDER, make=make) / name
        except HiddenFolderError as error:
            raise CaptionsError(str(error)) from error
        if path.is_symlink():
            raise CaptionsError(f"{printable(path)} is a link; remove it, so that a file can be made there.")
        return path

    def changed(self) -> bool:
        """Return whether another program has written lines, or removed the file, since it was read."""
        return self._stamp() != self._read

    def load(self) -> None:
        """Read all lines again. Raises CaptionsError where they can't be read."""
        self.history, self._last = History(), None
        now = self._stamp()
        try:
            start = self._read_lines()
        except (FileNotFoundError, NotADirectoryError):
            start = 0
        except OSError as error:
            raise CaptionsError(
                f"{printable(self.path)} can't be read ({error.strerror}); change its permissions."
            ) from error
        self._read = (now[0], start)

    def _read_lines(self) -> int:
        """Apply all lines; return where they end, in bytes."""
        try:
            path = self.path
        except CaptionsError:  # a link: reported when something is to be written
            return 0
        start = total = 0
        with open(path, "rb", opener=open_no_follow) as file:
            for raw in file:
                text = decompressed(raw)
                total += len(text or b"")
                if total > MAX_TOTAL:
                    raise CaptionsError(
                        f"{printable(path)} decompresses to more than {MAX_TOTAL / 2**30:.0f} GB; move it away, and "
                        f"open "
                        "the folder again."
                    )
                line = parse(text)
                if line is not None:
                    self._apply(line, start, len(raw))
                start += len(raw)
        return start

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other programs of ours away from the folder's captions. Raises CaptionsError where the lock can't be
        written.
        """
        path = self._path(LOCK, make=True)
        self._path(FILE)
        with ExitStack() as stack:
            try:
                stack.enter_context(file_lock.locked(path))
            except OSError as error:
                raise CaptionsError(
                    f"{printable(path)} can't be locked ({error.strerror or error}), so two programs could write at "
                    f"once; change "
                    "its permissions, or copy the folder to a disk that supports locks."
                ) from error
            yield

    def add(self, line: Line) -> None:
        """Write a line; the caller holds ``locked``, and has read all others.

        Raises CaptionsError where it can't be written; then nothing is.
        """
        data = encode(line)
        path = self.path
        try:
            with open(path, "ab", buffering=0, opener=open_no_follow) as file:
                start = file.seek(0, os.SEEK_END)
                try:
                    left = memoryview(data if not start or _ends_line(path, start) else b"\n" + data)
                    while left:
                        left = left[file.write(left) or 0 :]
                    os.fsync(file.fileno())
                except OSError:
                    os.ftruncate(file.fileno(), start)
                    raise
                end = file.tell()
        except OSError as error:
            raise CaptionsError(
                f"The edit can't be kept in {printable(path)} ({error.strerror}); free space, or change the folder's "
                "permissions."
            ) from error
        self._apply(line, end - len(data), len(data))
        self._read = (path.stat().st_ino, end)

    def changes(self, edit: Edit) -> list[Change]:
        """Read what an edit changed; what was read last is kept, so that an undo that is recorded needn't read again.

        Raises CaptionsError where the journal can't be read, or another program has changed it.
        """
        if self._last is not None and self._last[0] == edit:
            return self._last[1]
        try:
            with open(self.path, "rb", opener=open_no_follow) as file:
                file.seek(edit.start)
                line = parse(decompressed(file.read(edit.length)))
        except OSError as error:
            raise CaptionsError(f"{printable(self.path)} can't be read ({error.strerror}); try again.") from error
        if line is None:
            raise CaptionsError(f"{printable(self.path)} was changed by another program; open the folder again.")
        self._last = edit, line_changes(line)
        return self._last[1]

    def shorten(self) -> None:
        """Rewrite a journal that has grown large, with the latest edits; the caller holds ``locked``."""
        if self._read[1] <= REWRITE_BYTES:
            return
        kept: list[bytes] = []
        left = KEEP_BYTES
        with open(self.path, "rb", opener=open_no_follow) as file:
            for kind, edits in (("future", self.history.redo), ("past", self.history.undo)):
                lines = []
                for edit in reversed(edits):
                    left -= edit.length
                    if left < 0:
                        break
                    file.seek(edit.start)
                    line = parse(decompressed(file.read(edit.length)))
                    if line is not None:
                        lines.append(encode({**line, "do": kind}))
                kept = lines[::-1] + kept
        texts = {name: [list(pending.bases), pending.text] for name, pending in self.history.texts.items()}
        kept.append(encode({"do": "state", "texts": texts, "on": self.history.autosave}))
        atomic.write(self.path, lambda path: _write(path, b"".join(kept)))
        self.load()

    def _stamp(self) -> tuple[int, int]:
        try:
            stat = self.path.stat()
        except (OSError, CaptionsError):
            return (0, 0)
        return (stat.st_ino, stat.st_size)

    # What a line means.

    def _apply(self, line: Line, start: int, length: int) -> None:
        """Take a line, which begins at byte ``start``, into the history. Unknown kinds are skipped."""
        do = line.get("do")
        if do in ("edit", "past", "future"):
            self._push(do, line, Edit(str(line["id"]), str(line["what"]), start, length))
        elif do in ("undo", "redo"):
            self._move(str(line["id"]), do == "undo", set(line["left"]))
        elif do in _TEXTS:
            _TEXTS[do](self.history, line)

    def _push(self, do: str, line: Line, edit: Edit) -> None:
        (self.history.redo if do == "future" else self.history.undo).append(edit)
        if do == "edit":
            self.history.redo.clear()
            for name, before, after in line_changes(line):
                self._change(name, before, after)

    def _move(self, id: str, back: bool, left: set[str]) -> None:
        source, target = (self.history.undo, self.history.redo) if back else (self.history.redo, self.history.undo)
        if not source or source[-1].id != id:
            return
        edit = source.pop()
        target.append(edit)
        for name, before, after in self.changes(edit):
            if name in left:
                self.history.texts.pop(name, None)
            elif back:
                self._change(name, after, before)
            else:
                self._change(name, before, after)

    def _change(self, name: str, before: Text, after: Text) -> None:
        pending = self.history.texts.get(name)
        if pending is None or pending.text != before:  # another program's text had been read in between
            self.history.texts[name] = Pending({before}, after)
        else:
            pending.text = after


def _before_save(history: History, line: Line) -> None:
    for name in line["names"]:
        if name in history.texts:
            history.texts[name].bases.add(history.texts[name].text)


def _after_save(history: History, line: Line) -> None:
    for name in line["names"]:
        history.texts.pop(name, None)


def _new_bases(history: History, line: Line) -> None:
    for name, text in line["texts"].items():
        if name in history.texts:
            history.texts[name].bases = {text}


def _autosave(history: History, line: Line) -> None:
    history.autosave = bool(line["on"])


def _state(history: History, line: Line) -> None:
    _autosave(history, line)
    history.texts = {name: Pending(set(bases), text) for name, (bases, text) in line["texts"].items()}


_TEXTS: dict[str, Callable[[History, Line], None]] = {
    "save": _before_save,
    "saved": _after_save,
    "base": _new_bases,
    "autosave": _autosave,
    "state": _state,
}
"""What lines do that are no edits and don't move one."""


def _ends_line(path: Path, size: int) -> bool:
    with open(path, "rb", opener=open_no_follow) as file:
        file.seek(size - 1)
        return file.read(1) == b"\n"


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)
