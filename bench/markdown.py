"""Lays out the pages that are written from figures."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

WIDTH = 120


def wrapped(text: str) -> str:
    """Wrap the lines of a page, but not its tables, pictures, code and titles."""
    return "\n".join(line if line.startswith(("|", "!", " ", "#")) else _filled(line) for line in text.split("\n"))


def row(cells: Sequence[str]) -> str:
    """Write a row of a table."""
    return f"| {' | '.join(cells)} |"


def _filled(line: str) -> str:
    indent = "  " if line.startswith("- ") else ""
    return textwrap.fill(line, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
