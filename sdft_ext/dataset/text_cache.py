"""Cache encoded captions in memory or on disk, so that a frozen text encoder encodes each of them once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch

from ..recipe import CacheWhere
from . import cache_files
from .cache_files import CacheFiles, Progress

C = TypeVar("C", bound=Any)


class TextCache(Generic[C]):
    """A cache of encoded captions, for a text encoder that isn't trained.

    ``encode`` takes a list of captions and returns a dataclass with ``context`` [B, L, D] and ``pooled`` [B, P] or
    None. Each caption is encoded alone, so that its numbers don't depend on the others; shorter ones are padded with
    the empty prompt's chunk, as in the WebUI. ``limit``: bytes to keep in memory, because shuffled tags make endless
    captions.
    """

    def __init__(
        self,
        encode: Callable[[Sequence[str]], C],
        fingerprint: str,
        where: CacheWhere = "memory",
        folder: str | Path | None = None,
        device: torch.device | str = "cpu",
        limit: int = 2**30,
    ) -> None:
        self.encode, self.fingerprint, self.where, self.device = encode, fingerprint, where, torch.device(device)
        self.limit = limit
        self.notes: list[str] = []
        self._memory: OrderedDict[str, C] = OrderedDict()
        self._memory_bytes = 0
        self._disk = CacheFiles(Path(folder) / "text") if where == "disk" and folder is not None else None

    def prepare(self, captions: Iterable[str], progress: Progress | None = None) -> None:
        """Encode captions ahead of time; only these are written to disk, so that shuffled ones don't fill it."""
        todo = sorted({"", *captions}) if self.where != "none" else []
        for done, caption in enumerate(todo, start=1):
            self._one(caption, store=True)
            if progress is not None:
                progress(done, len(todo))

    def get(self, captions: Sequence[str]) -> C:
        """Return the conditioning of a batch, on the cache's device."""
        rows = [self._one(caption) for caption in captions]
        length = max(row.context.shape[1] for row in rows)
        context = torch.cat([self._padded(row.context, length) for row in rows])
        pooled = None if rows[0].pooled is None else torch.cat([row.pooled for row in rows])
        moved = None if pooled is None else pooled.to(self.device)
        return replace(rows[0], context=context.to(self.device), pooled=moved)

    def _padded(self, context: torch.Tensor, length: int) -> torch.Tensor:
        if context.shape[1] == length:
            return context
        empty = self._one("").context
        times = (length - context.shape[1]) // empty.shape[1]
        return torch.cat([context, empty.repeat(1, times, 1)], dim=1)

    def _one(self, caption: str, store: bool = False) -> C:
        if caption in self._memory:
            return self._memory[caption]
        key = cache_files.key("text", 1, self.fingerprint, caption)
        row = self._from_disk(key)
        if row is None:
            with torch.no_grad():
                row = self.encode([caption])
            row = replace(row, context=_on_cpu(row.context), pooled=None if row.pooled is None else _on_cpu(row.pooled))
            if store and self._disk is not None:
                self._to_disk(key, row)
        if self.where != "none":
            self._memory[caption] = row
            self._memory_bytes += _row_bytes(row)
            while self._memory_bytes > self.limit and len(self._memory) > 1:
                self._memory_bytes -= _row_bytes(self._memory.popitem(last=False)[1])
        return row

    def _from_disk(self, key: str) -> C | None:
        tensors = None if self._disk is None else self._disk.read(key)
        if tensors is None or "context" not in tensors:
            return None
        return replace(self._template(), context=tensors["context"], pooled=tensors.get("pooled"))

    def _to_disk(self, key: str, row: C) -> None:
        tensors = {"context": row.context} if row.pooled is None else {"context": row.context, "pooled": row.pooled}
        try:
            if self._disk is not None:
                self._disk.write(key, tensors)
        except OSError as error:
            self.notes.append(f"The disk cache is off for the rest of this run: {error}.")
            self._disk = None

    def _template(self) -> C:
        """Return any row: all rows have the same type and other fields."""
        if not self._memory:
            with torch.no_grad():
                row = self.encode([""])
            row = replace(row, context=_on_cpu(row.context), pooled=None if row.pooled is None else _on_cpu(row.pooled))
            self._memory[""] = row
            self._memory_bytes += _row_bytes(row)
        return next(iter(self._memory.values()))


def _on_cpu(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().to("cpu").contiguous()


def _row_bytes(row: Any) -> int:
    return sum(int(t.numel() * t.element_size()) for t in (row.context, row.pooled) if t is not None)
