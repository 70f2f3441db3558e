"""Parts of hostile pickles: opcodes, and checkpoints as torch writes them with a program of our own in them."""

from __future__ import annotations

import pickle
import struct
import zipfile
from pathlib import Path
from random import Random
from typing import Any

import torch

from .kind import Maker

WEIGHT = torch.arange(4.0)
DATA = bytes(memoryview(WEIGHT.numpy()))
PROTO = b"\x80\x02"
RAN = "ran"
"""The witness: a file in the folder of the kind, which appears if something in a pickle is run."""


def text(word: str) -> bytes:
    data = word.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(data)) + data


def named(module: str, name: str) -> bytes:
    """Push a global, by the opcode of protocol 4."""
    return text(module) + text(name) + b"\x93"


def storage(key: bytes = text("0"), kind: bytes = b"ctorch\nFloatStorage\n", count: bytes = b"K\x04") -> bytes:
    return b"(" + text("storage") + kind + key + text("cpu") + count + b"tQ"


def tensor(
    stored: bytes = b"", size: bytes = b"K\x04\x85", stride: bytes = b"K\x01\x85", offset: bytes = b"K\0"
) -> bytes:
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + (stored or storage()) + offset + size + stride + b"\x89}tR"


def table(**values: bytes) -> bytes:
    return b"}" + b"".join(text(name) + value + b"s" for name, value in values.items())


def weights(extra: bytes = b"N", values: bytes = b"") -> bytes:
    """A checkpoint's pickle with a sound weight, and something else next to its state dict."""
    return PROTO + table(state_dict=values or b"}" + text("a.weight") + tensor() + b"s", x=extra) + b"."


def archive(path: Path, program: bytes, *more: tuple[str, bytes], data: bytes = DATA) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for name, content in (("a/data.pkl", program), ("a/byteorder", b"little"), ("a/data/0", data), *more):
            file.writestr(zipfile.ZipInfo(name), content)
    return path


def shell(folder: Path) -> str:
    return f"touch {folder / RAN}"


def beside(extra: Any) -> Maker:
    """Return a maker of a checkpoint with a sound weight and something else; ``extra``: bytes, or made of the folder."""

    def make(folder: Path, _: Random) -> Path:
        return archive(folder / "bad.ckpt", weights(extra(folder) if callable(extra) else extra))

    return make


def inside(values: bytes, data: bytes = DATA) -> Maker:
    """Return a maker of a checkpoint with this state dict, after the opening brace."""
    return lambda folder, _: archive(folder / "bad.ckpt", weights(values=b"}" + values), data=data)


def bare(program: Any, name: str = "bad.pt") -> Maker:
    """Return a maker of a file that is a pickle alone."""

    def make(folder: Path, _: Random) -> Path:
        path = folder / name
        path.write_bytes(program(folder) if callable(program) else program)
        return path

    return make


class Call:
    """Pickled by Python itself: calls a function when it is loaded."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def by_python(protocol: int) -> Maker:
    import os

    return bare(lambda folder: pickle.dumps({"a": Call(os.system, shell(folder))}, protocol))


def legacy(folder: Path, keys: Any = None, tail: bytes = b"", program: bytes = b"", count: int = 4) -> Path:
    """Write torch's format before 1.6."""
    first = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}]
    path = folder / "bad.pt"
    path.write_bytes(
        b"".join(pickle.dumps(one, 2) for one in first)
        + (program or weights())
        + pickle.dumps(["0"] if keys is None else keys, 2)
        + (tail or struct.pack("<q", count) + DATA)
    )
    return path


def changed(change: Any) -> Maker:
    """Return a maker of a sound checkpoint whose bytes are changed by a function of them."""

    def make(folder: Path, _: Random) -> Path:
        path = archive(folder / "bad.ckpt", weights())
        path.write_bytes(change(bytearray(path.read_bytes())))
        return path

    return make


def put(data: bytearray, place: int, new: bytes) -> bytes:
    data[place : place + len(new)] = new
    return bytes(data)


def directory(data: bytearray) -> int:
    """Return where the archive's directory begins."""
    return int(struct.unpack("<I", data[-6:-2])[0])
