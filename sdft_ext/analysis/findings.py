"""A finding of the dataset report: a sentence, and the files that it is about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..dataset.folder import Picture, Scan
from ..storage.text import printable


@dataclass(frozen=True)
class Finding:
    """A finding. ``kind`` is stable: programs choose a remedy by it. ``concept``: the concept's number, if about one.

    ``files``: the pictures (or other files) that it is about; ``facts``: what else a remedy needs (JSON types only).
    """

    kind: str
    text: str
    files: tuple[Path, ...] = ()
    concept: int | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def data(self) -> dict[str, Any]:
        """Return the finding in JSON types."""
        return {
            "kind": self.kind,
            "text": self.text,
            "concept": self.concept,
            "files": [str(path) for path in self.files],
            "facts": self.facts,
        }


def paths(found: Sequence[Picture], rows: Iterable[int]) -> tuple[Path, ...]:
    """Return the paths of some of the pictures."""
    return tuple(found[row].path for row in rows)


def named(files: Sequence[Path], most: int = 3) -> str:
    """Write the first ``most`` file names, for a sentence."""
    return ", ".join(printable(path.name) for path in files[:most]) + (" …" if len(files) > most else "")


def pictures(count: int, name: str = "picture") -> str:
    """Write a number of pictures: '1 picture', '1,200 pictures'."""
    return f"{count:,} {name}{'' if count == 1 else 's'}"


def whose(scan: Scan, concept: int) -> str:
    """Write ' of concept X' where there are several concepts; nothing where there is one."""
    return f" of concept {printable(scan.concepts[concept].name)!r}" if len(scan.concepts) > 1 else ""
