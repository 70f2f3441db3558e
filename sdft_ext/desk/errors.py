"""What the desk refuses, each in one sentence that says what happened and what to do."""

from __future__ import annotations

from ..errors import SdftError


class DeskError(SdftError, ValueError):
    """Wrong input."""


class NotAllowed(DeskError):
    """A folder, or a step, that this user may not touch."""


class NotFound(DeskError):
    """There is no such run, picture or folder."""


class NotNow(DeskError):
    """Right in itself, but not in the state that things are in."""
