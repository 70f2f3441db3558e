"""Settings in which two recipes differ."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..recipe import Recipe
from ..recipe.rules import fields


def differences(a: Recipe, b: Recipe) -> list[dict[str, Any]]:
    """Return ``path``, ``label`` and both values, ``a`` and ``b``; None where a recipe has no such concept."""
    one, other = ({setting.path: setting for setting in fields(recipe)} for recipe in (a, b))
    found = []
    for path in _merged(list(one), list(other)):
        first, second = one.get(path), other.get(path)
        if first is not None and second is not None and first.value == second.value:
            continue
        label = (first or second).label  # type: ignore[union-attr]
        found.append(
            {
                "path": path,
                "label": label,
                "a": None if first is None else first.value,
                "b": None if second is None else second.value,
            }
        )
    return found


def _merged(first: list[str], second: list[str]) -> Iterator[str]:
    """Yield the paths of both lists, each once: the first list in its order, then what only the second has."""
    yield from first
    known = set(first)
    yield from (path for path in second if path not in known)
