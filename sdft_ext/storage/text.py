"""Read text as other programs write it: UTF-8 with or without a byte order mark, UTF-16, Windows-1252, Latin-1; and
paths as they are copied.
"""

from __future__ import annotations

import codecs

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is the beginning of this one
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def decode(data: bytes) -> tuple[str, str]:
    """Return the text and the encoding it was decoded with. Never raises: a wrong character is better than no caption.

    A byte order mark decides. Without one, zeros in every other byte mean UTF-16; then UTF-8 is tried, Windows-1252,
    and at last Latin-1, which decodes anything.
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
    """Write a file name for a message: line breaks, control characters and undecodable bytes become escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in str(name))


def quantity(number: int, one: str, many: str = "") -> str:
    """Write a number of things: '1 picture', '1,200 pictures'. ``many``: a plural that isn't made with an s."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def unquoted(path: str) -> str:
    """Return a path without the quotes around it, as Windows' "Copy as path" adds them.

    >>> unquoted(' "C:\\\\dogs" ')
    'C:\\\\dogs'
    """
    inner = path.strip()
    return inner[1:-1] if len(inner) > 1 and inner[0] == inner[-1] and inner[0] in "\"'" else path


def _guesses(data: bytes) -> tuple[str, ...]:
    even, odd = data[0::2].count(0), data[1::2].count(0)
    if len(data) >= 2 and len(data) % 2 == 0 and even + odd > len(data) // 4:
        return ("utf-16-le",) if odd >= even else ("utf-16-be",)
    return ("utf-8", "cp1252")
