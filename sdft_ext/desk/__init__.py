"""The desk between a page and the runs: queue, runs on disk, presets, calculator, forecast, allowed folders.

It knows neither a page nor HTTP. Importing it imports nothing heavy; torch is imported when it is first needed.
"""

from __future__ import annotations

from .desk import Desk
from .errors import DeskError, NotAllowed, NotFound, NotNow

__all__ = ["Desk", "DeskError", "NotAllowed", "NotFound", "NotNow"]
