"""A run in a thread, and how far it is."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sdft_ext.control import RunControl
from sdft_ext.host.base import Host
from sdft_ext.recipe import Recipe
from sdft_ext.run import RunResult, resume, train
from sdft_ext.run_folder.log import read as read_log


class Going:
    """Trains a recipe in a folder, or goes on there."""

    def __init__(self, recipe: Recipe, folder: Path, host: Host) -> None:
        self.recipe, self.folder, self.host, self.control = recipe, folder, host, RunControl()
        self.result: RunResult | None = None
        self.error: Exception | None = None
        self.thread = threading.Thread(target=self._work, daemon=True)
        self.thread.start()

    def _work(self) -> None:
        try:
            if (self.folder / "recipe.yaml").exists():
                self.result = resume(self.folder, control=self.control, host=self.host, quiet=True)
            else:
                self.result = train(self.recipe, folder=self.folder, control=self.control, host=self.host, quiet=True)
        except Exception as error:
            self.error = error

    @property
    def step(self) -> int:
        return max((line["step"] for line in read_log(self.folder) if "loss" in line), default=0)

    def status(self) -> dict[str, Any]:
        path = self.folder / "status.json"
        return dict(json.loads(path.read_text())) if path.exists() else {}

    def until(self, true: Callable[[], bool], seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        while not true():
            assert self.thread.is_alive() or true(), f"the run has ended: {self.result or self.error}"
            assert time.monotonic() < deadline, f"it didn't come to that: {self.status()}"
            time.sleep(0.02)

    def paused(self) -> None:
        """Wait until the run is paused: its status says so, and no step is made in the time of several."""

        def held() -> bool:
            if self.status().get("state") != "paused":
                return False
            step = self.step
            time.sleep(0.5)
            return self.step == step and self.status().get("state") == "paused"

        self.until(held)

    def end(self) -> RunResult:
        self.thread.join(300)
        assert not self.thread.is_alive(), self.status()
        if self.error is not None:
            raise self.error
        assert self.result is not None
        return self.result
