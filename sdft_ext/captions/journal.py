"""Every edit of a folder's captions, a line each, in ``.sdft/captions/journal.jsonl``: undo and redo that outlive the program.

A line is written before anything else happens, and never changed. What a killed program left half written is no line, and is
passed over; the next line begins on its own. When the file has grown large, it is written anew with the latest edits.

Lines (JSON; those with many captions hold them packed, under ``z``):

- ``edit``: ``id``, ``what`` in words, ``changes`` [[caption, before, after], …]; None is: no text file;
- ``undo``, ``redo``: the ``id`` of an edit; ``left`` are captions that another program has changed since, which stay;
- ``save``: ``names`` of captions that are about to be written, ``saved``: that were;
- ``base``: ``texts`` that another program wrote, and the user has seen;
- ``autosave``: ``on``;
- ``past``, ``future``: an edit as above that can be undone or redone and changes nothing now; ``state``: ``texts``.
"""

from __future__ import annotations

import base64
import json
import os
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..storage import atomic, json_file
from ..storage.file_lock import locked, open_own
from ..storage.hidden_folder import HiddenFolderError, hidden_folder
from ..storage.text import printable
from .errors import CaptionsError

FILE, LOCK, FOLDER = "journal.jsonl", "lock", "captions"
PACKED = 4_096
"""Characters of a line from which on it is packed."""
MOST_BYTES = 32 * 2**20
MOST_UNPACKED = 256 * 2**20
"""Bytes of one line."""
MOST_TOGETHER = 2**30
"""Characters of all lines: no journal of ours comes near."""
KEPT_BYTES = 8 * 2**20
"""Of a larger journal so much is kept, when a folder is opened."""

Text = str | None
"""A caption; None where it has no text file."""
Change = tuple[str, Text, Text]
Line = dict[str, Any]


@dataclass(frozen=True)
class Edit:
    """An edit on the stack of undo or redo: where its line begins, and how long it is, in bytes."""

    id: str
    what: str
    start: int
    length: int


@dataclass
class Pending:
    """A caption as the journal knows it: what its file may hold, if no other program has written it, and what it shall hold."""

    bases: set[Text]
    text: Text


@dataclass
class History:
    """What the lines so far amount to."""

    undo: list[Edit] = field(default_factory=list)
    redo: list[Edit] = field(default_factory=list)
    texts: dict[str, Pending] = field(default_factory=dict)
    autosave: bool = False


class Journal:
    """Of one dataset folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.history = History()
        self._read: tuple[int, int] = (0, 0)

    @property
    def path(self) -> Path:
        """Raises CaptionsError where somebody has put a link there: it may lead anywhere."""
        return self._own(FILE)

    def _own(self, name: str, make: bool = False) -> Path:
        try:
            path = hidden_folder(self.root, FOLDER, make=make) / name
        except HiddenFolderError as error:
            raise CaptionsError(str(error)) from error
        if path.is_symlink():
            raise CaptionsError(f"{printable(path)} is a link; remove it, so that a file can be made there.")
        return path

    def changed(self) -> bool:
        """Whether another program has written lines, or taken the file away, since it was read."""
        return self._now() != self._read

    def load(self) -> None:
        """Read all lines anew."""
        self.history = History()
        now = self._now()
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
        """Take all lines; where they end, in bytes."""
        try:
            path = self.path
        except CaptionsError:  # a link: it is said where something is to be written
            return 0
        start = together = 0
        with open(path, "rb", opener=open_own) as file:
            for raw in file:
                text = _text_of(raw)
                together += len(text or b"")
                if together > MOST_TOGETHER:
                    raise CaptionsError(
                        f"{printable(path)} unpacks to more than {MOST_TOGETHER / 2**30:.0f} GB; move it away, and open the "
                        "folder again."
                    )
                line = _parsed(text)
                if line is not None:
                    self._take(line, start, len(raw))
                start += len(raw)
        return start

    @contextmanager
    def alone(self) -> Iterator[None]:
        """While no other program of ours works on the folder's captions. Raises CaptionsError where it can't be written."""
        path = self._own(LOCK, make=True)
        self._own(FILE)
        with ExitStack() as held:
            try:
                held.enter_context(locked(path))
            except OSError as error:
                raise CaptionsError(
                    f"{printable(path)} can't be locked ({error.strerror or error}), so two programs could write at once; change "
                    "its permissions, or copy the folder to a disk that knows locks."
                ) from error
            yield

    def add(self, line: Line) -> None:
        """Write a line; the caller holds ``alone``, and has read all others.

        Raises CaptionsError where it can't be written; then nothing is.
        """
        data = _packed(line)
        path = self.path
        try:
            with open(path, "ab", buffering=0, opener=open_own) as file:
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
                f"The edit can't be kept in {printable(path)} ({error.strerror}); free space, or change the folder's permissions."
            ) from error
        self._take(line, end - len(data), len(data))
        self._read = (path.stat().st_ino, end)

    def changes(self, edit: Edit) -> list[Change]:
        """What an edit changed."""
        with open(self.path, "rb") as file:
            file.seek(edit.start)
            line = _parsed(_text_of(file.read(edit.length)))
        if line is None:
            raise CaptionsError(f"{printable(self.path)} was changed by another program; open the folder again.")
        return _changes(line)

    def shorten(self) -> None:
        """Write a journal that has grown large anew, with the latest edits; the caller holds ``alone``."""
        if self._read[1] <= MOST_BYTES:
            return
        kept: list[bytes] = []
        left = KEPT_BYTES
        with open(self.path, "rb") as file:
            for kind, edits in (("future", self.history.redo), ("past", self.history.undo)):
                lines = []
                for edit in reversed(edits):
                    left -= edit.length
                    if left < 0:
                        break
                    file.seek(edit.start)
                    line = _parsed(_text_of(file.read(edit.length)))
                    if line is not None:
                        lines.append(_packed({**line, "do": kind}))
                kept = lines[::-1] + kept
        texts = {name: [list(held.bases), held.text] for name, held in self.history.texts.items()}
        kept.append(_packed({"do": "state", "texts": texts, "on": self.history.autosave}))
        atomic.write(self.path, lambda path: _write(path, b"".join(kept)))
        self.load()

    def _now(self) -> tuple[int, int]:
        try:
            stat = self.path.stat()
        except (OSError, CaptionsError):
            return (0, 0)
        return (stat.st_ino, stat.st_size)

    # What a line means.

    def _take(self, line: Line, start: int, length: int) -> None:
        history, do = self.history, line.get("do")
        if do in ("edit", "past", "future"):
            edit = Edit(str(line["id"]), str(line["what"]), start, length)
            (history.redo if do == "future" else history.undo).append(edit)
            if do == "edit":
                history.redo.clear()
                for name, before, after in _changes(line):
                    self._change(name, before, after)
        elif do in ("undo", "redo"):
            self._move(str(line["id"]), do == "undo", set(line["left"]))
        elif do == "save":
            for name in line["names"]:
                if name in history.texts:
                    history.texts[name].bases.add(history.texts[name].text)
        elif do == "saved":
            for name in line["names"]:
                history.texts.pop(name, None)
        elif do == "base":
            for name, text in line["texts"].items():
                if name in history.texts:
                    history.texts[name].bases = {text}
        elif do == "autosave":
            history.autosave = bool(line["on"])
        elif do == "state":
            history.autosave = bool(line["on"])
            history.texts = {name: Pending(set(bases), text) for name, (bases, text) in line["texts"].items()}

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
        held = self.history.texts.get(name)
        if held is None or held.text != before:  # another program's text had been read in between
            self.history.texts[name] = Pending({before}, after)
        else:
            held.text = after


def edit_line(id: str, what: str, changes: Sequence[Change]) -> Line:
    return {"do": "edit", "id": id, "what": what, "time": round(time.time(), 3), "changes": [list(c) for c in changes]}


def base_line(texts: Mapping[str, Text]) -> Line:
    return {"do": "base", "texts": dict(texts)}


def _changes(line: Line) -> list[Change]:
    return [(name, before, after) for name, before, after in line["changes"]]


def _packed(line: Line) -> bytes:
    text = json.dumps(line, separators=(",", ":"))
    if len(text) > PACKED:
        packed = base64.b64encode(zlib.compress(text.encode("ascii"), 1)).decode("ascii")
        text = json.dumps({"z": packed}, separators=(",", ":"))
    return text.encode("ascii") + b"\n"


def _text_of(raw: bytes) -> bytes | None:
    """A line as it was before it was packed, None where it is none: cut off, or damaged."""
    if not raw.endswith(b"\n"):
        return None
    try:
        if raw.startswith(b'{"z":'):
            return _unpacked(base64.b64decode(json_file.parse(raw)["z"], validate=True))
    except (ValueError, TypeError, KeyError, zlib.error):
        return None
    return raw


def _parsed(text: bytes | None) -> Line | None:
    """A line, None where it says nothing that is known here."""
    try:
        line = json_file.parse(text or b"")
        return line if isinstance(line, dict) and _sound(line) else None
    except ValueError:
        return None


_NEEDED: dict[str, dict[str, type]] = {
    "edit": {"id": str, "what": str, "changes": list},
    "past": {"id": str, "what": str, "changes": list},
    "future": {"id": str, "what": str, "changes": list},
    "undo": {"id": str, "left": list},
    "redo": {"id": str, "left": list},
    "save": {"names": list},
    "saved": {"names": list},
    "base": {"texts": dict},
    "autosave": {"on": bool},
    "state": {"texts": dict, "on": bool},
}


def _sound(line: Line) -> bool:
    needed = _NEEDED.get(str(line.get("do")))
    if needed is None or not all(isinstance(line.get(key), kind) for key, kind in needed.items()):
        return False
    if not all(isinstance(name, str) for key in ("names", "left") if key in needed for name in line[key]):
        return False
    if not all(
        isinstance(c, list) and len(c) == 3 and isinstance(c[0], str) and _is_text(c[1]) and _is_text(c[2])
        for c in (line["changes"] if "changes" in needed else ())
    ):
        return False
    texts = line["texts"].values() if "texts" in needed else ()
    if line["do"] != "state":
        return all(_is_text(text) for text in texts)
    return all(
        isinstance(t, list) and len(t) == 2 and isinstance(t[0], list) and all(_is_text(text) for text in (*t[0], t[1]))
        for t in texts
    )


def _is_text(value: Any) -> bool:
    """Whether it is a caption: nothing at all, or words that a file can hold."""
    if value is None or not isinstance(value, str):
        return value is None
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _unpacked(data: bytes) -> bytes:
    """A folder may come from anywhere, so what it unpacks to has a limit. Raises ValueError."""
    reader = zlib.decompressobj()
    text = reader.decompress(data, MOST_UNPACKED)
    if reader.unconsumed_tail or not reader.eof:
        raise ValueError("too long, or cut off")
    return text


def _ends_line(path: Path, size: int) -> bool:
    with open(path, "rb") as file:
        file.seek(size - 1)
        return file.read(1) == b"\n"


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)
