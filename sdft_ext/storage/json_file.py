"""Read and write JSON files; the only place that parses JSON."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, NoReturn, overload

from ..errors import SdftError
from . import atomic
from .regular_file import open_regular

_REQUIRED = object()


class JsonFileError(SdftError, ValueError):
    """A file is not valid JSON. The message names the file; ``reason`` is the parser's explanation alone."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} is damaged ({reason}): restore or delete it.")
        self.reason = reason


def parse(text: str | bytes, *, finite: bool = False, unique: bool = False) -> Any:
    """Parse a JSON text; with ``finite``, NaN and infinities, which Python writes but JSON doesn't have, are errors;
    with ``unique``, so are two values of one name, of which programs take different ones.

    Raises ValueError, also for undecodable bytes and for a text nested too deeply.
    """
    try:
        return json.loads(
            text,
            parse_constant=_reject_constant if finite else None,
            object_pairs_hook=_unique if unique else None,
        )
    except RecursionError as error:
        raise ValueError(str(error)) from error


def read(path: Path, *, missing: Any = _REQUIRED) -> Any:
    """Read a UTF-8 JSON file; ``missing``, if given, is returned where the file doesn't exist.

    Raises OSError where the file can't be read, JsonFileError where it is damaged.
    """
    try:
        with open_regular(path) as file:  # a file in a dataset's hidden folder may be anything
            return parse(file.read().decode("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        if missing is _REQUIRED:
            raise
        return missing
    except ValueError as error:
        raise JsonFileError(path, str(error)) from error


@overload
def read_or(path: Path, default: None) -> Any: ...
@overload
def read_or(path: Path, default: dict[str, Any]) -> dict[str, Any]: ...
@overload
def read_or(path: Path, default: list[Any]) -> list[Any]: ...
def read_or(path: Path, default: Any) -> Any:
    """Read a JSON file; return ``default`` where it is absent, unreadable, damaged, or holds another type than that.

    ``read_or(path, {})`` is always a dict; a default of None lets any type through.
    """
    try:
        found = read(path)
    except (OSError, ValueError):
        return default
    return found if default is None or isinstance(found, type(default)) else default


def read_to_extend(path: Path, default: Any) -> Any:
    """Read a JSON file that is then written with more in it; ``default`` where it is absent, damaged or another type.

    Raises OSError where it can't be read at present: written from ``default``, it would lose what it holds.
    """
    try:
        found = read(path, missing=default)
    except JsonFileError:
        return default
    return found if isinstance(found, type(default)) else default


def number(values: dict[str, Any], name: str) -> float:
    """Return a number of an object whose file may be damaged; 0 where there is no finite number."""
    value = values.get(name)
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else 0.0


def replace_nonfinite(value: Any) -> Any:
    """Replace NaN and infinities, which JSON lacks, by None, in dicts and lists too."""
    if isinstance(value, dict):
        return {key: replace_nonfinite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [replace_nonfinite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write(path: str | Path, value: Any) -> None:
    """Write a JSON file, whole or not at all. Raises OSError with the file's name where it can't be written."""
    atomic.text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)[:200]!r} occurs twice")
    return found


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(f"JSON has no {name}")
