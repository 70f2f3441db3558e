"""Text as people's programs wrote it: UTF-8 with and without a mark, UTF-16, Windows' and Latin-1 code pages."""

from __future__ import annotations

import codecs

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16: its mark begins with UTF-16's
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def decode(data: bytes) -> tuple[str, str]:
    """Text and the encoding it was read as.

    A byte order mark decides; without one, zero bytes in every other place mean UTF-16; then UTF-8, then Windows-1252,
    and Latin-1, which reads anything, last. Nothing raises: a caption with a wrong letter is better than no caption.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data.decode(encoding, errors="replace"), encoding
    for encoding in _guesses(data):
        try:
            return data.decode(encoding), encoding
        except UnicodeDecodeError:
            continue
    return data.decode("latin-1"), "latin-1"


def printable(name: object) -> str:
    """A file name for a sentence on one line: line breaks, control signs and undecodable bytes as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in str(name))


def _guesses(data: bytes) -> tuple[str, ...]:
    even, odd = data[0::2].count(0), data[1::2].count(0)
    if len(data) >= 2 and len(data) % 2 == 0 and even + odd > len(data) // 4:
        return ("utf-16-le",) if odd >= even else ("utf-16-be",)
    return ("utf-8", "cp1252")
