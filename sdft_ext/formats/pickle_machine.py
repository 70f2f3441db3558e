"""Interpret a pickle without running anything that it names.

A pickle is a program for a small stack machine. This one makes plain values and tensors only. Every other global that
the program imports becomes an ``Opaque``, which does nothing when it is called, and is reported. Nothing is hashed but
plain keys (the hash of nested tuples takes as long as an attacker likes), no attribute of any object is ever set, and
steps and bytes are limited. It is written in Python, so that other threads go on meanwhile.
"""

from __future__ import annotations

import math
import pickle
import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

import torch
from torch import Tensor

from .pickle_report import TENSORS, Report, verdict

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
MAX_STEPS = 2_000_000
"""Opcodes of all pickles in a file; a checkpoint of SDXL with its optimizer has 400,000."""
MAX_BYTES = 64 * 2**20
"""Bytes of all pickles in a file, without their tensors."""
MAX_DIMENSIONS = 64
"""Of a tensor, as in torch."""
STRETCH = 1 << 24
"""Most elements that tensors may have beyond those of their storages (a stride of 0 repeats one element)."""
FRAME_BYTES = 9
"""Of the opcode that begins a frame."""
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
VALUES = frozenset(
    (
        *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
        *("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
        *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
    )
)
"""Opcodes that push their argument."""


class Opaque:
    """Something that a pickle names or makes and that isn't a plain value; ``state``: what it was given last."""

    __slots__ = ("name", "state")

    def __init__(self, name: str) -> None:
        self.name = name
        self.state: Any = None


@dataclass(frozen=True)
class Storage:
    """A storage: its elements, one-dimensional."""

    elements: Tensor


@dataclass(frozen=True)
class StorageKind:
    """The number format of a storage."""

    dtype: torch.dtype


@dataclass(frozen=True)
class _Maker:
    """A function that is resolved, by its name."""

    name: str


class Stream(Protocol):
    """What a pickle is read from."""

    def read(self, size: int, /) -> bytes: ...

    def readline(self, size: int, /) -> bytes: ...


class Limits:
    """What the pickles of one file have taken so far. It reads for them. Raises UnpicklingError beyond the limits."""

    def __init__(self) -> None:
        self.steps = self.bytes = self.stretch = 0

    def step(self, count: int = 1) -> None:
        self.steps += count
        if self.steps > MAX_STEPS:
            raise pickle.UnpicklingError(f"it has more than {MAX_STEPS:,} steps")

    def count(self, data: bytes) -> bytes:
        self.bytes += len(data)
        if self.bytes > MAX_BYTES:
            raise pickle.UnpicklingError(f"its pickles are longer than {MAX_BYTES:,} bytes")
        return data

    def tensor(self, beyond: int) -> None:
        self.stretch += max(beyond, 0)
        if self.stretch > STRETCH:
            raise ValueError("a tensor is larger than its data in the file")


class _Limited:
    """A stream that counts what is read from it."""

    def __init__(self, stream: Stream, limits: Limits) -> None:
        self._stream, self._limits = stream, limits
        self._start = limits.bytes

    def tell(self) -> int:
        """Return how many bytes of this pickle have been read."""
        return self._limits.bytes - self._start

    def read(self, size: int) -> bytes:
        if size > MAX_BYTES:
            raise pickle.UnpicklingError("it is cut off")
        return self._limits.count(self._stream.read(size))

    def readline(self) -> bytes:
        return self._limits.count(self._stream.readline(MAX_BYTES + 1))


class Machine:
    """Interprets one pickle. ``storage`` returns a tensor's elements by number format, key and count."""

    def __init__(self, storage: Callable[[StorageKind, str, int], Storage], report: Report, limits: Limits) -> None:
        self._storage, self._report, self._limits = storage, report, limits
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        self._frame_end: int | None = None

    def run(self, stream: Stream) -> Any:
        """Return the object of the stream's next pickle; the stream is then at its end.

        Raises UnpicklingError, ValueError, IndexError, KeyError, TypeError or EOFError where it isn't valid, or beyond
        the limits.
        """
        for opcode, argument, position in pickletools.genops(_Limited(stream, self._limits)):  # type: ignore[arg-type]
            self._limits.step()
            name = opcode.name
            self._check_frame(name, argument, position or 0)
            if name in CONSTANTS:
                self._stack.append(CONSTANTS[name])
            elif name in VALUES:
                self._stack.append(argument)
            elif name != "STOP":
                _DO[name](self, argument)
        return self._stack.pop()

    def _check_frame(self, name: str, argument: Any, position: int) -> None:
        """Raise UnpicklingError where an opcode crosses the end of a frame: Python's unpickler then reads other bytes
        (python/cpython#154848).
        """
        if self._frame_end is not None and position >= self._frame_end:
            if position > self._frame_end:
                raise pickle.UnpicklingError("an object crosses the end of a frame")
            self._frame_end = None
        if name == "FRAME":
            if self._frame_end is not None:
                raise pickle.UnpicklingError("a frame begins inside another")
            self._frame_end = position + FRAME_BYTES + argument

    # -- the stack

    def mark(self, _: Any) -> None:
        self._below.append(self._stack)
        self._stack = []

    def to_mark(self) -> list[Any]:
        """Take everything above the last mark."""
        found, self._stack = self._stack, self._below.pop()
        return found

    def pop(self, _: Any) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self.to_mark()

    def drop(self, _: Any) -> None:
        self.to_mark()

    def duplicate(self, _: Any) -> None:
        self._stack.append(self._stack[-1])

    def get(self, number: int) -> None:
        if int(number) not in self._memo:
            raise IndexError("it uses a value that it doesn't have")
        self._stack.append(self._memo[int(number)])

    def put(self, number: int) -> None:
        self._memo[int(number)] = self._stack[-1]

    def memoize(self, _: Any) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    # -- containers

    def tuple_of(self, count: int) -> None:
        if len(self._stack) < count:
            raise IndexError("the stack is too short")
        values = tuple(self._stack[len(self._stack) - count :])
        del self._stack[len(self._stack) - count :]
        self._stack.append(values)

    def append(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if isinstance(target, list):
            target.extend(values)
        elif not isinstance(target, Opaque):
            _refuse(target)

    def set_items(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if isinstance(target, dict):
            if len(values) % 2:
                raise ValueError("a key has no value")
            for key, value in zip(values[::2], values[1::2], strict=True):
                target[_key(key)] = value
        elif not isinstance(target, Opaque):
            _refuse(target)

    # -- imports and calls

    def resolve(self, module: Any, name: Any) -> Any:
        """Resolve a global and report it; what isn't a tensor's becomes opaque."""
        if not isinstance(module, str) or not isinstance(name, str):
            raise pickle.UnpicklingError("an import has no name")
        if module in ("torch", "torch.storage") and name in DTYPES:
            self._report.add(module, name, "tensors")
            return StorageKind(DTYPES[name])
        self._report.add(module, name, verdict(module, name))
        return _Maker(name) if name in TENSORS.get(module, ()) else Opaque(f"{module}.{name}")

    def call(self, function: Any, arguments: Any) -> Any:
        """Return what a call makes: a tensor, a dict, or something opaque."""
        if isinstance(function, Opaque):
            made = Opaque(function.name)
            made.state = arguments
            return made
        if not isinstance(function, _Maker) or not isinstance(arguments, tuple):
            _refuse(function)
        if function.name == "OrderedDict":
            return self.table(arguments[0] if arguments else ())
        if function.name == "_rebuild_parameter":
            return arguments[0]
        return self.tensor(*arguments[:4])

    def table(self, pairs: Any) -> dict[Any, Any]:
        """Return a dict of pairs. Each counts as a step: a pickle can use one list of them any number of times."""
        if not isinstance(pairs, list | tuple):
            raise ValueError("a table isn't made of pairs")
        self._limits.step(len(pairs))
        return {_key(key): value for key, value in pairs}

    def build(self, _: Any) -> None:
        """Give an object its state. It is ignored for a dict: its attributes aren't read."""
        state = self._stack.pop()
        target = self._stack[-1]
        if isinstance(target, Opaque):
            target.state = state
        elif not isinstance(target, dict | Tensor):
            _refuse(target)

    def persistent(self, identifier: Any) -> None:
        """Push a tensor's storage. Raises UnpicklingError for any other stored object."""
        known = isinstance(identifier, tuple) and len(identifier) >= 5 and isinstance(identifier[1], StorageKind)
        if not known or not isinstance(identifier[2], str | int) or not isinstance(identifier[4], int):
            raise pickle.UnpicklingError("an object is stored in a way that checkpoints don't use")
        found = self._storage(identifier[1], str(identifier[2]), identifier[4])
        self._stack.append(_part(found, identifier[5]) if len(identifier) > 5 else found)

    def tensor(self, storage: Any, offset: Any, size: Any, stride: Any) -> Tensor:
        """Make a tensor of a storage, first element, sizes and strides."""
        if not isinstance(storage, Storage):
            _refuse(storage)
        for values in (size, stride, (offset,)):
            if not isinstance(values, tuple) or len(values) > MAX_DIMENSIONS or not all(map(_is_length, values)):
                raise ValueError("a tensor has impossible sizes")
        self._limits.tensor(math.prod(size) - storage.elements.numel())
        return torch.as_strided(storage.elements, size, stride, storage.elements.storage_offset() + offset)

    def push(self, value: Any) -> None:
        self._stack.append(value)

    def take(self) -> Any:
        return self._stack.pop()

    def take_call(self, extra: int = 0) -> None:
        """Call the function below its arguments on the stack. ``extra``: values on top that are ignored."""
        for _ in range(extra):
            self._stack.pop()
        arguments = self._stack.pop()
        self._stack.append(self.call(self._stack.pop(), arguments))

    def take_global(self) -> None:
        name = self._stack.pop()
        self._stack.append(self.resolve(self._stack.pop(), name))

    def make(self, found: list[Any]) -> None:
        """Call the first of these with the others."""
        self._stack.append(self.call(found[0], tuple(found[1:])))

    def extension(self, code: int) -> None:
        """Push what a number of copyreg's registry stands for, which nobody knows from the file alone."""
        self._stack.append(self.resolve("copyreg.extension", str(code)))


def _key(value: Any) -> Any:
    """Return a dict's key; for one that isn't plain, a stand-in, so that nothing else is hashed."""
    if value is None or isinstance(value, str | bytes | float | bool):
        return value
    return value if isinstance(value, int) and _is_length(abs(value)) else Opaque("key")


def _part(storage: Storage, view: Any) -> Storage:
    """Return the part of a storage that torch before 0.4 names by its key, first element and count; all for None."""
    if view is None:
        return storage
    if not isinstance(view, tuple) or len(view) != 3 or not all(map(_is_length, view[1:])):
        raise ValueError("a part of a tensor's data has impossible sizes")
    return Storage(storage.elements[view[1] : view[1] + view[2]])


def _is_length(value: Any) -> bool:
    return isinstance(value, int) and 0 <= value < 1 << 63


def _refuse(target: Any) -> NoReturn:
    raise pickle.UnpicklingError(f"it changes or calls a {type(target).__name__.lstrip('_')}, which checkpoints don't")


def _text(value: str) -> str:
    """Decode a string of Python 2."""
    return value.encode("latin-1").decode("utf-8", "replace")


def _nothing(machine: Machine, _: Any) -> None: ...


_DO: dict[str, Callable[[Machine, Any], None]] = {
    **dict.fromkeys(("PROTO", "FRAME", "READONLY_BUFFER"), _nothing),
    **dict.fromkeys(("STRING", "BINSTRING", "SHORT_BINSTRING"), lambda m, text: m.push(_text(text))),
    "MARK": Machine.mark,
    "POP": Machine.pop,
    "POP_MARK": Machine.drop,
    "DUP": Machine.duplicate,
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), Machine.get),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), Machine.put),
    "MEMOIZE": Machine.memoize,
    "EMPTY_TUPLE": lambda m, _: m.push(()),
    "TUPLE": lambda m, _: m.push(tuple(m.to_mark())),
    "TUPLE1": lambda m, _: m.tuple_of(1),
    "TUPLE2": lambda m, _: m.tuple_of(2),
    "TUPLE3": lambda m, _: m.tuple_of(3),
    "EMPTY_LIST": lambda m, _: m.push([]),
    "EMPTY_SET": lambda m, _: m.push([]),
    "LIST": lambda m, _: m.push(m.to_mark()),
    "FROZENSET": lambda m, _: m.push(m.to_mark()),
    "APPEND": lambda m, _: m.append([m.take()]),
    "APPENDS": lambda m, _: m.append(m.to_mark()),
    "ADDITEMS": lambda m, _: m.append(m.to_mark()),
    "EMPTY_DICT": lambda m, _: m.push({}),
    "DICT": lambda m, _: _dict(m, m.to_mark()),
    "SETITEM": lambda m, _: m.set_items([m.take(), m.take()][::-1]),
    "SETITEMS": lambda m, _: m.set_items(m.to_mark()),
    "GLOBAL": lambda m, names: m.push(m.resolve(*names.split(" ", 1))),
    "STACK_GLOBAL": lambda m, _: m.take_global(),
    "INST": lambda m, names: m.make([m.resolve(*names.split(" ", 1)), *m.to_mark()]),
    "OBJ": lambda m, _: m.make(m.to_mark()),
    "REDUCE": lambda m, _: m.take_call(),
    "NEWOBJ": lambda m, _: m.take_call(),
    "NEWOBJ_EX": lambda m, _: m.take_call(1),
    "BUILD": Machine.build,
    "PERSID": Machine.persistent,
    "BINPERSID": lambda m, _: m.persistent(m.take()),
    "NEXT_BUFFER": lambda m, _: m.push(Opaque("buffer")),
    **dict.fromkeys(("EXT1", "EXT2", "EXT4"), Machine.extension),
}


def _dict(machine: Machine, values: list[Any]) -> None:
    machine.push({})
    machine.set_items(values)
