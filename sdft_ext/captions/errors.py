"""What is refused here, in one sentence that says what happened and what to do."""

from __future__ import annotations


class CaptionsError(ValueError):
    """Wrong input, or a folder that can't be used; nothing was changed."""


class Outdated(RuntimeError):
    """What was to be changed has changed meanwhile; nothing was done."""
