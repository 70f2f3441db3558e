"""The captions and pictures of a folder, as the store holds them, and what edits and saves report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..storage.text import printable
from .files import CaptionFormat
from .journal_lines import Change, Text

Signature = tuple[int, int, int]
"""Size in bytes, modification time in nanoseconds, and inode of a file."""


@dataclass
class CaptionEntry:
    """One caption: of a picture, or of several that differ only in their extensions.

    ``name`` is their path below the folder without extension; ``file`` is the caption file, which may not exist yet.

    Three texts are kept: ``base``, which the file held when it was last read; ``text``, which it shall hold; and, where
    another program has written the file while those differed (``conflict``), ``theirs``.

    ``fallback`` is what the folder's or the picture's name says, which counts where there is no caption file.
    ``locked`` is a sentence where the file can't be edited. ``exact``: writing the text again would give the same
    bytes. ``fresh``: the journal hasn't been consulted yet. ``ids`` are those of the pictures.
    """

    name: str
    file: Path
    fallback: str
    from_folder: bool
    base: Text = None
    text: Text = None
    theirs: Text = None
    conflict: bool = False
    locked: str = ""
    form: CaptionFormat = field(default_factory=CaptionFormat)
    exact: bool = True
    signature: Signature | None = None
    fresh: bool = True
    ids: set[int] = field(default_factory=set)

    @property
    def caption(self) -> str:
        """What training reads: the file's text, else the fallback."""
        return self.fallback if self.text is None else self.text

    @property
    def state(self) -> str:
        """One of ``saved``, ``changed``, ``conflict`` and ``locked``."""
        if self.locked:
            return "locked"
        return "conflict" if self.conflict else "saved" if self.text == self.base else "changed"

    @property
    def source(self) -> str:
        """Where the caption comes from: one of ``choices.SOURCES``."""
        if self.text is not None:
            return "caption" if self.file.suffix.lower() == ".caption" else "txt"
        return "none" if not self.fallback else "folder" if self.from_folder else "name"


@dataclass
class Picture:
    """One picture of the folder. ``width`` and ``height`` in pixels; ``id`` stays the same while the store is open."""

    id: int
    name: str
    path: Path
    concept: str
    width: int
    height: int
    size: int
    mtime_ns: int
    entry: CaptionEntry
    revision: int = 0

    @property
    def caption(self) -> str:
        return self.entry.caption


@dataclass(frozen=True)
class EditPlan:
    """What an edit would change: names of captions with their old and new texts. ``notes`` say what it skips, and
    why.
    """

    changes: tuple[Change, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class EditResult:
    """What was done, as a phrase; how many captions it changed; what was skipped, and why."""

    what: str
    count: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class SaveResult:
    """How many files were written; captions that another program has changed; captions that failed, with the reason."""

    count: int
    conflicts: tuple[str, ...]
    failed: tuple[tuple[str, str], ...]
    notes: tuple[str, ...] = ()


def count_captions(count: int) -> str:
    return f"{count:,} caption{'' if count == 1 else 's'}"


def some_names(names: Sequence[str]) -> str:
    """The first three names, and how many more there are."""
    some = ", ".join(printable(name) for name in names[:3])
    return f"{some} and {len(names) - 3:,} more" if len(names) > 3 else some
