"""How long a run has taken, the time before a resume included."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from ..run_folder.facts import read_facts


@dataclass(frozen=True)
class Clock:
    """``started`` is this process's start of the run, in seconds since 1970; ``earlier``: seconds trained before it."""

    earlier: float
    started: float = field(default_factory=time.time)

    @classmethod
    def of(cls, folder: Path) -> Clock:
        """Start a clock that goes on from what the run's folder remembers."""
        return cls(float(read_facts(folder).get("train_seconds", 0.0)))

    @property
    def seconds(self) -> float:
        """Seconds so far."""
        return self.earlier + time.time() - self.started
