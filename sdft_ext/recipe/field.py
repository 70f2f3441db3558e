"""A field of the recipe: its default, the words the page shows, and its range."""

from __future__ import annotations

import dataclasses
from dataclasses import field
from typing import Any

from ..errors import SdftError


class RecipeError(SdftError, ValueError):
    """A recipe that can't be used; the message names the setting, what is wrong, and what to write instead."""


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
    """A recipe field: its default, the words the page shows, and the range a value must lie in (both ends allowed).

    ``folded`` says that a newcomer need not see it: the page puts it under a heading. ``path`` marks a file or folder:
    a relative one in a recipe file starts at that file's folder. ``methods`` are those that use it; empty: all.
    """
    metadata = {
        "label": label, "help": help, "low": low, "high": high, "folded": folded, "path": path, "methods": methods
    }  # fmt: skip
    if factory is not dataclasses.MISSING:
        return field(default_factory=factory, metadata=metadata)
    return field(default=default, metadata=metadata)
