"""The packages that training needs: which are missing, and the heavy ones, imported before the first run."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Sequence

from .background import Job

HEAVY = {
    "diffusers": ("UNet2DConditionModel", "AutoencoderKL", "DDIMScheduler"),
    "transformers": ("CLIPTextModel", "CLIPTextModelWithProjection", "CLIPTokenizer"),
    "peft.tuners.lora": ("Linear", "Conv2d"),
    "torch.optim": ("AdamW",),
}


class Packages:
    """The packages. ``missing``: those to install before anything can train, with the command that does it."""

    def __init__(self, missing: tuple[Sequence[str], str] | None = None) -> None:
        self.missing = missing
        self._imports: Job | None = None
        self._lock = threading.Lock()

    def why_not(self) -> str:
        """Return a sentence where packages are missing; empty where none is."""
        if self.missing is None:
            return ""
        return f"Packages are missing ({', '.join(self.missing[0])}); install them with: {self.missing[1]}"

    def prepare(self) -> None:
        """Import the heavy packages in the background, so that the first click on Train starts at once."""
        with self._lock:
            if self._imports is None and self.missing is None:
                self._imports = Job("importing")
                self._imports.start("sdft-imports", _import_heavy)

    def wait(self) -> None:
        """Wait until the heavy packages are imported: diffusers can't be imported by two threads at once."""
        self.prepare()
        if self._imports is not None:
            self._imports.join()


def _import_heavy() -> None:
    """Import what a run imports until its first step."""
    try:
        importlib.import_module("..run.run", __package__)
        for name, parts in HEAVY.items():
            module = importlib.import_module(name)
            for part in parts:
                getattr(module, part)  # these packages import a part when it is first accessed
    except (ImportError, AttributeError):
        return  # starting a run says what is missing
