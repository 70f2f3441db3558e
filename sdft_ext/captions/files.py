"""Read one caption file with its format, and replace it without losing what another program wrote meanwhile."""

from __future__ import annotations

import codecs
import ctypes
import errno
import os
import secrets
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ..errors import SdftError
from ..storage import text as text_files
from ..storage.regular_file import open_regular

MAX_BYTES = 2**22
"""A caption file is read up to this size: several times what ``reader`` accepts."""
ENDING = ".sdft-tmp"
"""Of the hidden temporary files that captions are written to."""
ASIDE = ".sdft-aside"
"""Of the hidden names that captions have while they are checked before they are removed."""


class WriteConflict(SdftError):
    """Another program has written the file since it was read; it is as that program left it."""


@dataclass(frozen=True)
class CaptionFormat:
    """How a file holds its text: byte order mark, encoding, line ending, and the blank ``tail`` after the last word."""

    mark: bytes = b""
    encoding: str = "utf-8"
    newline: str = "\n"
    tail: str = ""


@dataclass(frozen=True)
class ParsedCaption:
    """A file's text (lines end with ``\\n``, nothing blank after the last word) and its format.

    ``exact``: writing it again gives the same bytes; else something in it is damaged, or its line endings are mixed.
    """

    text: str
    form: CaptionFormat
    exact: bool


def parse(data: bytes) -> ParsedCaption:
    """Parse a file's bytes; nothing raises."""
    decoded, encoding = text_files.decode(data)
    mark = b""
    if encoding == "utf-8-sig":
        mark, encoding = codecs.BOM_UTF8, "utf-8"
    elif encoding in ("utf-16", "utf-32"):
        mark = data[: 2 if encoding == "utf-16" else 4]
        encoding += "-le" if mark[0] == 0xFF else "-be"
    windows = decoded.count("\r\n")
    counts = {"\r\n": windows, "\n": decoded.count("\n") - windows, "\r": decoded.count("\r") - windows}
    newline = max(counts, key=lambda key: counts[key]) if any(counts.values()) else "\n"
    lines = unified(decoded)
    text = lines.rstrip()
    form = CaptionFormat(mark, encoding, newline, lines[len(text) :])
    return ParsedCaption(text, form, _bytes(text, form) == data)


def unified(text: str) -> str:
    """Return a text with every line ending as ``\\n``."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def compose(text: str, form: CaptionFormat) -> tuple[bytes, bool]:
    """Encode a text in a format; as UTF-8, and False, where the format's encoding can't represent a character."""
    data = _bytes(text, form)
    if data is not None:
        return data, True
    plain = CaptionFormat(b"", "utf-8", form.newline, form.tail)
    return (text + plain.tail).replace("\n", plain.newline).encode("utf-8"), False


def _bytes(text: str, form: CaptionFormat) -> bytes | None:
    try:
        return form.mark + (text + form.tail).replace("\n", form.newline).encode(form.encoding)
    except UnicodeEncodeError:
        return None


def replace(path: Path, data: bytes | None, expected: Callable[[bytes | None], bool]) -> None:
    """Replace a file with ``data`` (None: remove it) if its present content is ``expected`` (asked with None for no
    file).

    The file is the old or the new one at any moment, and keeps its permissions. Raises WriteConflict where it held
    something else, which is then there again; OSError where it can't be written. On Linux the two files are exchanged
    in one step, so that even a write in the last microsecond before is noticed; elsewhere that microsecond remains.
    """
    now = read(path)
    if not expected(now):
        raise WriteConflict
    if data is None:
        if now is not None:
            _remove(path, expected)
        return
    temporary = _hidden(path)
    mode = path.stat().st_mode & 0o7777 if now is not None else None
    try:
        _write_new(temporary, data, mode)
        if now is None:
            _put(temporary, path)
        elif not _swap(temporary, path):
            if not expected(read(path)):
                raise WriteConflict
            os.replace(temporary, path)
        elif not expected(read(temporary)):
            _swap(temporary, path)
            if read(temporary) != data:  # another program has written once more, and that was swapped out
                _swap(temporary, path)
            raise WriteConflict
    finally:
        temporary.unlink(missing_ok=True)


def read(path: Path) -> bytes | None:
    """Return a file's bytes, None where there is none. Raises OSError where it can't be read."""
    try:
        with open_regular(path) as file:
            return file.read(MAX_BYTES)
    except FileNotFoundError:
        return None


def clear(folder: Path) -> None:
    """Remove what killed programs left half written. No other program may be writing captions there meanwhile."""
    for path in folder.glob(f".*{ENDING}"):
        with suppress(OSError):
            path.unlink()


def _hidden(path: Path, ending: str = ENDING) -> Path:
    """Return a hidden name beside a file that no other program, running or killed, has chosen."""
    return path.with_name(f".{path.stem[:40]}.{secrets.token_hex(6)}{ending}")


def _write_new(path: Path, data: bytes, mode: int | None) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(handle, view) :]
        os.fsync(handle)  # else a power cut may leave a file of the new name without its content
        if mode is not None and hasattr(os, "fchmod"):
            os.fchmod(handle, mode)
    finally:
        os.close(handle)


def sync_folder(folder: Path) -> None:
    """Flush a folder's list of files to the disk. Does nothing where the system can't."""
    if os.name != "posix":
        return
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:  # some network folders can't; the files themselves are written
        return
    finally:
        os.close(handle)


def _put(source: Path, target: Path) -> None:
    """Move a file to a name that isn't taken. Raises WriteConflict where it is."""
    try:
        os.link(source, target)
    except FileExistsError:
        raise WriteConflict from None
    except OSError:  # a file system without links
        if target.exists():
            raise WriteConflict from None
        os.replace(source, target)


def _remove(path: Path, expected: Callable[[bytes | None], bool]) -> None:
    aside = _hidden(path, ASIDE)
    os.rename(path, aside)
    if not expected(read(aside)):
        _put(aside, path)
        aside.unlink(missing_ok=True)
        raise WriteConflict
    aside.unlink()


def _swap(one: Path, other: Path) -> bool:
    """Exchange two files in one step; return False where this system can't."""
    call = _renameat2()
    if call is None:
        return False
    here, flag = -100, 2  # AT_FDCWD, RENAME_EXCHANGE (linux/fs.h)
    if call(here, os.fsencode(one), here, os.fsencode(other), flag) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.ENOSYS, errno.EINVAL, errno.EPERM, errno.ENOTSUP):
        return False
    if code == errno.ENOENT:
        raise WriteConflict
    raise OSError(code, os.strerror(code), str(other))


@lru_cache(maxsize=1)
def _renameat2() -> Callable[..., int] | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return None
    call.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
    call.restype = ctypes.c_int
    found: Callable[..., int] = call
    return found
