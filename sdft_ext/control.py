"""Requests to a run while it trains: from the page, a signal, or a program."""

from __future__ import annotations

import threading
from collections.abc import Callable

from .errors import SdftError


class Interrupted(SdftError, RuntimeError):
    """Something that takes long was ended, because the run was told to stop."""


class RunControl:
    """Requests to a run, from any thread. The run handles them between steps."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._paused = False
        self._stop = False
        self._save = False
        self._sample = False
        self._try = False
        self.load_model: Callable[[str, str], bool] = lambda base, vae: False
        """Loads a base model by the files of its checkpoint and its VAE where that is wanted; returns whether it has
        loaded one. Raises SdftError where it can't.
        """

    def pause(self) -> None:
        """Pause the run after this step; the host can use the model meanwhile."""
        self._set(_paused=True)

    def resume(self) -> None:
        """Continue after a pause."""
        self._set(_paused=False)

    def save_now(self) -> None:
        """Write a save after this step."""
        self._set(_save=True)

    def sample_now(self) -> None:
        """Draw control pictures after this step."""
        self._set(_sample=True)

    def try_now(self) -> None:
        """Write a temporary save after this step, to try out what has been learned so far."""
        self._set(_try=True)

    def stop(self) -> None:
        """End the run after this step, with a save and a state to resume from; end drawing at once."""
        self._set(_stop=True)

    @property
    def paused(self) -> bool:
        """Return whether the run should wait."""
        return self._paused and not self._stop

    @property
    def stopping(self) -> bool:
        """Return whether the run should end."""
        return self._stop

    def check(self) -> None:
        """Raise Interrupted where the run should end."""
        if self._stop:
            raise Interrupted("The run was told to stop.")

    def take_save(self) -> bool:
        """Return whether a save was requested since the last call."""
        with self._changed:
            requested, self._save = self._save, False
            return requested

    def take_sample(self) -> bool:
        """Return whether control pictures were requested since the last call."""
        with self._changed:
            requested, self._sample = self._sample, False
            return requested

    def take_try(self) -> bool:
        """Return whether a temporary save was requested since the last call."""
        with self._changed:
            requested, self._try = self._try, False
            return requested

    def wait(self, seconds: float) -> None:
        """Block for some seconds, or until a stop is requested."""
        with self._changed:
            self._changed.wait_for(lambda: self._stop, seconds)

    def wait_while_paused(self) -> None:
        """Block until the run is resumed, or until a stop, a save, or control pictures are requested."""
        with self._changed:
            self._changed.wait_for(lambda: self._stop or not self._paused or self._save or self._sample or self._try)

    def _set(self, **values: bool) -> None:
        with self._changed:
            for name, value in values.items():
                setattr(self, name, value)
            self._changed.notify_all()
