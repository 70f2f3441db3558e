"""The errors of this room: each message says what happened and what to do."""

from __future__ import annotations

from ..errors import SdftError


class CaptionsError(SdftError, ValueError):
    """Wrong input, or a folder that can't be used; nothing was changed."""


class Outdated(SdftError, RuntimeError):
    """What was to be changed has changed meanwhile; nothing was done."""
