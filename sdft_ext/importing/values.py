"""The settings of another program's file, read one by one: those that nobody reads are reported at the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .draft import Draft
from .source import HIGHEST

_BOOL = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


class Values:
    """One table of settings. ``prefix`` stands before their names in the report; ``names`` are those of the file where
    they differ from those asked for, and ``given`` the file's own values by these names.

    Numbers may be written as text, as kohya_ss does. A value of a wrong type is reported, and the default returned.
    """

    def __init__(
        self,
        values: Mapping[str, Any],
        draft: Draft,
        prefix: str = "",
        names: Mapping[str, str] | None = None,
        given: Mapping[str, Any] | None = None,
    ) -> None:
        self.values, self.draft, self.prefix = values, draft, prefix
        self._given = given or {}
        self._names, self._read = dict(names or {}), set[str]()
        self._tables: dict[str, list[Values]] = {}

    def name(self, name: str) -> str:
        """Return a setting's name as the report shows it."""
        return self.prefix + self._names.get(name, name)

    def shown(self, name: str) -> Any:
        """Return a setting's value as the file has it; None where it isn't given."""
        self._read.add(name)
        value = self._given.get(self._names.get(name, name), self.values.get(name))
        return None if value == "" or value == [] else value

    def raw(self, name: str, default: Any = None) -> Any:
        """Return a value as it is in the file; ``default`` where it is missing or empty."""
        self._read.add(name)
        value = self.values.get(name)
        return default if value is None or value == "" or value == [] else value

    def has(self, name: str) -> bool:
        """Return whether a setting has a value other than nothing."""
        return self.raw(name) is not None

    def number(self, name: str, default: float | None = None) -> float | None:
        """Return a number of at most HIGHEST, or its negative."""
        value = self.raw(name)
        if value is None:
            return default
        found = finite(value)
        return self._wrong(name, value, _wanted(value, "a number"), default) if found is None else found

    def whole(self, name: str, default: int | None = None) -> int | None:
        """Return a whole number; 64.0 is one too."""
        value = self.raw(name)
        if value is None:
            return default
        found = finite(value)
        if found is None or found != int(found):
            return self._wrong(name, value, _wanted(value, "a whole number"), default)
        return value if isinstance(value, int) else int(found)

    def flag(self, name: str, default: bool = False) -> bool:
        """Return true or false, also where it is written as text or as 1 and 0."""
        value = self.raw(name)
        if value is None:
            return default
        found = _BOOL.get(str(value).strip().lower())
        return bool(self._wrong(name, value, "true or false", default)) if found is None else found

    def text(self, name: str, default: str = "") -> str:
        """Return a text; numbers become texts."""
        value = self.raw(name)
        if value is None:
            return default
        if isinstance(value, dict | list):
            return str(self._wrong(name, value, "a text", default))
        return str(value)

    def table(self, name: str) -> Values:
        """Return the settings of an inner table, always the same object; an empty one where there is none."""
        if name in self._tables:
            return self._tables[name][0]
        value = self.raw(name)
        if value is not None and not isinstance(value, Mapping):
            self._wrong(name, value, "a group of settings", None)
            value = None
        self._tables[name] = [Values(value or {}, self.draft, f"{self.name(name)}.")]
        return self._tables[name][0]

    def tables(self, name: str) -> list[Values]:
        """Return the settings of each table of a list."""
        value = self.raw(name)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
            self._wrong(name, value, "a list of groups of settings", None)
            return []
        found = [Values(item, self.draft, f"{self.name(name)}.{number}.") for number, item in enumerate(value)]
        self._tables[name] = found
        return found

    def set(self, path: str, name: str, value: Any) -> bool:
        """Set the recipe's setting ``path`` to a value that comes from the setting ``name``."""
        return self.draft.set(path, value, self.name(name), self.shown(name))

    def leave(self, name: str, text: str) -> None:
        """Report a setting that can't be carried over; ``text`` says why and what to do."""
        value = self.shown(name)
        if value is None:
            self.draft.note(f"{self.name(name)} isn't given: {text}")
        else:
            self.draft.leave(self.name(name), value, text)

    def unread(self) -> Iterator[tuple[str, Any]]:
        """Yield the settings that nobody has read, and whose value isn't empty."""
        for name, value in self.values.items():
            if name not in self._read and value is not None and value not in ("", [], {}):
                yield name, value

    def all_unread(self) -> Iterator[tuple[Values, str, Any]]:
        """Yield the settings that nobody has read, of this table and of those in it."""
        for name, value in self.unread():
            yield self, name, value
        for tables in self._tables.values():
            for table in tables:
                yield from table.all_unread()

    def report_unread(self, left: Mapping[str, tuple[Any, str]], quiet: frozenset[str]) -> None:
        """Report the settings that nobody has read. ``left`` names for some the values that have no effect, and what to
        say of any other; those in ``quiet`` change speed, memory or logging, not what is learned: one line for all.
        """
        unneeded = []
        for table, name, value in list(self.all_unread()):
            if name in quiet:
                if not _same(value, (False, 0, "none")):
                    unneeded.append(table.name(name))
            elif name in left:
                inactive, text = left[name]
                if not _same(value, inactive):
                    table.leave(name, text)
            elif value is not False:
                table.leave(name, "this program has no such setting. No action is needed unless you rely on it.")
        if unneeded:
            self.draft.note(
                f"Not needed here, as they change speed, memory or logging, not what is learned: {', '.join(unneeded)}."
            )

    def _wrong(self, name: str, value: Any, wanted: str, default: Any) -> Any:
        self.draft.leave(
            self.name(name), value, f"this is not {wanted}, so it was left out. Correct it and import again."
        )
        return default


def finite(value: Any) -> float | None:
    """Return a number, also of a text, as far as one may calculate with it: at most HIGHEST, or its negative."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if abs(found) <= HIGHEST else None  # NaN isn't, either


def _wanted(value: Any, kind: str) -> str:
    """Name what a value should be, where it may be a number that is only too large."""
    try:
        return f"{kind} of at most 2^64" if abs(float(value)) > HIGHEST else kind
    except (TypeError, ValueError, OverflowError):
        return kind


def _same(value: Any, inactive: Any) -> bool:
    """Return whether a value is the one without effect; false, 0 and "0" are the same."""
    if isinstance(inactive, tuple):
        return any(_same(value, one) for one in inactive)
    if value == inactive or (not inactive and not value):
        return True
    first, second = finite(value), finite(inactive)
    return first == second if first is not None and second is not None else str(value).lower() == str(inactive).lower()
