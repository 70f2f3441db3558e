"""The project's own errors: each message is a sentence for the user that says what happened and what to do."""

from __future__ import annotations


class SdftError(Exception):
    """The root of the project's own errors. Any error that isn't one of them is a fault of the program."""


class ModelError(SdftError, ValueError):
    """A file can't be used as a model; the message names it, says what it is, and what to do."""
