"""Read old checkpoints (``.ckpt``, ``.pt``) without running anything in them.

A pickle is a program: its globals name what it imports and calls. ``pickle_machine`` resolves only tensors, their
storages and OrderedDict. (torch's own ``weights_only`` refuses Lightning checkpoints, which most old files are.) A scan
judges every pickle in a file to its end, not only the one that torch would take for the checkpoint: torch runs what
comes first, before it notices that the rest is something else.
"""

from __future__ import annotations

import io
import mmap
import os
import pickle
import pickletools
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from ..errors import ModelError
from .pickle_machine import MAX_BYTES, MAX_STEPS, Limits, Machine, Opaque, Storage, StorageKind
from .pickle_report import Report, printable, verdict
from .zip_records import START, Archive

ENDINGS = (".ckpt", ".pt", ".pth", ".bin")
MAGIC = 0x1950A86A20F9469CFC6C
"""First number of torch's old format (before 1.6)."""
PROTOCOL = b"\x80"
"""First byte of every pickle that torch writes."""
__all__ = ["ENDINGS", "Opaque", "load", "load_tensors", "note_pickle", "scan"]
ARRAYS = ("torch._utils.", "torch._tensor.", "torch.nn.parameter.", "numpy.")
"""Starts of the names of what makes weights other than plain tensors: quantized, sparse, fp8, numpy's arrays."""
MAX_PICKLES = 100
"""Pickles in a row that a scan judges."""
ERRORS = (
    pickle.UnpicklingError,
    EOFError,
    zipfile.BadZipFile,
    KeyError,
    IndexError,
    ValueError,
    TypeError,
    AttributeError,
    AssertionError,
    OverflowError,
    MemoryError,
    RuntimeError,
    NotImplementedError,
    struct.error,
)
"""What a damaged file can raise."""


def load(path: str | Path) -> tuple[Any, Report]:
    """Return the object in a pickle, made of plain values, tensors and ``Opaque``, and the report.

    Raises ModelError where the file is truncated or not a pickle, or programs would read different things in it.
    """
    path = Path(path)
    report = Report(path)
    with _reading(path):
        return _load(path, report), report


def load_tensors(path: str | Path) -> tuple[dict[str, Tensor], Report]:
    """Return the tensors of a checkpoint's state dict, and the report.

    Raises ModelError where the file is truncated or not a checkpoint.
    """
    content, report = load(path)
    values = _state_dict(content)
    tensors = {str(key): value for key, value in values.items() if isinstance(value, Tensor)}
    report.tensors = len(tensors)
    unreadable = [key for key, value in values.items() if isinstance(value, Opaque) and value.name.startswith(ARRAYS)]
    if unreadable:
        made = printable(values[unreadable[0]].name)
        raise ModelError(
            f"{path} has weights that can't be read here, such as {printable(str(unreadable[0]))} (made by {made}): "
            "choose the model in .safetensors, or save it again with its weights in fp16, bf16 or fp32."
        )
    if not tensors:
        raise ModelError(f"{path} {_without_tensors(content)}")
    return tensors, report


def scan(path: str | Path) -> Report:
    """List what the pickles in a file would import; nothing is imported or run.

    Raises ModelError where the file is missing, or so damaged that not even its imports can be listed.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"{path} doesn't exist.")
    report = Report(path)
    try:
        with _reading(path):
            values = _state_dict(_load(path, report, whole=True)).values()
            report.tensors = sum(isinstance(value, Tensor) for value in values)
    except ModelError as error:
        if not report.imports and not report.oddities:
            raise
        report.problem = str(error)
    return report


def note_pickle(path: Path, report: Report) -> None:
    """Add what a file of another kind imports where a program loads it as a pickle, if it is one too."""
    with open(path, "rb") as file, suppress(*ERRORS):
        _run(file, _no_storage, report, Limits())


def _state_dict(content: Any) -> Mapping[Any, Any]:
    """Return the named values of a loaded pickle, from its ``state_dict`` if it has one."""
    for name in ("state_dict", "module", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            content = content[name]
            break
    return content if isinstance(content, Mapping) else {}


def _without_tensors(content: Any) -> str:
    """Complete the sentence '<file> …' for a file without a state dict: what it is, and what to do."""
    if isinstance(content, Mapping) and "string_to_param" in content:
        return "is an embedding (textual inversion), not a base model: choose a checkpoint."
    if isinstance(content, Mapping) and any(isinstance(k, int) and isinstance(v, tuple) for k, v in content.items()):
        return "is a hypernetwork, not a base model: choose a checkpoint."
    return "contains no tensors with names: it is not a checkpoint."


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn what a damaged file raises into a ModelError that names it."""
    try:
        yield
    except ERRORS as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(
            f"{path} can't be read as a checkpoint ({error or type(error).__name__}): it is cut off or something "
            "else; copy or download it again."
        ) from error


def _load(path: Path, report: Report, whole: bool = False) -> Any:
    """Return a file's content. Its imports are added to the report, even where an error is raised; with ``whole``,
    those of every pickle in it.
    """
    with open(path, "rb") as file:
        start = file.read(512)
        file.seek(0)
        if whole:
            _note_other_kinds(path, start, report)
        if start.startswith(START):
            return _ZipReader(file, path, report).load(whole)
        if start.startswith(PROTOCOL):
            return _StreamReader(file, path, report).load(whole)
        with suppress(*ERRORS):  # the first pickles had no such beginning, and torch still runs them
            if whole and _StreamReader(file, path, report).load(whole) is not None:
                return None
    raise ModelError(f"{path} is not a checkpoint: it is cut off or something else; copy or download it again.")


def _note_other_kinds(path: Path, start: bytes, report: Report) -> None:
    """Note where a file is of two kinds at once."""
    if not start.startswith(START) and zipfile.is_zipfile(path):
        report.oddities.append(f"{path} is a pickle with a zip archive behind it.")
    with suppress(tarfile.HeaderError, ValueError):
        tarfile.TarInfo.frombuf(start.ljust(512, b"\0"), "utf-8", "surrogateescape")
        report.oddities.append(f"{path} is a tar archive, whose pickles old versions of torch run.")
        _judge_tar(path, report)


def _judge_tar(path: Path, report: Report) -> None:
    """List the imports of a tar archive's members, each as if it were a pickle; of very many, of the first."""
    limits = Limits()
    with suppress(tarfile.TarError, OSError, *ERRORS), tarfile.open(path, "r:") as archive:
        for member in islice(archive, MAX_PICKLES):
            file = archive.extractfile(member) if member.isreg() else None
            if file is not None:
                with suppress(*ERRORS):
                    _run(io.BytesIO(file.read(MAX_BYTES)), _no_storage, report, limits)


class _ZipReader:
    """Reads torch's format since 1.6: a zip archive with a pickle, and a member for each storage."""

    def __init__(self, file: IO[bytes], path: Path, report: Report) -> None:
        self._path, self._report, self._limits = path, report, Limits()
        self._memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        with zipfile.ZipFile(path) as archive:
            self._archive = Archive(archive, self._memory)
        self._loaded: dict[str, Storage] = {}
        self._folder = ""

    def load(self, whole: bool) -> Any:
        odd = list(self._archive.oddities())
        program = self._archive.program()
        if whole:
            self._report.oddities += [f"{self._path} is an unusual zip archive: {what}." for what in odd]
            self._judge_others(program)
        if program is None:
            raise ModelError(
                f"{self._path} is a zip archive without a checkpoint in it: unpack it and name the model file."
            )
        if odd and not whole:
            raise ModelError(
                f"{self._path} is not an archive of torch's ({odd[0]}), and programs would read different things in "
                "it: save or download it again."
            )
        self._folder = self._archive.folder(program)
        content = self._run(program, whole)
        if self._archive.read(f"{self._folder}byteorder", b"little") != b"little":
            raise ModelError(
                f"{self._path} was saved on a computer with another order of bytes, which can't be read here: choose "
                "the model in .safetensors."
            )
        return content

    def _run(self, member: zipfile.ZipInfo, whole: bool = True) -> Any:
        """Interpret a member's pickle, and list what stands behind it in the member."""
        start, size = self._archive.range(member)
        if size > MAX_BYTES:
            raise ValueError(f"its pickle is longer than {MAX_BYTES:,} bytes")
        stream = io.BytesIO(self._memory[start : start + size])
        content = _run(stream, self._storage, self._report, self._limits)
        if whole:
            _judge_rest(stream, self._report, self._limits)
        return content

    def _judge_others(self, program: zipfile.ZipInfo | None) -> None:
        """List the imports of members that torch doesn't write, each as if it were the checkpoint."""
        others = [member for member in self._archive.others() if member is not program]
        if others:
            self._report.oddities.append(
                f"{self._path} has {len(others)} members that torch doesn't write in a checkpoint, such as "
                f"{printable(others[0].filename)}."
            )
        for member in others:
            with suppress(*ERRORS):
                self._run(member)

    def _storage(self, kind: StorageKind, key: str, _count: int) -> Storage:
        name = f"{self._folder}data/{key}"
        if name not in self._loaded:
            self._loaded[name] = Storage(_mapped(self._memory, *self._archive.range_of(name), kind.dtype))
        return self._loaded[name]


def _mapped(memory: mmap.mmap, start: int, length: int, dtype: torch.dtype) -> Tensor:
    """Map elements, so that they are read from the file on access; read them at once where they aren't aligned."""
    if not length or length % dtype.itemsize or start % dtype.itemsize:
        return _elements(memory[start : start + length], dtype)
    return torch.frombuffer(memory, dtype=dtype, count=length // dtype.itemsize, offset=start)


class _StreamReader:
    """Reads torch's format before 1.6: magic, version, system, the object, the storages' keys, and their bytes; or a
    bare pickle.
    """

    def __init__(self, file: IO[bytes], path: Path, report: Report) -> None:
        self._file, self._path, self._report, self._limits = file, path, report, Limits()
        self._waiting: dict[str, Storage] = {}
        self._read: set[str] = set()
        self._left = self._size = os.fstat(file.fileno()).st_size

    def load(self, whole: bool) -> Any:
        content = self._next()
        if content is not True and isinstance(content, int) and content == MAGIC:
            self._next()  # version
            self._next()  # byte order and sizes of the system that wrote it
            content = self._next()
            self._read_storages(self._next())
        if whole:
            _judge_rest(self._file, self._report, self._limits)
        if self._waiting.keys() - self._read:
            raise EOFError("the data of its tensors are missing")
        return content

    def _next(self) -> Any:
        return _run(self._file, self._storage, self._report, self._limits)

    def _storage(self, kind: StorageKind, key: str, count: int) -> Storage:
        if key not in self._waiting:
            self._left -= count * kind.dtype.itemsize
            if count < 0 or self._left < 0:
                raise EOFError("the file ends in the middle of a tensor")
            self._waiting[key] = Storage(torch.empty(count, dtype=kind.dtype))
        return self._waiting[key]

    def _read_storages(self, keys: Any) -> None:
        if not isinstance(keys, list):
            raise ValueError("the list of its tensors is missing")
        for key in keys:
            (count,) = struct.unpack("<q", self._file.read(8))
            if not 0 <= count <= self._size:
                raise EOFError("the file ends in the middle of a tensor")
            elements = self._waiting[key].elements if key in self._waiting else torch.empty(0, dtype=torch.uint8)
            data = self._file.read(count * elements.element_size())
            if key in self._waiting:
                if len(data) != elements.numel() * elements.element_size():
                    raise EOFError("the file ends in the middle of a tensor")
                elements.copy_(_elements(data, elements.dtype))
                self._read.add(key)


def _elements(data: bytes, dtype: torch.dtype) -> Tensor:
    if len(data) % dtype.itemsize:
        raise EOFError("the file ends in the middle of a tensor")
    return torch.frombuffer(bytearray(data), dtype=dtype) if data else torch.empty(0, dtype=dtype)


def _run(stream: IO[bytes], storage: Callable[[StorageKind, str, int], Storage], report: Report, limits: Limits) -> Any:
    """Interpret a stream's next pickle. Where that fails, its other imports are listed before the error is raised."""
    start = stream.tell()
    try:
        return Machine(storage, report, limits).run(stream)
    except ERRORS:
        stream.seek(start)
        with suppress(*ERRORS):
            _list_imports(stream, report)
        raise


def _judge_rest(stream: IO[bytes], report: Report, limits: Limits) -> None:
    """List the imports of the pickles that follow in a stream, of which programs may load each."""
    for _ in range(MAX_PICKLES):
        start = stream.tell()
        if not stream.read(1):
            return
        stream.seek(start)
        if len(report.oddities) < 10:
            report.oddities.append(f"{report.path} goes on behind its pickle, at byte {start:,}.")
        _run(stream, _no_storage, report, limits)
    raise ValueError(f"it has more than {MAX_PICKLES} pickles")


def _no_storage(_kind: StorageKind, _key: str, _count: int) -> Storage:
    return Storage(torch.empty(0))


def _list_imports(stream: IO[bytes], report: Report) -> None:
    """Add every global that the next pickle names to the report, by its opcodes alone."""
    strings, memo, last = ["", ""], dict[int, str](), ""
    for number, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
        if number > MAX_STEPS:
            raise ValueError(f"it has more than {MAX_STEPS:,} steps")
        name = opcode.name
        if name in ("GLOBAL", "INST"):
            module, _, attribute = str(argument).partition(" ")
            report.add(module, attribute, verdict(module, attribute))
        elif name == "STACK_GLOBAL":
            report.add(strings[0], strings[1], verdict(strings[0], strings[1]))
        elif name.endswith("GET"):
            strings = [strings[1], memo.get(int(argument or 0), "")]
        elif name == "MEMOIZE":
            memo[len(memo)] = last
        elif name.endswith("PUT"):
            memo[int(argument or 0)] = last
        elif isinstance(argument, str):
            last = argument
            strings = [strings[1], argument]
            continue
        if not name.endswith("PUT") and name != "MEMOIZE":
            last = ""
