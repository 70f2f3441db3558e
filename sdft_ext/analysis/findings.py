"""One finding of a report: a sentence, and the pictures behind it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..dataset.folder import Picture, Scan
from ..storage.text import printable


@dataclass(frozen=True)
class Finding:
    """``kind`` is stable: programs offer a remedy by it. ``concept`` is the concept's number, where it is about one.

    ``files`` are the pictures (or other files) behind it; ``facts`` hold what else a remedy needs (JSON types only).
    """

    kind: str
    text: str
    files: tuple[Path, ...] = ()
    concept: int | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def data(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "text": self.text,
            "concept": self.concept,
            "files": [str(path) for path in self.files],
            "facts": self.facts,
        }


def paths(found: Sequence[Picture], rows: Iterable[int]) -> tuple[Path, ...]:
    return tuple(found[row].path for row in rows)


def named(files: Sequence[Path], most: int = 3) -> str:
    """The first names, for a sentence."""
    return ", ".join(printable(path.name) for path in files[:most]) + (" …" if len(files) > most else "")


def pictures(count: int) -> str:
    return f"{count:,} picture{'' if count == 1 else 's'}"


def whose(scan: Scan, concept: int) -> str:
    """'of concept X' where there are several; nothing where there is one."""
    return f" of concept {printable(scan.concepts[concept].name)!r}" if len(scan.concepts) > 1 else ""
