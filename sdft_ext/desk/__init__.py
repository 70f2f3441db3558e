"""The desk between a page and the runs: their queue, what is on disk, presets, calculator, forecast, allowed folders.

It knows neither a page nor HTTP. Importing it imports nothing heavy; torch comes with the first question that needs it.
"""

from __future__ import annotations

from .desk import Desk
from .errors import DeskError, NotAllowed, NotFound, NotNow

__all__ = ["Desk", "DeskError", "NotAllowed", "NotFound", "NotNow"]
