"""Recipes as files: YAML whose scalars are read as text and converted to their field's type.

So ``trigger: 0123``, ``on``, ``1e5`` and ``${a}`` stay what was typed. Text is written in double quotes, so that other
YAML readers get the same; numbers are written exactly.
"""

from __future__ import annotations

import codecs
import copy
import dataclasses
import difflib
import json
import re
import reprlib
import textwrap
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import yaml

from ..storage import atomic
from ..storage.regular_file import read_start
from ..storage.text import printable
from .field import RecipeError
from .recipe import VERSION, Recipe
from .rules import allowed, choices, fields, section_in_list, types, validate

__all__ = ["absolute", "dumps", "from_plain", "loads", "migrate", "override", "read", "validate", "write"]

Raw = dict[str, Any]
"""A recipe as YAML reads it: mappings, lists and text."""

MIGRATIONS: Mapping[int, Callable[[Raw], Raw]] = {}
"""For each older version n, the function that turns a raw recipe of it into one of version n + 1."""

MAX_BYTES, MAX_BRACKETS = 500_000, 10_000
"""Of a recipe: YAML is read at some hundred kilobytes a second, and brackets inside brackets far more slowly."""
_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "seq", "map")}
_INT = re.compile(r"[+-]?[0-9]{1,30}")
_FLOAT = re.compile(r"[+-]?([0-9]{1,400}(\.[0-9]{0,400})?|\.[0-9]{1,400})([eE][+-]?[0-9]{1,10})?")
MAX_NAME = 100
"""Characters of a name from a file that a message shows."""
_BOOL = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")


def read(path: str | Path) -> Recipe:
    """Read a recipe file; relative paths (defaults too) start at the file's folder, ``~`` is the home folder.

    So a recipe can be moved together with its pictures. Raises RecipeError, which names the file.
    """
    path = Path(path)
    try:
        content = read_start(path, MAX_BYTES + 1)
    except OSError as error:
        raise RecipeError(f"The recipe {path} can't be read: {error.strerror}.") from error
    if len(content) > MAX_BYTES:
        raise RecipeError(f"{path} is larger than {MAX_BYTES // 1000} kB: it is no recipe, choose another file.")
    try:
        recipe = loads(_decoded(content))
    except RecipeError as error:
        raise RecipeError(f"{path}: {error}") from error
    return absolute(recipe, path.absolute().parent)


def loads(text: str) -> Recipe:
    """Parse and validate a recipe; settings that it doesn't name have their defaults. Raises RecipeError."""
    recipe = _typed(Recipe, _as_mapping(_parse(text), "The recipe"), "")
    validate(recipe)
    return recipe


def from_plain(values: Any) -> Recipe:
    """Convert nested mappings, lists and values, e.g. from JSON, to a recipe; settings left out have their defaults.

    Types are checked, ranges are not: see ``validate``. Raises RecipeError.
    """
    try:
        return cast(Recipe, _typed(Recipe, _as_mapping(_raw(values), "The recipe"), ""))
    except RecursionError as error:
        raise RecipeError("The recipe is nested too deeply: it consists of sections with settings.") from error


def write(path: str | Path, recipe: Recipe) -> None:
    """Write a recipe, whole or not at all, with absolute paths, so that it means the same wherever it is read.

    Relative paths start at the current folder. Raises OSError where the file can't be written.
    """
    atomic.text(path, dumps(absolute(recipe, Path.cwd())))


def dumps(recipe: Recipe, comments: bool = False, method: str = "") -> str:
    """Write a recipe as YAML; ``comments`` explain each setting. ``method``: leave out what only other methods use."""
    return "\n".join(_lines(recipe, "", comments, method)).rstrip("\n") + "\n"


def absolute(recipe: Recipe, folder: Path) -> Recipe:
    """Return a copy whose relative paths start at ``folder``."""
    result = copy.deepcopy(recipe)
    for setting in fields(result):
        if setting.is_path and setting.value:
            put(result, setting.path, str(folder / _expand_home(setting.value)))
    return result


def override(recipe: Recipe, settings: Iterable[str]) -> Recipe:
    """Return a copy changed by texts such as ``train.learning_rate=1e-4``, whose values are read as in a file.

    ``dataset.concepts.0.trigger=sks`` (or ``concepts[0]``) sets an item of a list; the number after the last adds one.
    ``method.lora.block_ranks.mid_block=4`` sets a mapping's item; ``watch.concept_prompts=["a", "b"]`` replaces all.
    Raises RecipeError, which names the setting.
    """
    raw = _raw(recipe)
    for text in settings:
        path, equals, value = text.partition("=")
        if not equals:
            raise RecipeError(f"{text!r} sets nothing: write section.key=value, such as train.learning_rate=1e-4.")
        names = re.sub(r"\[(\d+)\]", r".\1", path.strip()).split(".")
        _assign(Recipe, raw, names, value, "")
    result = _typed(Recipe, raw, "")
    validate(result)
    return result


def migrate(raw: Raw, version: int) -> Raw:
    """Convert a raw recipe of an older version to this one. Raises RecipeError for unknown versions."""
    if version > VERSION:
        raise RecipeError(f"version is {version}, from a newer sdft than this one (version {VERSION}): update sdft.")
    for step in range(version, VERSION):
        if step not in MIGRATIONS:
            raise RecipeError(f"version is {version}, which doesn't exist: write version: {VERSION}.")
        raw = MIGRATIONS[step](raw)
    return {**raw, "version": str(VERSION)}


def quoted(value: Any) -> str:
    """Write a text as YAML's double-quoted scalar, which every YAML reader reads back unchanged; also what JSON makes
    of texts: lists and mappings of them.
    """
    return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(value, ensure_ascii=False))


class _Loader(yaml.BaseLoader):
    """Load all scalars as text, and refuse a key that occurs twice in a mapping, and tags, which programs run."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        if node.tag not in _TAGS:
            line = node.start_mark.line + 1
            raise RecipeError(
                f"line {line} has the tag {_name(node.tag)}: a recipe has sections and settings only; remove it."
            )
        return super().construct_object(node, deep)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                line = key.start_mark.line + 1
                raise RecipeError(
                    f"{_name(key.value)} occurs twice in the same section (again in line {line}): keep one of them."
                )
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


def _decoded(content: bytes) -> str:
    encoding = "utf-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise RecipeError(f"it is not UTF-8 text (byte {error.start}): save it as UTF-8.") from error


def _parse(text: str) -> Any:
    if text.count("[") + text.count("{") > MAX_BRACKETS:
        raise RecipeError("it is not YAML (it has far more brackets than a recipe).")
    try:
        return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""
        raise RecipeError(
            f"{where}it is not YAML ({error.problem or error.context}); put text with special characters in quotes."
        ) from error
    except (yaml.YAMLError, RecursionError) as error:
        reason = str(error).splitlines()[0] if isinstance(error, yaml.YAMLError) else "nested too deeply"
        raise RecipeError(f"it is not YAML ({reason}).") from error


def _as_mapping(raw: Any, name: str) -> Raw:
    if raw in ("", None):
        return {}
    if not isinstance(raw, dict):
        raise RecipeError(f"{name} is {_shown(raw)}, but must be a section of settings, one 'key: value' a line.")
    return raw


def _typed(hint: Any, raw: Any, path: str, low: float | None = None, high: float | None = None) -> Any:
    """Convert a raw value to its type. Raises RecipeError with the setting, what was found, and what is allowed."""
    if dataclasses.is_dataclass(hint):
        return _section(hint, _as_mapping(raw, path), path)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is list:
        if not isinstance(raw, list) and raw != "":
            raise RecipeError(
                f'{path} is {_shown(raw)}, but must be {allowed(hint)}: write ["one", "two"], or - before each.'
            )
        return [_typed(arguments[0], item, f"{path}.{number}") for number, item in enumerate(raw)]
    if origin is dict:
        if not isinstance(raw, dict) and raw != "":
            raise RecipeError(f"{path} is {_shown(raw)}, but must be {allowed(hint)}: write {{name: value}}.")
        return {key: _typed(arguments[1], item, f"{path}.{key}") for key, item in dict(raw or {}).items()}
    if not isinstance(raw, str):
        raise RecipeError(f"{path} is {_shown(raw)}, but must be {allowed(hint, low, high)}.")
    value = _scalar(hint, raw)
    if value is None:
        found = "empty" if not raw else _shown(raw)
        near = difflib.get_close_matches(raw, choices(hint), 1)
        meant = f" Did you mean {near[0]}?" if near else ""
        raise RecipeError(f"{path} is {found}, but must be {allowed(hint, low, high)}.{meant}")
    return value


def _section(cls: Any, raw: Raw, path: str) -> Any:
    if cls is Recipe:
        raw = migrate(raw, _typed(int, raw.get("version", str(VERSION)), "version"))
    prefix = f"{path}." if path else ""
    metadata = {field.name: field.metadata for field in dataclasses.fields(cls)}
    values = {}
    for key, item in raw.items():
        if key not in metadata:
            raise RecipeError(_unknown(cls, key, prefix))
        values[key] = _typed(types(cls)[key], item, f"{prefix}{key}", metadata[key]["low"], metadata[key]["high"])
    return cls(**values)


def _scalar(hint: Any, text: str) -> Any:
    """Convert a text to a bool, an int, a float, one of the choices, or text; None where it isn't one."""
    if hint is str:
        return text
    if choices(hint):
        return text if text in choices(hint) else None
    if hint is bool:
        return _BOOL.get(text.strip().lower())
    if hint is int:
        return int(text) if _INT.fullmatch(text.strip()) else None
    return float(text) if _FLOAT.fullmatch(text.strip()) else None


def _unknown(cls: Any, key: str, prefix: str) -> str:
    """Say that a setting doesn't exist, and name the most similar one: of its section first, then of any."""
    key = str(key)[:MAX_NAME]
    here = difflib.get_close_matches(key, types(cls), 1, cutoff=0.75)
    elsewhere = {setting.path.rpartition(".")[2]: setting.path for setting in fields(Recipe)}
    there = difflib.get_close_matches(str(key), elsewhere, 1, cutoff=0.75)
    far = difflib.get_close_matches(str(key), types(cls), 1, cutoff=0.5)
    candidates = (
        [prefix + name for name in here] + [elsewhere[name] for name in there] + [prefix + name for name in far]
    )
    near = next(iter(candidates), "")
    known = ", ".join(types(cls))
    return f"{prefix}{_name(key)} is not a setting. " + (f"Did you mean {near}?" if near else f"There are: {known}.")


def _name(key: object) -> str:
    """Write a name from a file for a message."""
    return printable(str(key)[:MAX_NAME])


def _assign(hint: Any, raw: Any, names: list[str], value: str, path: str) -> Any:
    """Set ``value`` in the raw tree below ``names``; return the tree's new content at ``path``."""
    origin = typing.get_origin(hint)
    prefix = f"{path}." if path else ""
    if dataclasses.is_dataclass(hint):
        if not names:
            first = next(iter(types(typing.cast(type, hint))))
            raise RecipeError(f"{path} is a section: set one of its settings, such as {prefix}{first}=….")
        known = types(typing.cast(type, hint))
        if names[0] not in known:
            raise RecipeError(_unknown(hint, names[0], prefix))
        raw[names[0]] = _assign(known[names[0]], raw.get(names[0], ""), names[1:], value, prefix + names[0])
        return raw
    if origin is list and names:
        number, items = names[0], list(raw)
        if not re.fullmatch("[0-9]{1,6}", number) or int(number) > len(items):
            raise RecipeError(
                f"{prefix}{_name(number)} is not an item of the list {path}: write a number from 0 to {len(items)}."
            )
        item = typing.get_args(hint)[0]
        if int(number) == len(items):
            items.append({} if dataclasses.is_dataclass(item) else "")
        items[int(number)] = _assign(item, items[int(number)], names[1:], value, f"{prefix}{number}")
        return items
    if origin is dict and names:
        return {**(raw or {}), ".".join(names): value}
    if names:
        raise RecipeError(f"{prefix}{_name('.'.join(names))} is not a setting: {path} is {allowed(hint)}.")
    if origin not in (list, dict):
        return value
    try:
        return _parse(value)
    except RecipeError as error:
        raise RecipeError(f"{path}: {error}") from error


def _raw(value: Any) -> Any:
    """Convert a recipe, or a part of it, to what YAML reads: mappings, lists and text."""
    if dataclasses.is_dataclass(value):
        return {field.name: _raw(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, list):
        return [_raw(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _raw(item) for key, item in value.items()}
    if value is None:
        return ""
    return (
        ("true" if value else "false") if isinstance(value, bool) else value if isinstance(value, str) else repr(value)
    )


def _lines(section: Any, indent: str, comments: bool, method: str = "") -> Iterator[str]:
    """Yield a section's lines of YAML."""
    cls: Any = type(section)
    for field in dataclasses.fields(section):
        if method and not _uses(method, field, getattr(section, field.name)):
            continue
        value, hint = getattr(section, field.name), types(cls)[field.name]
        inner, key = indent + "  ", f"{indent}{field.name}:"
        if comments:
            yield from _comment(field, hint, indent)
        if dataclasses.is_dataclass(value):
            yield from [key, *_lines(value, inner, comments, method), *([] if indent else [""])]
        elif section_in_list(hint) is not None and value:
            yield key
            for item in value:
                first, *rest = (
                    _lines(item, inner + "  ", False) if not comments else _commented_item(item, inner + "  ")
                )
                yield from [f"{inner}- {first.lstrip()}", *rest]
        elif isinstance(value, list) and value:
            yield from [key, *(f"{inner}- {quoted(item)}" for item in value)]
        elif isinstance(value, dict) and value:
            yield from [key, *(f"{inner}{quoted(name)}: {_text(item)}" for name, item in value.items())]
        else:
            yield f"{key} {_text(value)}"


def _uses(method: str, field: dataclasses.Field[Any], value: Any) -> bool:
    """Return whether a method uses a setting, or any in a section."""
    if dataclasses.is_dataclass(value):
        return any(_uses(method, inner, getattr(value, inner.name)) for inner in dataclasses.fields(value))
    return method in (field.metadata["methods"] or (method,))


def _commented_item(item: Any, indent: str) -> Iterator[str]:
    """Yield a list item's lines with comments, except above its first key, which follows the dash."""
    lines = list(_lines(item, indent, True))
    start = next(number for number, line in enumerate(lines) if not line.lstrip().startswith("#"))
    yield from lines[start:]


def _comment(field: dataclasses.Field[Any], hint: Any, indent: str) -> Iterator[str]:
    text = f"{field.metadata['label']}: {field.metadata['help']}"
    if not dataclasses.is_dataclass(hint) and hint is not str and section_in_list(hint) is None:
        text += f" ({allowed(hint, field.metadata['low'], field.metadata['high'])})"
    lines = textwrap.wrap(text, 110 - len(indent), break_on_hyphens=False, break_long_words=False)
    yield from (f"{indent}# {line}" for line in lines)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, list | dict):
        return "[]" if isinstance(value, list) else "{}"
    text = str(_raw(value))
    # Without a decimal point, other YAML readers take 1e-05 for text.
    return text.replace("e", ".0e") if isinstance(value, float) and "e" in text and "." not in text else text


def put(recipe: Recipe, path: str, value: Any) -> None:
    """Set one setting of a recipe, by its path, to a value of its type."""
    parent: Any = recipe
    *sections, name = path.split(".")
    for part in sections:
        parent = parent[int(part)] if isinstance(parent, list) else getattr(parent, part)
    setattr(parent, name, value)


def _expand_home(path: str) -> Path:
    return Path(path).expanduser() if path == "~" or path.startswith(("~/", "~\\")) else Path(path)


def _shown(raw: Any) -> str:
    return reprlib.repr(raw)
