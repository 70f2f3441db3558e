"""The desk's errors; each message is a sentence that says what happened and what to do."""

from __future__ import annotations

from ..errors import SdftError


class DeskError(SdftError, ValueError):
    """Raised for wrong input."""


class NotAllowed(DeskError):
    """Raised for a folder or an action that this user isn't allowed."""


class NotFound(DeskError):
    """Raised where there is no such run, picture or folder."""


class NotNow(DeskError):
    """Raised for a valid request that can't be met in the current state."""
