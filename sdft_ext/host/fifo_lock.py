"""A lock that is given in the order of asking: a picture that is asked for during training is drawn after the step."""

from __future__ import annotations

import threading
from collections import deque


class FifoLock:
    """A lock for the first who asks, then for the next; not reentrant."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._held = False
        self._waiting: deque[threading.Event] = deque()

    def __enter__(self) -> None:
        with self._mutex:
            if not self._held:
                self._held = True
                return
            mine = threading.Event()
            self._waiting.append(mine)
        try:
            mine.wait()
        except BaseException:  # Ctrl-C: the next in line must not wait for one that has gone
            with self._mutex:
                if not mine.is_set():
                    self._waiting.remove(mine)
                    raise
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        with self._mutex:
            if self._waiting:
                self._waiting.popleft().set()  # the lock stays held, by the next one
            else:
                self._held = False
