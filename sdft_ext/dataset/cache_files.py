"""Cache entries on disk: small ``.safetensors`` files with a checksum of their values."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as from_bytes
from safetensors.torch import save as to_bytes

from ..errors import SdftError
from ..storage import atomic, json_file
from ..storage.regular_file import open_regular
from ..storage.stamp import Stamp, stamp

Tensors = dict[str, torch.Tensor]
Progress = Callable[[int, int], None]
"""Called with (done, total)."""


class CacheFiles:
    """A folder of entries with hexadecimal keys, two levels deep."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, key: str) -> Path:
        """Return the path of an entry."""
        return self.folder / key[:2] / f"{key}.safetensors"

    def read(self, key: str) -> Tensors | None:
        """Read an entry; return None where there is none or it is damaged."""
        try:
            return unpack(self.path(key).read_bytes())
        except (OSError, DamagedCacheFile):
            return None

    def write(self, key: str, tensors: Tensors) -> None:
        """Write an entry, whole or not at all. Raises OSError where the disk is full or the folder can't be written."""
        data = pack(tensors)
        atomic.write(self.path(key), partial(_write_bytes, data=data))


class DamagedCacheFile(SdftError, ValueError):
    """A cache entry is truncated or corrupted."""


class Hashes:
    """Content hashes of files, stored with each file's stamp, so that unchanged files aren't read again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: dict[str, tuple[Stamp, str]] = {}
        self._changed = False
        try:
            for name, (size, mtime, ctime, number, digest) in json_file.read(path).items():
                self._known[name] = ((int(size), int(mtime), int(ctime), int(number)), str(digest))
        except (OSError, ValueError, TypeError, AttributeError):
            self._known = {}  # missing or damaged: files are read again

    def get(self, path: Path) -> str:
        """Return a file's content hash. Raises OSError where the file can't be read."""
        now = stamp(path)
        name = key(str(path.absolute()))
        known = self._known.get(name)
        if known is None or known[0] != now:
            known = (now, file_hash(path))
            self._known[name] = known
            self._changed = True
        return known[1]

    def save(self) -> None:
        """Write the hashes. Raises OSError where they can't be written."""
        if self._changed:
            atomic.text(self.path, json.dumps({name: [*now, digest] for name, (now, digest) in self._known.items()}))
            self._changed = False


def pack(tensors: Tensors) -> bytes:
    """Return tensors as the bytes of a .safetensors file with a checksum of its values in the metadata."""
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    _, values = _split(to_bytes(contiguous))
    return to_bytes(contiguous, metadata={"blake2b": _checksum(values)})


def unpack(data: bytes) -> Tensors:
    """Return the tensors of ``pack``. Raises DamagedCacheFile where a byte is missing or changed."""
    try:
        header, values = _split(data)
        if json_file.parse(header)["__metadata__"]["blake2b"] == _checksum(values):
            return from_bytes(data)
    except (SafetensorError, struct.error, KeyError, TypeError, ValueError) as error:
        raise DamagedCacheFile(str(error)) from error
    raise DamagedCacheFile("the values don't match their checksum")


def key(*facts: object) -> str:
    """Return a hash of everything that an entry depends on, to be used as its name."""
    return hashlib.blake2b(repr(facts).encode("utf-8", "surrogatepass"), digest_size=20).hexdigest()


def file_hash(path: Path) -> str:
    """Return the BLAKE2b hash of a file's bytes."""
    digest = hashlib.blake2b(digest_size=20)
    with open_regular(path) as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def fingerprint(weights: Mapping[str, torch.Tensor] | Iterable[tuple[str, torch.Tensor]], *facts: object) -> str:
    """Return a hash that identifies an encoder: of names, shapes, 64 evenly spread values of each tensor, and facts."""
    digest = hashlib.blake2b(repr(facts).encode(), digest_size=20)
    for name, tensor in weights.items() if isinstance(weights, Mapping) else weights:
        flat = tensor.detach().reshape(-1)
        sample = flat[:: max(flat.numel() // 64, 1)].to("cpu", torch.float64)
        digest.update(repr((name, tuple(tensor.shape))).encode())
        digest.update(sample.numpy().tobytes())
    return digest.hexdigest()


def _split(data: bytes) -> tuple[bytes, memoryview]:
    """Split a .safetensors file into its JSON header, whose length the first 8 bytes give, and the values."""
    (length,) = struct.unpack_from("<Q", data)
    return data[8 : 8 + length], memoryview(data)[8 + length :]


def _checksum(values: memoryview) -> str:
    return hashlib.blake2b(values, digest_size=16).hexdigest()


def _write_bytes(path: Path, data: bytes) -> None:
    path.write_bytes(data)
