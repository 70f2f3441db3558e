"""Parse a file with all captions: kohya's JSON, diffusers' JSONL, CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ..storage import json_file
from ..storage.text import printable
from .errors import CaptionsError

_FILE_COLUMNS = ("file_name", "filename", "file", "image", "image_file", "path", "name")
_TEXT_COLUMNS = ("text", "caption", "captions", "prompt", "tags")


def _json(content: str) -> dict[str, str]:
    try:
        entries = json_file.parse(content, unique=True)
    except ValueError as error:
        raise CaptionsError(
            f"The file is not JSON ({error}); choose kohya's meta_cap.json or meta_lat.json."
        ) from error
    if not isinstance(entries, dict):
        raise CaptionsError("The file isn't kohya's: it holds no object with an entry for each picture's name.")
    found = {}
    for name, entry in entries.items():
        if isinstance(entry, str):
            found[name] = entry
        elif isinstance(entry, dict):
            parts = [(key, _first(entry, [key])) for key in ("caption", "tags") if entry.get(key) is not None]
            wrong = next((key for key, part in parts if part is None), None)
            if wrong is not None:
                raise CaptionsError(f"The {wrong} of {printable(name[:200])} is not a text; correct it.")
            text = ", ".join(part.strip() for _, part in parts if part is not None and part.strip())
            if text:
                found[name] = text
        else:
            raise CaptionsError(f"The entry of {printable(name[:200])} is neither a text nor an object; correct it.")
    return found


def _jsonl(content: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for number, line in enumerate(content.split("\n"), 1):
        if not line.strip():
            continue
        try:
            entry = json_file.parse(line, unique=True)
        except ValueError as error:
            raise CaptionsError(
                f"Line {number} is not JSON ({error}); choose a metadata.jsonl with one object per line."
            ) from error
        if not isinstance(entry, dict):
            raise CaptionsError(
                f"Line {number} is not an object; choose a metadata.jsonl with file_name and text in each line."
            )
        name, text = _first(entry, _FILE_COLUMNS), _first(entry, _TEXT_COLUMNS)
        if name is None or text is None:
            raise CaptionsError(
                f"Line {number} lacks file_name or text; choose a metadata.jsonl as diffusers reads it."
            )
        _add(found, name, text)
    return found


def _csv(content: str) -> dict[str, str]:
    """Read CSV with commas, semicolons or tabs, as its first line has them."""
    lines = content.split("\n", 1)
    if re.fullmatch(r"sep=.\r?", lines[0]):  # Excel's own first line
        content = lines[1] if len(lines) > 1 else ""
    for delimiter in (",", ";", "\t"):
        reader = csv.reader(io.StringIO(content, newline=""), strict=True, delimiter=delimiter)
        try:
            head = [cell.strip().lower() for cell in next((row for row in reader if row), [])]
            file = next((head.index(name) for name in _FILE_COLUMNS if name in head), None)
            text = next((head.index(name) for name in _TEXT_COLUMNS if name in head), None)
            if file is not None and text is not None:
                found: dict[str, str] = {}
                for name, caption in _rows(reader, len(head), file, text, delimiter):
                    _add(found, name, caption)
                return found
        except csv.Error as error:
            raise CaptionsError(
                f"Line {reader.line_num} of the file is not CSV ({_reason(error)}); put captions in quotes, and quotes "
                "in them twice."
            ) from error
    if not content.strip():
        return {}
    raise CaptionsError("The CSV's first line doesn't name the columns file_name and text; add it.")


def _reason(error: csv.Error) -> str:
    return "a quote isn't closed" if str(error) == "unexpected end of data" else str(error)


def _rows(reader: Any, columns: int, file: int, text: int, delimiter: str) -> Iterator[tuple[str, str]]:
    """Yield name and caption of each row. A caption without quotes in the last column may contain delimiters.

    Raises CaptionsError where a row has fields too few, or too many to know which belong to the caption.
    """
    for row in reader:
        if not any(cell.strip() for cell in row):
            continue
        if len(row) < columns and len(row) <= max(file, text):
            raise CaptionsError(
                f"Line {reader.line_num} of the CSV has fewer fields than its first line; put captions with line "
                "breaks in quotes."
            )
        if len(row) > columns and text != columns - 1:
            raise CaptionsError(
                f"Line {reader.line_num} of the CSV has more fields than its first line; put captions that contain "
                f"{printable(delimiter)} in quotes."
            )
        yield row[file], delimiter.join(row[text:]) if text == columns - 1 else row[text]


def _add(found: dict[str, str], name: str, text: str) -> None:
    """Add a picture's caption; a second one of the same picture becomes another line."""
    known = found.get(name)
    if known is None:
        found[name] = text
    elif text not in known.split("\n"):
        found[name] = f"{known}\n{text}"


def _first(entry: Mapping[str, Any], keys: Sequence[str]) -> str | None:
    """Return the text under the first of the keys that there is; of a list of texts, each is a line."""
    value = next((entry[key] for key in keys if key in entry), None)
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        value = "\n".join(" ".join(part.split()) for part in value if part.strip())
    return value if isinstance(value, str) else None


PARSERS: dict[str, Callable[[str], dict[str, str]]] = {
    "meta_cap": _json,
    "meta_lat": _json,
    "jsonl": _jsonl,
    "csv": _csv,
}
"""Format → the function that returns the captions of a file's text by picture name; it raises CaptionsError."""
