"""Write files whole or not at all: under a temporary name, flushed to disk, then renamed."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def write(path: str | Path, writer: Callable[[Path], None]) -> None:
    """Let ``writer`` write the file under a temporary name in the same folder, then rename it to ``path``.

    Raises OSError with the file's name where the disk is full or the folder can't be written; a file that was there
    before stays.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem[:40]}-", suffix=".tmp" + path.suffix)
    except OSError as error:
        raise type(error)(
            error.errno, f"can't write {path}: {error.strerror}; free space or choose another folder"
        ) from error
    os.close(handle)
    temporary = Path(name)
    try:
        writer(temporary)
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except OSError as error:
        raise OSError(
            error.errno, f"can't write {path}: {error.strerror or error}; free space or choose another folder"
        ) from error
    finally:
        with suppress(OSError):  # it is there only where writing has failed, which is reported
            temporary.unlink(missing_ok=True)


def clear(folder: Path, stem: str = "*") -> None:
    """Remove temporary files that a killed ``write`` left in a folder; ``stem`` is a glob of the files' names.

    No one else may be writing such files there at the same time.
    """
    for path in folder.glob(f".{stem}-????????.tmp*"):
        path.unlink(missing_ok=True)


def text(path: str | Path, content: str) -> None:
    r"""Write a UTF-8 text file with ``\n`` as its line ending."""
    write(path, lambda file: _write_text(file, content))


def tensors(path: str | Path, content: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write a safetensors file."""
    write(path, lambda file: save_tensors(file, content, metadata))


def save_tensors(file: Path, content: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Call safetensors' ``save_file``; raise OSError, instead of its own error, where the disk is full."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        save_file(dict(content), str(file), None if metadata is None else dict(metadata))
    except SafetensorError as error:
        system = re.search(r'Os \{ code: (\d+), .*message: "(.*?)"', str(error))
        raise (OSError(int(system[1]), system[2]) if system else OSError(str(error))) from error


def _write_text(file: Path, content: str) -> None:
    file.write_text(content, encoding="utf-8", newline="\n")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
