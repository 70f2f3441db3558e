"""Prints figures as a table, and writes them to a file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Format a table whose columns are as wide as their widest cell: the first left-aligned, the others right."""
    cells = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    lines = [
        "  ".join(
            cell.rjust(w) if column else cell.ljust(w) for column, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in cells
    ]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def show(header: Sequence[str], rows: Sequence[Sequence[object]], figures: Any, json_file: str | Path | None) -> None:
    """Print the table; with ``json_file``, write ``figures`` there."""
    print(table(header, rows), flush=True)
    if json_file:
        Path(json_file).write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
