"""What a page, a signal or a program may ask of a run while it trains."""

from __future__ import annotations

import threading


class RunControl:
    """Requests to a run, from any thread. The run handles them between steps."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._paused = False
        self._stop = False
        self._save = False
        self._sample = False
        self._try = False

    def pause(self) -> None:
        """Pause the run after its present step; the host has the model meanwhile."""
        self._set(_paused=True)

    def resume(self) -> None:
        """Go on after a pause."""
        self._set(_paused=False)

    def save_now(self) -> None:
        """Write a save after this step."""
        self._set(_save=True)

    def sample_now(self) -> None:
        """Draw control pictures after this step."""
        self._set(_sample=True)

    def try_now(self) -> None:
        """Write a temporary save after this step, to try the training as it is now."""
        self._set(_try=True)

    def stop(self) -> None:
        """End the run after this step, with a save and a state to resume from."""
        self._set(_stop=True)

    @property
    def paused(self) -> bool:
        """Whether the run is to wait."""
        return self._paused and not self._stop

    @property
    def stopping(self) -> bool:
        """Whether the run is to end."""
        return self._stop

    def take_save(self) -> bool:
        """Tell whether a save was asked for since the last call."""
        with self._changed:
            asked, self._save = self._save, False
            return asked

    def take_sample(self) -> bool:
        """Tell whether control pictures were asked for since the last call."""
        with self._changed:
            asked, self._sample = self._sample, False
            return asked

    def take_try(self) -> bool:
        """Tell whether a temporary save was asked for since the last call."""
        with self._changed:
            asked, self._try = self._try, False
            return asked

    def wait(self, seconds: float) -> None:
        """Block for some seconds, or until the run is told to stop."""
        with self._changed:
            self._changed.wait_for(lambda: self._stop, seconds)

    def wait_while_paused(self) -> None:
        """Block until the run may go on, is told to stop, or is asked for something that it can do while it is
        paused.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._stop or not self._paused or self._save or self._sample or self._try)

    def _set(self, **values: bool) -> None:
        with self._changed:
            for name, value in values.items():
                setattr(self, name, value)
            self._changed.notify_all()
