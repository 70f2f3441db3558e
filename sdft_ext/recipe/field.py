"""A field of the recipe: its default, the texts that the page shows, and its range."""

from __future__ import annotations

import dataclasses
from dataclasses import field
from typing import Any

from ..errors import SdftError


class RecipeError(SdftError, ValueError):
    """Raised for a recipe that can't be used; the message names the setting, what is wrong, and what to write."""


def setting(
    default: Any = dataclasses.MISSING,
    *,
    label: str,
    help: str,
    low: float | None = None,
    high: float | None = None,
    factory: Any = dataclasses.MISSING,
    folded: bool = True,
    path: bool = False,
    methods: tuple[str, ...] = (),
) -> Any:
    """Make a recipe field: its default, the texts that the page shows, and its range (both ends allowed).

    ``folded`` fields are for advanced users: the page hides them under a heading. ``path`` marks a file or folder; a
    relative path in a recipe file starts at that file's folder. ``methods`` names the methods that use the field;
    empty: all of them.
    """
    metadata = {
        "label": label, "help": help, "low": low, "high": high, "folded": folded, "path": path, "methods": methods
    }  # fmt: skip
    if factory is not dataclasses.MISSING:
        return field(default_factory=factory, metadata=metadata)
    return field(default=default, metadata=metadata)
