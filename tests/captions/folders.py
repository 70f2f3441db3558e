"""Folders of small pictures with captions."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

from PIL import Image


def make(root: Path, captions: Mapping[str, str | bytes | None]) -> Path:
    """A picture for each name, ``a`` as ``a.png``, with its caption in ``a.txt``; None: no caption."""
    for number, (name, caption) in enumerate(captions.items()):
        path = root / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(number))
        if caption is not None:
            data = caption.encode() if isinstance(caption, str) else caption
            path.with_name(f"{path.stem}.txt").write_bytes(data)
    return root


def picture(number: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32), (number * 40 % 256, number % 256, 90)).save(buffer, "PNG")
    return buffer.getvalue()


def texts(root: Path) -> dict[str, bytes]:
    """All caption files."""
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*.txt"))}


def times(root: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}
