"""Read old checkpoints (``.ckpt``, ``.pt``) without running anything in them.

A pickle is a program: its globals name what it imports and calls. Here, only tensors, their storages and OrderedDict
are resolved. Every other global becomes an inert placeholder, which is never imported, does nothing when called, and is
reported. (torch's own ``weights_only`` refuses Lightning checkpoints, which most old files are.) The resolved objects
can't be modified either, because a pickle may set attributes of its objects.
"""

from __future__ import annotations

import io
import math
import mmap
import os
import pickle
import pickletools
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from ..errors import ModelError

ENDINGS = (".ckpt", ".pt", ".pth", ".bin")
MAGIC = 0x1950A86A20F9469CFC6C
"""First number of torch's old format (before 1.6)."""
DTYPES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
STRETCH = 1 << 24
"""Most elements that a tensor may have beyond those of its storage (a stride of 0 repeats one element)."""


class Inert:
    """A placeholder for something that a pickle would import; accepts every call and does nothing."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Inert:
        return super().__new__(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None: ...

    def __setstate__(self, state: Any) -> None: ...

    def __call__(self, *args: Any, **kwargs: Any) -> Inert:
        return self

    def __setitem__(self, key: Any, value: Any) -> None: ...

    def append(self, value: Any) -> None: ...

    def extend(self, values: Any) -> None: ...

    def add(self, value: Any) -> None: ...


@dataclass(frozen=True)
class Storage:
    """A storage: its elements, one-dimensional."""

    elements: Tensor


@dataclass(frozen=True)
class StorageKind:
    """The number format of a storage."""

    dtype: torch.dtype


@dataclass
class Import:
    """A global that a pickle names. ``verdict``: tensors (resolved), or harmless, suspicious, dangerous (not)."""

    name: str
    verdict: str


@dataclass
class Report:
    """What a file would import, and how many tensors it has."""

    path: Path
    imports: list[Import] = field(default_factory=list)
    tensors: int = 0
    problem: str = ""
    """Why the tensors can't be read, if they can't."""

    def add(self, name: str, verdict: str) -> None:
        """Add an import, unless it is listed already."""
        if all(found.name != name for found in self.imports):
            self.imports.append(Import(name, verdict))

    @property
    def dangerous(self) -> bool:
        """Return whether an import could run programs."""
        return any(found.verdict == "dangerous" for found in self.imports)

    @property
    def verdict(self) -> str:
        """Return the verdict on the file, the worst that applies: dangerous, damaged, suspicious or harmless."""
        if self.dangerous:
            return "dangerous"
        if self.problem:
            return "damaged"
        return "suspicious" if any(found.verdict == "suspicious" for found in self.imports) else "harmless"

    @property
    def text(self) -> str:
        """Write the report as lines of text."""
        lines = [f"{self.path}: {self.tensors} tensors, {len(self.imports)} imports listed, none run."]
        lines += [
            f"  {i.verdict:10} {_printable(i.name)}" for i in sorted(self.imports, key=lambda i: (i.verdict, i.name))
        ]
        if self.problem:
            lines.append(self.problem)
        if self.dangerous:
            lines.append(
                "Some imports could run programs. Don't open this file elsewhere; 'convert' keeps only its tensors."
            )
        return "\n".join(lines)


def load_tensors(path: str | Path) -> tuple[dict[str, Tensor], Report]:
    """Return the tensors of a checkpoint's state dict, and the report.

    Raises ModelError where the file is truncated or not a checkpoint.
    """
    path = Path(path)
    report = Report(path)
    content = _load(path, report)
    tensors = _state_dict(content)
    report.tensors = len(tensors)
    if not tensors:
        raise ModelError(f"{path} {_without_tensors(content)}")
    return tensors, report


def scan(path: str | Path) -> Report:
    """List what a pickle would import; nothing is imported or run.

    Raises ModelError where the file is missing, or so damaged that not even its imports can be listed.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"{path} doesn't exist.")
    report = Report(path)
    try:
        report.tensors = len(_state_dict(_load(path, report)))
    except ModelError as error:
        if not report.imports:
            raise
        report.problem = str(error)
    return report


def _state_dict(content: Any) -> dict[str, Tensor]:
    """Return the named tensors of a loaded pickle, from its ``state_dict`` if it has one."""
    for name in ("state_dict", "module", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            content = content[name]
            break
    if not isinstance(content, Mapping):
        return {}
    return {str(key): value for key, value in content.items() if isinstance(value, Tensor)}


def _without_tensors(content: Any) -> str:
    """Complete the sentence '<file> …' for a file without a state dict: what it is, and what to do."""
    if isinstance(content, Mapping) and "string_to_param" in content:
        return "is an embedding (textual inversion), not a base model: choose a checkpoint."
    if isinstance(content, Mapping) and any(isinstance(k, int) and isinstance(v, tuple) for k, v in content.items()):
        return "is a hypernetwork, not a base model: choose a checkpoint."
    return "contains no tensors with names: it is not a checkpoint."


def _printable(name: str) -> str:
    """Make a name from a file safe to print in a terminal."""
    return "".join(character if character.isprintable() else "�" for character in name[:200])


def _load(path: Path, report: Report) -> Any:
    """Return a file's content. Its imports are added to the report, even where ModelError is raised."""
    try:
        if zipfile.is_zipfile(path):
            return _load_zip(path, report)
        with open(path, "rb") as file:
            return _load_legacy(file, path, report)
    except (
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
    ) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(
            f"{path} can't be read as a checkpoint ({error or type(error).__name__}): it is cut off or something "
            "else; copy or download it again."
        ) from error


def _load_zip(path: Path, report: Report) -> Any:
    with zipfile.ZipFile(path) as archive, open(path, "rb") as file:
        names = [name for name in archive.namelist() if name.endswith("data.pkl")]
        if not names:
            raise ModelError(f"{path} is a zip archive without a checkpoint in it: unpack it and name the model file.")
        root = names[0][: -len("data.pkl")]
        memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        start, size = _member(archive.getinfo(names[0]), memory)
        loaded: dict[str, Storage] = {}

        def storage(kind: StorageKind, key: str, _count: int) -> Storage:
            if key not in loaded:
                begin, length = _member(archive.getinfo(f"{root}data/{key}"), memory)
                loaded[key] = Storage(_mapped(memory, begin, length, kind.dtype))
            return loaded[key]

        program = _next_pickle(io.BytesIO(memory[start : start + size]))
        _list_imports(program, report)
        return _Reader(io.BytesIO(program), storage, report).load()


def _member(member: zipfile.ZipInfo, memory: mmap.mmap) -> tuple[int, int]:
    """Return a zip member's offset and length in the file. Checkpoints are stored uncompressed. Raises ValueError."""
    if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1:
        raise ValueError("it is compressed or encrypted, which checkpoints aren't")
    name, extra = struct.unpack("<26xHH", memory[member.header_offset : member.header_offset + 30])
    start = member.header_offset + 30 + name + extra
    if start + member.file_size > len(memory):
        raise EOFError("the file ends in the middle of a tensor")
    return start, member.file_size


def _mapped(memory: mmap.mmap, start: int, length: int, dtype: torch.dtype) -> Tensor:
    """Map elements, so that they are read from the file on access; read them at once where they aren't aligned."""
    if not length or length % dtype.itemsize or start % dtype.itemsize:
        return _elements(memory[start : start + length], dtype)
    return torch.frombuffer(memory, dtype=dtype, count=length // dtype.itemsize, offset=start)


def _next_pickle(file: IO[bytes]) -> bytes:
    """Read the next pickle of a stream. Raises ValueError where it isn't one."""
    start = file.tell()
    for _ in pickletools.genops(file):
        pass
    end = file.tell()
    file.seek(start)
    return file.read(end - start)


def _load_legacy(file: IO[bytes], path: Path, report: Report) -> Any:
    """Load torch's format before 1.6: magic, version, system, the object, the storages' keys, and their bytes."""
    waiting: dict[str, Storage] = {}
    file_size = os.fstat(file.fileno()).st_size

    def storage(kind: StorageKind, key: str, count: int) -> Storage:
        if key not in waiting:
            if not 0 <= count * kind.dtype.itemsize <= file_size:
                raise EOFError("the file ends in the middle of a tensor")
            waiting[key] = Storage(torch.empty(count, dtype=kind.dtype))
        return waiting[key]

    def load_next() -> Any:
        program = _next_pickle(file)
        _list_imports(program, report)
        return _Reader(io.BytesIO(program), storage, report).load()

    if file.read(1) != b"\x80":
        raise ModelError(f"{path} is not a checkpoint: it is cut off or something else; copy or download it again.")
    file.seek(0)
    first = load_next()
    if not isinstance(first, int) or first != MAGIC:
        return first  # a bare pickle, with its tensors in it
    load_next()  # version
    load_next()  # byte order and sizes of the system that wrote it
    content = load_next()
    for key in load_next():
        (count,) = struct.unpack("<q", file.read(8))
        if not 0 <= count <= file_size:
            raise EOFError("the file ends in the middle of a tensor")
        elements = waiting[key].elements if key in waiting else torch.empty(0, dtype=torch.uint8)
        data = file.read(count * elements.element_size())
        if key in waiting:
            if len(data) != elements.numel() * elements.element_size():
                raise EOFError("the file ends in the middle of a tensor")
            elements.copy_(_elements(data, elements.dtype))
    return content


def _elements(data: bytes, dtype: torch.dtype) -> Tensor:
    if len(data) % dtype.itemsize:
        raise EOFError("the file ends in the middle of a tensor")
    return torch.frombuffer(bytearray(data), dtype=dtype) if data else torch.empty(0, dtype=dtype)


class _Reader(pickle.Unpickler):
    """An unpickler that resolves only tensors."""

    def __init__(self, file: IO[bytes], storage: Callable[[StorageKind, str, int], Storage], report: Report) -> None:
        super().__init__(file, encoding="utf-8")
        self._storage, self._report = storage, report

    def find_class(self, module: str, name: str) -> Any:
        """Resolve a global and report it; what isn't a tensor's becomes a placeholder."""
        self._report.add(f"{module}.{name}", _verdict(module, name))
        if module in ("torch", "torch.storage") and name in DTYPES:
            return StorageKind(DTYPES[name])
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch._utils" and name in _REBUILD:
            return _REBUILD[name]
        return type(name.rpartition(".")[2] or "Inert", (Inert,), {"__module__": "inert"})

    def persistent_load(self, identifier: Any) -> Storage:
        """Return a tensor's storage. Raises UnpicklingError for any other stored object."""
        if not isinstance(identifier, tuple) or len(identifier) < 5 or not isinstance(identifier[1], StorageKind):
            raise pickle.UnpicklingError("an object is stored in a way that checkpoints don't use")
        return self._storage(identifier[1], str(identifier[2]), int(identifier[4]))


class _RebuildTensor:
    """Makes a tensor of a storage, first element, sizes and strides. It is an object without attributes, not a
    function, because a pickle can set a function's defaults.
    """

    __slots__ = ()

    def __call__(
        self, storage: Storage, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *rest: Any
    ) -> Tensor:
        if math.prod(size) > storage.elements.numel() + STRETCH:
            raise ValueError("a tensor is larger than its data in the file")
        return torch.as_strided(storage.elements, size, stride, offset)


class _RebuildParameter:
    __slots__ = ()

    def __call__(self, data: Tensor, *rest: Any) -> Tensor:
        return data


_REBUILD: dict[str, Any] = {
    "_rebuild_tensor": _RebuildTensor(),
    "_rebuild_tensor_v2": _RebuildTensor(),
    "_rebuild_parameter": _RebuildParameter(),
}


def _list_imports(program: bytes, report: Report) -> None:
    """Add every global that a pickle names to the report, even if loading it fails before."""
    from picklescan.scanner import scan_pickle_bytes

    for found in scan_pickle_bytes(io.BytesIO(program), str(report.path)).globals:
        report.add(f"{found.module}.{found.name}", _verdict(found.module, found.name))


@lru_cache(maxsize=4096)
def _verdict(module: str, name: str) -> str:
    """Return 'tensors' for what is resolved here, or else picklescan's verdict on importing it."""
    from picklescan.scanner import scan_pickle_bytes

    if (module in ("torch", "torch.storage") and name in DTYPES) or (module, name) == ("collections", "OrderedDict"):
        return "tensors"
    if module == "torch._utils" and name in _REBUILD:
        return "tensors"
    strings = b"".join(b"X" + struct.pack("<I", len(text)) + text for text in (module.encode(), name.encode()))
    found = scan_pickle_bytes(io.BytesIO(b"\x80\x04" + strings + b"\x93."), name).globals
    verdict = found[0].safety.value if found else "suspicious"
    return "harmless" if verdict == "innocuous" else verdict
