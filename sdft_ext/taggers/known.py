"""The taggers that are installed. Other programs add theirs to ``SOURCES``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .base import Tagger
from .onnx import onnx_taggers

Source = Callable[[Path], "list[Tagger]"]
"""Returns taggers, given the folder that users put their taggers in."""

SOURCES: list[Source] = [lambda folder: list(onnx_taggers(folder))]
"""An extension that has a tagger adds a function here."""


def known(folder: Path) -> list[Tagger]:
    """Return every tagger, also one that can't be used yet (``why`` says so); of two with the same id, the first."""
    found: dict[str, Tagger] = {}
    for source in SOURCES:
        for tagger in source(folder):
            found.setdefault(tagger.id, tagger)
    return list(found.values())
