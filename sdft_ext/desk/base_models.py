"""The base models of queued runs: loaded through the host when a run needs one, if the user has allowed it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import SdftError
from ..storage import json_file

if TYPE_CHECKING:
    from ..host.base import Files, Host


class BaseModels:
    """Loads base models for the queue. ``file`` stores whether that is allowed; ``host`` makes a host to ask."""

    def __init__(self, file: Path, host: Callable[[], Host]) -> None:
        self._file, self._host = file, host
        self._lock = threading.Lock()
        self._loaded: Files | None = None
        """The model that was loaded here last."""
        self._put_back: Callable[[], None] | None = None
        """Loads the model that the user has chosen."""

    @property
    def allowed(self) -> bool:
        """Return whether the user has allowed the queue to load models."""
        return json_file.read_or(self._file, {}).get("allowed") is True

    def allow(self, allowed: bool) -> None:
        """Keep whether the queue may load models. Raises OSError where the file can't be written."""
        json_file.write(self._file, {"allowed": allowed})

    def load(self, base: str, vae: str) -> bool:
        """Load the model of a checkpoint's and a VAE's file, where that is allowed and it isn't loaded already.

        Returns whether it was loaded. Raises HostError where it can't be.
        """
        from ..host.base import Files, HostError

        host, wanted = self._host(), Files(base, vae)
        if not self.allowed or "load" not in host.features:
            return False
        with self._lock:
            try:
                now: Files | None = host.files()
            except HostError:
                now = None  # none is loaded
            if now is not None and wanted.same(now):
                return False
            put_back = host.load(wanted)
            # The model before is the user's own, unless it was one of a run's, too, or there was none.
            chosen = now is not None and (self._loaded is None or not self._loaded.same(now))
            if self._put_back is None or chosen:
                self._put_back = put_back
            self._loaded = wanted
        return True

    def put_back(self) -> None:
        """Load the user's own model again, unless the user has chosen another one meanwhile; an error is printed."""
        with self._lock:
            put_back, loaded = self._put_back, self._loaded
            self._put_back = self._loaded = None
            if put_back is None or loaded is None:
                return
            try:
                if loaded.same(self._host().files()):
                    put_back()
            except SdftError as error:
                print(f"Fine-tune: {error}", flush=True)
