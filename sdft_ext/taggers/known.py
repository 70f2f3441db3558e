"""Which taggers there are: those that sources find. ``SOURCES`` is where others plug in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .base import Tagger
from .onnx import onnx_taggers

Source = Callable[[Path], "list[Tagger]"]
"""Finds taggers; it is given the folder in which people put theirs."""

SOURCES: list[Source] = [lambda folder: list(onnx_taggers(folder))]
"""An extension that brings a tagger adds a function here."""


def known(folder: Path) -> list[Tagger]:
    """Every tagger, also one that lacks something (its ``why`` says what); of two with one id the first."""
    found: dict[str, Tagger] = {}
    for source in SOURCES:
        for tagger in source(folder):
            found.setdefault(tagger.id, tagger)
    return list(found.values())
